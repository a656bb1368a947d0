/* The format of a saved session: little-endian, the same for every target.
 *
 *   record   llmir_session_record_t
 *   tokens   i32 [position]
 *   pages    u8 [page_count][page_bytes]: keys and values as quant/kv_layout.h lays them out
 *   windows  u8 [page_count - window_first][window_page_bytes]: those of layers with a window
 *   hash     BLAKE2b-256 of everything before
 *
 * Pages hold the tokens before the last page's; the rest, 1 to page_tokens tokens, is computed
 * again when the session is restored, which also gives the logits. A reader believes nothing: it
 * checks every field, the tokens, and the hash. The contents of pages are numbers, of which none
 * can do harm; they are never shared with other sessions. */
#ifndef LLMIR_SESSION_FILE_H
#define LLMIR_SESSION_FILE_H

#include <stdint.h>

#include "llmir_bundle.h"

#define LLMIR_SESSION_MAGIC "LLMIRSES"
#define LLMIR_SESSION_VERSION 2u

typedef struct llmir_session_record {
    char magic[8];
    uint32_t version;
    uint32_t record_bytes;
    uint8_t bundle_hash[LLMIR_BUNDLE_HASH_BYTES]; /* root hash of the bundle */
    uint32_t kv_type;                             /* llmir_kv_type_t */
    uint32_t page_tokens;
    uint64_t page_bytes;
    uint32_t position;
    uint32_t page_count; /* (position - 1) / page_tokens; 0 for an empty session */
    uint32_t has_logits;
    int32_t pending; /* token sampled but not fed; -1: none */
    uint32_t generated_count;
    int32_t finish;             /* llmir_finish_t */
    uint64_t random[4];         /* of the sampler */
    uint64_t window_page_bytes; /* 0: layers with a window are in the pages */
    uint32_t window_first;      /* page */
    uint32_t reserved;
} llmir_session_record_t;
_Static_assert(sizeof(llmir_session_record_t) == 136, "the record of a saved session");

#endif /* LLMIR_SESSION_FILE_H */
