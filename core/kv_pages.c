/* Page accounting. Which page a sequence gets never shows in results. */
#include "core/kv_pages.h"

void llmir_kv_pages_init(llmir_kv_pages_t* pages) {
    pages->free_count = pages->page_count;
    pages->token_count = 0;
    for (uint32_t i = 0; i < pages->page_count; ++i) {
        pages->free_pages[i] = pages->page_count - 1u - i; /* page 0 is given out first */
    }
}

uint32_t llmir_kv_pages_for(const llmir_kv_pages_t* pages, uint32_t token_count) {
    return token_count / pages->page_tokens + (token_count % pages->page_tokens != 0);
}

int llmir_kv_pages_grow(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t token_count) {
    const uint32_t added = token_count - table->token_count;
    const uint32_t held = llmir_kv_pages_for(pages, table->token_count);
    const uint32_t needed = llmir_kv_pages_for(pages, token_count);
    if (added > pages->token_capacity - pages->token_count || needed - held > pages->free_count) {
        return 0;
    }
    for (uint32_t i = held; i < needed; ++i) {
        table->pages[i] = pages->free_pages[--pages->free_count];
    }
    pages->token_count += added;
    table->token_count = token_count;
    return 1;
}

void llmir_kv_pages_shrink(llmir_kv_pages_t* pages,
                           llmir_page_table_t* table,
                           uint32_t token_count) {
    const uint32_t needed = llmir_kv_pages_for(pages, token_count);
    for (uint32_t i = llmir_kv_pages_for(pages, table->token_count); i > needed; --i) {
        pages->free_pages[pages->free_count++] = table->pages[i - 1u];
    }
    pages->token_count -= table->token_count - token_count;
    table->token_count = token_count;
}

int32_t* llmir_kv_pages_token(const llmir_kv_pages_t* pages,
                              const llmir_page_table_t* table,
                              uint32_t position) {
    const size_t page = table->pages[position / pages->page_tokens];
    return &pages->token_ids[page * pages->page_tokens + position % pages->page_tokens];
}
