/* A plan laid out for a GPU: where weights lie in device memory, and for each dispatch what its
 * functions are given.
 *
 * Weights lie in a few large buffers, "chunks". A matrix that is larger than one binding may be is
 * worked on in parts of its rows; each part is a step of its own. Of the cache a step's layer is
 * bound. Activations are bound as a whole; where a slot begins is one of the words. */
#ifndef LLMIR_GPU_PLAN_H
#define LLMIR_GPU_PLAN_H

#include "targets/target.h"

#define LLMIR_GPU_TENSOR_ALIGNMENT 256u /* offsets of bindings: what all devices accept */

typedef struct llmir_gpu_limits {
    uint64_t binding_bytes; /* of one binding */
    uint64_t chunk_bytes;   /* of one allocation */
} llmir_gpu_limits_t;

/* Where a tensor lies. */
typedef struct llmir_gpu_place {
    uint32_t chunk;
    uint64_t offset;
} llmir_gpu_place_t;

typedef enum llmir_gpu_space {
    LLMIR_GPU_SPACE_NONE = 0,
    LLMIR_GPU_SPACE_ACTIVATIONS = 1,
    LLMIR_GPU_SPACE_KV = 2,
    LLMIR_GPU_SPACE_WEIGHTS = 3,
} llmir_gpu_space_t;

typedef struct llmir_gpu_binding {
    uint32_t space;  /* llmir_gpu_space_t */
    uint32_t chunk;  /* WEIGHTS */
    uint64_t offset; /* WEIGHTS, as `bytes`; a multiple of LLMIR_GPU_TENSOR_ALIGNMENT */
    uint64_t bytes;
} llmir_gpu_binding_t;

/* A dispatch, or a part of one. The last step finds the largest logits, if a submission wants them;
 * it has no variant. */
typedef struct llmir_gpu_step {
    uint32_t dispatch;
    uint32_t variant;                        /* LLMIR_GPU_ANY: see above */
    uint32_t extent;                         /* llmir_extent_t: of its rows */
    uint32_t kv_layer;                       /* LLMIR_GPU_ANY: none */
    uint32_t first_row;                      /* weight rows of the part; */
    uint32_t row_count;                      /* 0: the dispatch has no part */
    uint32_t slots[LLMIR_PLAN_MAX_OPERANDS]; /* LLMIR_GPU_ANY: not in a slot */
    uint32_t words[LLMIR_GPU_WORD_COUNT];    /* those that no batch changes */
    llmir_gpu_binding_t bindings[LLMIR_GPU_BINDING_COUNT];
} llmir_gpu_step_t;

/* Places all tensors, and in a chunk of its own what attention leaves between its parts
 * (LLMIR_GPU_SCRATCH_BINDING): out_places[tensor_count], whose chunk is LLMIR_GPU_ANY if there is
 * none. *out_chunk_count chunks are needed, one more than there are tensors at most. Errors:
 * CAPACITY (a tensor is larger than an allocation). */
llmir_status_t llmir_gpu_place_tensors(const llmir_plan_view_t* plan,
                                       const llmir_gpu_limits_t* limits,
                                       llmir_gpu_place_t* out_places,
                                       uint32_t* out_chunk_count,
                                       llmir_error_t* error);

/* Bytes of a chunk, from the places. */
uint64_t llmir_gpu_chunk_bytes(const llmir_plan_view_t* plan,
                               const llmir_gpu_place_t* places,
                               uint32_t chunk);

/* The steps of a plan; out_steps NULL: only their number. */
llmir_status_t llmir_gpu_make_steps(const llmir_plan_view_t* plan,
                                    const llmir_gpu_limits_t* limits,
                                    const llmir_gpu_place_t* places,
                                    llmir_gpu_step_t* out_steps,
                                    uint32_t* out_step_count,
                                    llmir_error_t* error);

/* Rows of a step in a submission. */
uint32_t llmir_gpu_step_rows(const llmir_gpu_step_t* step, const llmir_submission_t* submission);

/* The part of the KV buffer that a step with a KV layer is given, with offset and bytes. */
llmir_gpu_binding_t llmir_gpu_kv_binding(const llmir_gpu_step_t* step, const llmir_batch_t* batch);

/* All words of a step in a submission. */
void llmir_gpu_step_words(const llmir_plan_view_t* plan,
                          const llmir_gpu_step_t* step,
                          const llmir_submission_t* submission,
                          uint32_t out_words[LLMIR_GPU_WORD_COUNT]);

/* Workgroups along x. */
uint32_t llmir_gpu_step_grid(const llmir_gpu_step_t* step, const llmir_gpu_function_t* function);

#endif /* LLMIR_GPU_PLAN_H */
