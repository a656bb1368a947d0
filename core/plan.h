/* The PLAN section: which kernels run over which buffers. Opening it checks everything a kernel
 * relies on, so that executors and kernels trust a llmir_plan_view_t without looking again. No
 * bundle, whatever its bytes, may make a kernel read or write out of bounds: this is where that is
 * ensured. */
#ifndef LLMIR_PLAN_H
#define LLMIR_PLAN_H

#include <stddef.h>

#include "core/base/status.h"
#include "targets/target.h"

/* Limits of a plan. With those of tensors.h they keep every offset inside a row in 32 bits, and
 * every size in 64. */
#define LLMIR_PLAN_MAX_ROW_BYTES (1u << 28)
#define LLMIR_PLAN_MAX_HEADS 1024u
#define LLMIR_PLAN_MAX_HEAD_DIM 512u
#define LLMIR_PLAN_MAX_PAGE_TOKENS 256u
#define LLMIR_PLAN_MAX_CHUNK_TOKENS (1u << 16)
#define LLMIR_PLAN_MAX_PAGE_ELEMENTS (1ull << 40)

typedef struct llmir_plan_source {
    const uint8_t* section; /* 64-byte aligned; kept by the view */
    size_t section_bytes;
    const llmir_tensor_view_t* tensors; /* [tensor_count], checked; kept by the view */
    uint32_t tensor_count;
    uint32_t vocab_count; /* of the MODEL section: tokens are below it */
} llmir_plan_source_t;

/* Checks a PLAN section and makes `out_plan` a view of it. Errors: CORRUPT, UNSUPPORTED (a kernel
 * ABI or a kernel of another version). */
llmir_status_t llmir_plan_open(const llmir_plan_source_t* source,
                               llmir_plan_view_t* out_plan,
                               llmir_error_t* error);

/* Lays out the pages of all KV layers, each layer's side by side; layers without heads have none.
 * Layers with a window have `window_page_count` pages, or if that is 0 as many as the others.
 *   out_places  [kv_layer_count]; may be NULL
 * Returns the bytes of all; UINT64_MAX if 64 bits do not hold them. */
uint64_t llmir_plan_place_kv(const llmir_plan_view_t* plan,
                             uint32_t storage,
                             uint32_t page_count,
                             uint32_t window_page_count,
                             llmir_kv_place_t* out_places);

#endif /* LLMIR_PLAN_H */
