/* The pages of a pool's KV cache and, per sequence, the table of the pages it holds. A page takes
 * the keys and values of page_tokens positions of all layers. Pages are counted here; their memory
 * is the pool's. The pages also keep the ids of their tokens.
 *
 * Tables may share pages: a page has a count of references and is written only while it is one.
 * A full page can be published under the hash of its tokens chained with that of the page before
 * it, so that the hash stands for all tokens up to the page's end. Published pages that no table
 * holds keep their contents until room is needed; the one unused for longest goes first.
 *
 *   free (stack) --grow--> held (references > 0) --shrink--> free, or cached if published
 *                              ^----------------- take ------------------'   cached --evict--> free
 */
#ifndef LLMIR_KV_PAGES_H
#define LLMIR_KV_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define LLMIR_KV_NO_PAGE UINT32_MAX

typedef struct llmir_kv_page_state {
    uint64_t hash[2];    /* of the tokens from position 0 to the page's end, if published */
    uint32_t references; /* tables that hold the page */
    uint32_t is_published;
    uint32_t next;  /* published: the next page of the same bucket */
    uint32_t older; /* cached: neighbours in the order of use */
    uint32_t newer;
    uint32_t reserved;
} llmir_kv_page_state_t;

typedef struct llmir_kv_pages {
    uint32_t page_count;
    uint32_t page_tokens;
    uint32_t bucket_count; /* a power of two */
    uint32_t free_count;
    uint32_t cached_count; /* published pages without references */
    uint32_t oldest;       /* cached page to go first */
    uint32_t newest;
    uint32_t reserved;
    uint64_t evicted_count;        /* cached pages given up for others */
    uint32_t* free_pages;          /* [page_count], the first free_count are free */
    int32_t* token_ids;            /* [page][page_tokens]; NULL: none are kept */
    llmir_kv_page_state_t* states; /* [page_count] */
    uint32_t* buckets;             /* [bucket_count] first page of each hash bucket */
} llmir_kv_pages_t;

/* The pages of one sequence. */
typedef struct llmir_page_table {
    uint32_t* pages;      /* [pages of the longest sequence] */
    uint32_t token_count; /* positions reserved */
    uint32_t first_page;  /* pages before this one are not held */
} llmir_page_table_t;

/* A page whose contents must be copied before the sequence is computed further. */
typedef struct llmir_kv_copy {
    uint32_t from; /* LLMIR_KV_NO_PAGE: nothing to copy */
    uint32_t to;
} llmir_kv_copy_t;

/* Buckets that suit a number of pages. */
uint32_t llmir_kv_pages_buckets(uint32_t page_count);

/* Makes all pages free; the arrays are the caller's. */
void llmir_kv_pages_init(llmir_kv_pages_t* pages);

/* Pages that hold `token_count` positions. */
uint32_t llmir_kv_pages_for(const llmir_kv_pages_t* pages, uint32_t token_count);

/* Pages that a table can still get: free and cached ones. */
uint32_t llmir_kv_pages_available(const llmir_kv_pages_t* pages);

/* Whether the table can grow to `token_count` (at least its own). */
int llmir_kv_pages_can_grow(const llmir_kv_pages_t* pages,
                            const llmir_page_table_t* table,
                            uint32_t token_count);

/* Reserves positions up to `token_count` (at least the table's). A last page that is shared and not
 * full is replaced by a page of the table's own, whose contents the caller copies. Returns 0 and
 * changes nothing if the pages do not suffice. */
int llmir_kv_pages_grow(llmir_kv_pages_t* pages,
                        llmir_page_table_t* table,
                        uint32_t token_count,
                        llmir_kv_copy_t* out_copy);

/* One page: published under a hash; held by one table more; or by one less. */
uint32_t llmir_kv_pages_find(const llmir_kv_pages_t* pages, const uint64_t hash[2]);
void llmir_kv_pages_hold(llmir_kv_pages_t* pages, uint32_t page);
void llmir_kv_pages_release(llmir_kv_pages_t* pages, uint32_t page);

/* Gives back the pages before `first_page`. */
void llmir_kv_pages_drop(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t first_page);

/* Gives back the positions from `token_count` (at most the table's) on. */
void llmir_kv_pages_shrink(llmir_kv_pages_t* pages,
                           llmir_page_table_t* table,
                           uint32_t token_count);

/* Makes the empty table `target` hold all pages of `source`. */
void llmir_kv_pages_fork(llmir_kv_pages_t* pages,
                         const llmir_page_table_t* source,
                         llmir_page_table_t* target);

/* Counts the published pages that continue the table with `tokens`: 0 unless the table ends with a
 * page and all its pages are published. With `take` the table receives them. Returns positions. */
uint32_t llmir_kv_pages_match(llmir_kv_pages_t* pages,
                              llmir_page_table_t* table,
                              const int32_t* tokens,
                              size_t token_count,
                              int take);

/* Publishes the pages that were completed since the table had `from` positions. Where an equal page
 * is published already, the table takes it instead of its own. Their contents must be computed. */
void llmir_kv_pages_publish(llmir_kv_pages_t* pages, llmir_page_table_t* table, uint32_t from);

/* Publishes one page under a given hash, which stands for its contents and all before. */
void llmir_kv_pages_publish_as(llmir_kv_pages_t* pages,
                               llmir_page_table_t* table,
                               uint32_t index,
                               const uint64_t hash[2]);

/* Where the id of the token at a reserved position is kept. */
int32_t* llmir_kv_pages_token(const llmir_kv_pages_t* pages,
                              const llmir_page_table_t* table,
                              uint32_t position);

#endif /* LLMIR_KV_PAGES_H */
