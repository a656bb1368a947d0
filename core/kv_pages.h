/* The pages of a pool's KV cache: a stack of free pages and, per session, the table of the pages it
 * holds. A page takes the keys and values of page_tokens positions of all layers. Pages are counted
 * here; their memory is the pool's. The pages also keep the ids of their tokens. */
#ifndef LLMIR_KV_PAGES_H
#define LLMIR_KV_PAGES_H

#include <stddef.h>
#include <stdint.h>

typedef struct llmir_kv_pages {
    uint32_t page_count;
    uint32_t page_tokens;
    uint32_t token_capacity; /* positions that all tables together may reserve */
    uint32_t token_count;    /* positions reserved */
    uint32_t free_count;
    uint32_t* free_pages; /* [page_count], the first free_count are free */
    int32_t* token_ids;   /* [page][page_tokens] */
} llmir_kv_pages_t;

/* The pages of one sequence. */
typedef struct llmir_page_table {
    uint32_t* pages;      /* [pages of the longest sequence] */
    uint32_t token_count; /* positions reserved */
} llmir_page_table_t;

/* Makes all pages free; the arrays are the caller's. */
void llmir_kv_pages_init(llmir_kv_pages_t* pages);

/* Pages that hold `token_count` positions. */
uint32_t llmir_kv_pages_for(const llmir_kv_pages_t* pages, uint32_t token_count);

/* Reserves positions up to `token_count` (at least the table's). Returns 0 and changes nothing if
 * the capacity does not suffice. */
int llmir_kv_pages_grow(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t token_count);

/* Gives back the positions from `token_count` (at most the table's) on. */
void llmir_kv_pages_shrink(llmir_kv_pages_t* pages,
                           llmir_page_table_t* table,
                           uint32_t token_count);

/* Where the id of the token at a reserved position is kept. */
int32_t* llmir_kv_pages_token(const llmir_kv_pages_t* pages,
                              const llmir_page_table_t* table,
                              uint32_t position);

#endif /* LLMIR_KV_PAGES_H */
