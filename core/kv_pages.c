/* Page accounting. Which page a sequence gets never shows in results. */
#include "core/kv_pages.h"

#include <string.h>

#include "core/base/blake2b.h"

uint32_t llmir_kv_pages_buckets(uint32_t page_count) {
    uint32_t count = 1;
    while (count < page_count && count < (1u << 31)) {
        count *= 2u;
    }
    return count;
}

void llmir_kv_pages_init(llmir_kv_pages_t* pages) {
    pages->free_count = pages->page_count;
    pages->cached_count = 0;
    pages->oldest = LLMIR_KV_NO_PAGE;
    pages->newest = LLMIR_KV_NO_PAGE;
    pages->evicted_count = 0;
    memset(pages->states, 0, pages->page_count * sizeof(*pages->states));
    for (uint32_t i = 0; i < pages->page_count; ++i) {
        pages->free_pages[i] = pages->page_count - 1u - i; /* page 0 is given out first */
    }
    for (uint32_t i = 0; i < pages->bucket_count; ++i) {
        pages->buckets[i] = LLMIR_KV_NO_PAGE;
    }
}

uint32_t llmir_kv_pages_for(const llmir_kv_pages_t* pages, uint32_t token_count) {
    return token_count / pages->page_tokens + (token_count % pages->page_tokens != 0);
}

uint32_t llmir_kv_pages_available(const llmir_kv_pages_t* pages) {
    return pages->free_count + pages->cached_count;
}

/* ---- The order of use ---- */

static void append_newest(llmir_kv_pages_t* pages, uint32_t page) {
    pages->states[page].older = pages->newest;
    pages->states[page].newer = LLMIR_KV_NO_PAGE;
    if (pages->newest != LLMIR_KV_NO_PAGE) {
        pages->states[pages->newest].newer = page;
    } else {
        pages->oldest = page;
    }
    pages->newest = page;
    pages->cached_count += 1u;
}

static void unlink_cached(llmir_kv_pages_t* pages, uint32_t page) {
    const llmir_kv_page_state_t* state = &pages->states[page];
    if (state->older != LLMIR_KV_NO_PAGE) {
        pages->states[state->older].newer = state->newer;
    } else {
        pages->oldest = state->newer;
    }
    if (state->newer != LLMIR_KV_NO_PAGE) {
        pages->states[state->newer].older = state->older;
    } else {
        pages->newest = state->older;
    }
    pages->cached_count -= 1u;
}

/* ---- Published pages ---- */

static uint32_t* bucket_of(const llmir_kv_pages_t* pages, const uint64_t hash[2]) {
    return &pages->buckets[hash[0] & (pages->bucket_count - 1u)];
}

/* Hash of a page's tokens after those that `parent` stands for (NULL: the page begins a sequence).
 * A collision would give one user another's answer, so the hash is a cryptographic one. */
static void hash_page(const llmir_kv_pages_t* pages,
                      const uint64_t* parent,
                      const int32_t* tokens,
                      uint64_t out_hash[2]) {
    uint8_t digest[LLMIR_BLAKE2B_BYTES];
    llmir_blake2b_t hash;
    llmir_blake2b_init(&hash);
    if (parent != NULL) {
        llmir_blake2b_update(&hash, parent, 2u * sizeof(*parent));
    }
    llmir_blake2b_update(&hash, tokens, pages->page_tokens * sizeof(*tokens));
    llmir_blake2b_final(&hash, digest);
    memcpy(out_hash, digest, 2u * sizeof(*out_hash));
}

uint32_t llmir_kv_pages_find(const llmir_kv_pages_t* pages, const uint64_t hash[2]) {
    uint32_t page = *bucket_of(pages, hash);
    while (page != LLMIR_KV_NO_PAGE &&
           (pages->states[page].hash[0] != hash[0] || pages->states[page].hash[1] != hash[1])) {
        page = pages->states[page].next;
    }
    return page;
}

static void add_published(llmir_kv_pages_t* pages, uint32_t page, const uint64_t hash[2]) {
    llmir_kv_page_state_t* state = &pages->states[page];
    uint32_t* bucket = bucket_of(pages, hash);
    state->hash[0] = hash[0];
    state->hash[1] = hash[1];
    state->is_published = 1;
    state->next = *bucket;
    *bucket = page;
}

static void remove_published(llmir_kv_pages_t* pages, uint32_t page) {
    llmir_kv_page_state_t* state = &pages->states[page];
    uint32_t* link = bucket_of(pages, state->hash);
    while (*link != page) {
        link = &pages->states[*link].next;
    }
    *link = state->next;
    state->is_published = 0;
}

/* ---- Taking and giving back pages ---- */

/* A page without references; the caller has made sure that there is one. */
static uint32_t take_page(llmir_kv_pages_t* pages) {
    uint32_t page = pages->oldest;
    if (pages->free_count > 0) {
        page = pages->free_pages[--pages->free_count];
    } else {
        unlink_cached(pages, page);
        remove_published(pages, page);
        pages->evicted_count += 1u;
    }
    pages->states[page].references = 1;
    return page;
}

void llmir_kv_pages_hold(llmir_kv_pages_t* pages, uint32_t page) {
    if (pages->states[page].references == 0) {
        unlink_cached(pages, page);
    }
    pages->states[page].references += 1u;
}

void llmir_kv_pages_release(llmir_kv_pages_t* pages, uint32_t page) {
    llmir_kv_page_state_t* state = &pages->states[page];
    state->references -= 1u;
    if (state->references != 0) {
        return;
    }
    if (state->is_published) {
        append_newest(pages, page);
    } else {
        pages->free_pages[pages->free_count++] = page;
    }
}

/* Whether writing behind the table's last position would change a page that others hold. */
static int must_copy(const llmir_kv_pages_t* pages, const llmir_page_table_t* table) {
    return table->token_count % pages->page_tokens != 0 &&
           pages->states[table->pages[table->token_count / pages->page_tokens]].references > 1;
}

int llmir_kv_pages_can_grow(const llmir_kv_pages_t* pages,
                            const llmir_page_table_t* table,
                            uint32_t token_count) {
    const uint32_t held = llmir_kv_pages_for(pages, table->token_count);
    const uint32_t needed = llmir_kv_pages_for(pages, token_count);
    const uint32_t copies = token_count > table->token_count && must_copy(pages, table);
    return needed - held + copies <= llmir_kv_pages_available(pages);
}

/* Makes the last, partly filled page the table's alone. */
static void own_last_page(llmir_kv_pages_t* pages,
                          llmir_page_table_t* table,
                          llmir_kv_copy_t* out_copy) {
    uint32_t* entry = &table->pages[table->token_count / pages->page_tokens];
    const uint32_t page = *entry;
    const size_t tokens = pages->page_tokens;
    if (pages->states[page].references > 1) {
        *entry = take_page(pages);
        *out_copy = (llmir_kv_copy_t){page, *entry};
        if (pages->token_ids != NULL) {
            memcpy(pages->token_ids + *entry * tokens, pages->token_ids + page * tokens,
                   tokens * sizeof(int32_t));
        }
        llmir_kv_pages_release(pages, page);
    } else if (pages->states[page].is_published) {
        remove_published(pages, page); /* its end is about to change */
    }
}

int llmir_kv_pages_grow(llmir_kv_pages_t* pages,
                        llmir_page_table_t* table,
                        uint32_t token_count,
                        llmir_kv_copy_t* out_copy) {
    const uint32_t needed = llmir_kv_pages_for(pages, token_count);
    *out_copy = (llmir_kv_copy_t){LLMIR_KV_NO_PAGE, LLMIR_KV_NO_PAGE};
    if (!llmir_kv_pages_can_grow(pages, table, token_count)) {
        return 0;
    }
    if (token_count > table->token_count && table->token_count % pages->page_tokens != 0) {
        own_last_page(pages, table, out_copy);
    }
    for (uint32_t i = llmir_kv_pages_for(pages, table->token_count); i < needed; ++i) {
        table->pages[i] = take_page(pages);
    }
    table->token_count = token_count;
    return 1;
}

void llmir_kv_pages_shrink(llmir_kv_pages_t* pages,
                           llmir_page_table_t* table,
                           uint32_t token_count) {
    const uint32_t wanted = llmir_kv_pages_for(pages, token_count);
    const uint32_t needed = wanted > table->first_page ? wanted : table->first_page;
    /* The last first: a page is of use only as long as those before it are there. */
    for (uint32_t i = llmir_kv_pages_for(pages, table->token_count); i > needed; --i) {
        llmir_kv_pages_release(pages, table->pages[i - 1u]);
    }
    table->token_count = token_count;
    table->first_page = wanted < table->first_page ? wanted : table->first_page;
}

void llmir_kv_pages_drop(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t first_page) {
    const uint32_t count = llmir_kv_pages_for(pages, table->token_count);
    const uint32_t end = first_page < count ? first_page : count;
    for (; table->first_page < end; ++table->first_page) {
        llmir_kv_pages_release(pages, table->pages[table->first_page]);
    }
}

/* ---- Sharing ---- */

void llmir_kv_pages_fork(llmir_kv_pages_t* pages,
                         const llmir_page_table_t* source,
                         llmir_page_table_t* target) {
    const uint32_t count = llmir_kv_pages_for(pages, source->token_count);
    for (uint32_t i = source->first_page; i < count; ++i) {
        llmir_kv_pages_hold(pages, source->pages[i]);
        target->pages[i] = source->pages[i];
    }
    target->token_count = source->token_count;
    target->first_page = source->first_page;
}

/* What the pages before page `index` of the table hash to; 0 if they are not all published, which
 * the last of them tells. */
static int parent_hash(const llmir_kv_pages_t* pages,
                       const llmir_page_table_t* table,
                       uint32_t index,
                       const uint64_t** out_hash) {
    *out_hash = NULL;
    if (index == 0) {
        return 1;
    }
    const llmir_kv_page_state_t* state = &pages->states[table->pages[index - 1u]];
    *out_hash = state->hash;
    return state->is_published != 0;
}

uint32_t llmir_kv_pages_match(llmir_kv_pages_t* pages,
                              llmir_page_table_t* table,
                              const int32_t* tokens,
                              size_t token_count,
                              int take) {
    const uint64_t* parent = NULL;
    const uint32_t step = pages->page_tokens;
    uint32_t matched = 0;
    if (table->token_count % step != 0 ||
        !parent_hash(pages, table, table->token_count / step, &parent)) {
        return 0;
    }
    while (token_count - matched >= step) {
        uint64_t hash[2];
        hash_page(pages, parent, tokens + matched, hash);
        const uint32_t page = llmir_kv_pages_find(pages, hash);
        if (page == LLMIR_KV_NO_PAGE || memcmp(pages->token_ids + (size_t)page * step,
                                               tokens + matched, step * sizeof(int32_t)) != 0) {
            break;
        }
        parent = pages->states[page].hash;
        matched += step;
        if (take) {
            llmir_kv_pages_hold(pages, page);
            table->pages[table->token_count / step] = page;
            table->token_count += step;
        }
    }
    return matched;
}

void llmir_kv_pages_publish_as(llmir_kv_pages_t* pages,
                               llmir_page_table_t* table,
                               uint32_t index,
                               const uint64_t hash[2]) {
    const uint32_t page = table->pages[index];
    const uint32_t equal = llmir_kv_pages_find(pages, hash);
    if (pages->states[page].is_published) {
        return;
    }
    if (equal == LLMIR_KV_NO_PAGE) {
        add_published(pages, page, hash);
    } else {
        llmir_kv_pages_hold(pages, equal);
        table->pages[index] = equal;
        llmir_kv_pages_release(pages, page);
    }
}

void llmir_kv_pages_publish(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t from) {
    const uint32_t end = table->token_count / pages->page_tokens;
    for (uint32_t i = from / pages->page_tokens; i < end; ++i) {
        const uint32_t page = table->pages[i];
        const uint64_t* parent = NULL;
        uint64_t hash[2];
        if (!parent_hash(pages, table, i, &parent)) {
            return;
        }
        if (pages->states[page].is_published) {
            continue;
        }
        hash_page(pages, parent, pages->token_ids + (size_t)page * pages->page_tokens, hash);
        llmir_kv_pages_publish_as(pages, table, i, hash);
    }
}

int32_t* llmir_kv_pages_token(const llmir_kv_pages_t* pages,
                              const llmir_page_table_t* table,
                              uint32_t position) {
    const size_t page = table->pages[position / pages->page_tokens];
    return &pages->token_ids[page * pages->page_tokens + position % pages->page_tokens];
}
