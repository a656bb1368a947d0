/* Which pages of its window a session holds. */
#include "core/windows.h"

#include <string.h>

#include "quant/kv_layout.h"

static int has_windows(const llmir_pool_t* pool) {
    return pool->layout.window_page_count != 0;
}

uint32_t llmir_windows_first_page(const llmir_pool_t* pool, uint32_t position) {
    const uint32_t reach = pool->layout.window_tokens - 1u + pool->pages.page_tokens;
    return position > reach ? (position - reach) / pool->pages.page_tokens : 0u;
}

int llmir_windows_can_grow(const llmir_session_t* session, uint32_t token_count) {
    return !has_windows(session->pool) ||
           llmir_kv_pages_can_grow(&session->pool->window_pages, &session->window, token_count);
}

int llmir_windows_grow(llmir_session_t* session, uint32_t token_count, llmir_kv_copy_t* out_copy) {
    *out_copy = (llmir_kv_copy_t){LLMIR_KV_NO_PAGE, LLMIR_KV_NO_PAGE};
    return !has_windows(session->pool) ||
           llmir_kv_pages_grow(&session->pool->window_pages, &session->window, token_count,
                               out_copy);
}

void llmir_windows_drop(llmir_session_t* session) {
    const uint32_t position = session->position;
    if (has_windows(session->pool) && position > LLMIR_KV_WINDOW_SLACK) {
        llmir_kv_pages_drop(
            &session->pool->window_pages, &session->window,
            llmir_windows_first_page(session->pool, position - LLMIR_KV_WINDOW_SLACK));
    }
}

/* The hash under which page `index` of the session is published; NULL if it is not. */
static const uint64_t* name_of(const llmir_session_t* session, uint32_t index) {
    const llmir_kv_page_state_t* state = &session->pool->pages.states[session->table.pages[index]];
    return state->is_published ? state->hash : NULL;
}

void llmir_windows_publish(llmir_session_t* session, uint32_t from) {
    const llmir_kv_pages_t* pages = &session->pool->window_pages;
    if (!has_windows(session->pool)) {
        return;
    }
    const uint32_t end = session->position / pages->page_tokens;
    for (uint32_t i = from / pages->page_tokens; i < end; ++i) {
        const uint64_t* name = name_of(session, i);
        if (name != NULL && i >= session->window.first_page) {
            llmir_kv_pages_publish_as(&session->pool->window_pages, &session->window, i, name);
        }
    }
}

/* The window's page `index`: held, or published under the session's name for it; or none. */
static uint32_t find_page(const llmir_session_t* session, uint32_t index) {
    const llmir_kv_pages_t* pages = &session->pool->window_pages;
    if (index >= session->window.first_page &&
        index < llmir_kv_pages_for(pages, session->window.token_count)) {
        return session->window.pages[index];
    }
    const uint64_t* name = name_of(session, index);
    return name != NULL ? llmir_kv_pages_find(pages, name) : LLMIR_KV_NO_PAGE;
}

/* Whether all pages that a session at `position` needs are there. The table of all pages must
 * reach that far. */
static int pages_are_there(const llmir_session_t* session, uint32_t position) {
    const uint32_t end = llmir_kv_pages_for(&session->pool->pages, position);
    uint32_t i = llmir_windows_first_page(session->pool, position);
    while (i < end && find_page(session, i) != LLMIR_KV_NO_PAGE) {
        ++i;
    }
    return i >= end;
}

/* Makes the window's table that of a session at `position`, whose pages are there. New pages are
 * held before others are given back, so that none is lost. */
static void move_window(llmir_session_t* session, uint32_t position) {
    llmir_kv_pages_t* pages = &session->pool->window_pages;
    llmir_page_table_t* window = &session->window;
    const uint32_t end = llmir_kv_pages_for(pages, position);
    const uint32_t held = llmir_kv_pages_for(pages, window->token_count);
    const uint32_t first = llmir_windows_first_page(session->pool, position);
    for (uint32_t i = first; i < end; ++i) {
        if (i < window->first_page || i >= held) {
            const uint32_t page = find_page(session, i);
            llmir_kv_pages_hold(pages, page);
            window->pages[i] = page;
        }
    }
    for (uint32_t i = held; i > window->first_page; --i) {
        if (i - 1u < first || i - 1u >= end) {
            llmir_kv_pages_release(pages, window->pages[i - 1u]);
        }
    }
    window->first_page = first;
    window->token_count = position;
}

uint32_t llmir_windows_match(llmir_session_t* session,
                             const int32_t* tokens,
                             size_t token_count,
                             int take) {
    llmir_kv_pages_t* pages = &session->pool->pages;
    const uint32_t start = session->table.token_count;
    if (!has_windows(session->pool)) {
        return llmir_kv_pages_match(pages, &session->table, tokens, token_count, take);
    }
    uint32_t end = start + llmir_kv_pages_match(pages, &session->table, tokens, token_count, 1);
    while (end > start && !pages_are_there(session, end)) {
        end -= pages->page_tokens;
    }
    llmir_kv_pages_shrink(pages, &session->table, take ? end : start);
    if (take && end > start) {
        move_window(session, end);
    }
    return end - start;
}

uint32_t llmir_windows_retreat(llmir_session_t* session, uint32_t position) {
    llmir_kv_pages_t* pages = &session->pool->window_pages;
    llmir_page_table_t* window = &session->window;
    if (has_windows(session->pool)) {
        if (llmir_windows_first_page(session->pool, position) >= window->first_page) {
            llmir_kv_pages_shrink(pages, window, position);
        } else if (pages_are_there(session, position)) {
            move_window(session, position);
        } else {
            position = 0;
            llmir_kv_pages_shrink(pages, window, 0);
        }
    }
    llmir_kv_pages_shrink(&session->pool->pages, &session->table, position);
    session->position = position;
    return position;
}

void llmir_session_rewind(llmir_session_t* session, uint32_t position) {
    const uint32_t waiting = session->uncomputed;
    int32_t* ids = session->roll_ids;
    if (!has_windows(session->pool) ||
        llmir_windows_first_page(session->pool, position) >= session->window.first_page ||
        pages_are_there(session, position)) {
        (void)llmir_windows_retreat(session, position);
        return;
    }
    memmove(ids + position, ids, waiting * sizeof(*ids));
    for (uint32_t i = 0; i < position; ++i) {
        ids[i] = *llmir_kv_pages_token(&session->pool->pages, &session->table, i);
    }
    session->uncomputed = waiting + position;
    (void)llmir_windows_retreat(session, 0);
}
