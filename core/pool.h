/* A pool: the arena in which sessions of one model run, and the scratch of their passes. One thread
 * at a time uses a pool, so that batch and sampler scratch exist once. */
#ifndef LLMIR_POOL_H
#define LLMIR_POOL_H

#include "core/kv_pages.h"
#include "core/pool_layout.h"
#include "core/sampler.h"

struct llmir_pool {
    llmir_model_t* model;
    llmir_pool_layout_t layout;
    uint8_t* arena;                                /* begins with this struct */
    llmir_stage_memory_t memory[LLMIR_MAX_STAGES]; /* of the model's stages */
    llmir_kv_pages_t pages;
    llmir_kv_pages_t window_pages; /* without token ids; none without windows */
    llmir_session_t* sessions;     /* [layout.session_count] */
    uint32_t device_lost;
    uint64_t computed_count; /* tokens computed, those of failed passes not counted */
    uint64_t reused_count;   /* tokens whose pages were taken from the cache */
    uint64_t guessed_count;  /* tokens guessed and computed; of those, the ones sampled then */
    uint64_t accepted_count;
    uint64_t copied_count; /* pages copied because they were shared */
    /* Cancelling a pass over several sessions: see feed.c. */
    llmir_atomic_u32_t cancel;
    llmir_atomic_u32_t cancel_order;
    llmir_atomic_u32_t deadline; /* the earliest of a pass over several sessions */
    /* Scratch of one pass. */
    int32_t* tokens;
    int32_t* positions;
    uint32_t* token_sequence;
    uint32_t* output_indices;
    uint32_t* largest; /* [output_rows] what the device says of each row; UINT32_MAX: nothing */
    uint32_t* batch_tables;
    uint32_t* batch_windows;
    llmir_candidate_t* candidates;
    int32_t* recent;
    llmir_sampler_mark_t* marks;
    uint32_t* allowed; /* bits of the tokens that a grammar allows */
};

/* Whether a KV layer's pages are those of windows. */
static inline int llmir_pool_is_apart(const llmir_pool_t* pool, uint32_t layer) {
    return pool->layout.window_page_count != 0 && pool->model->plan.kv_layers[layer].window != 0;
}

/* Where a stage keeps its part of a layer's page; no bytes if the layer is another stage's. */
typedef struct llmir_page_place {
    llmir_buffer_t* buffer;
    size_t offset;
    size_t bytes;
} llmir_page_place_t;

static inline llmir_page_place_t llmir_pool_page(const llmir_pool_t* pool,
                                                 uint32_t stage,
                                                 uint32_t layer,
                                                 uint32_t page) {
    const llmir_stage_memory_t* memory = &pool->memory[stage];
    const llmir_kv_place_t* place = &memory->kv_places[layer];
    return (llmir_page_place_t){memory->kv, (size_t)(place->offset + page * place->page_bytes),
                                (size_t)place->page_bytes};
}

/* First byte of element `index` of an array of equal parts. */
static inline void* llmir_pool_at(const llmir_pool_t* pool,
                                  llmir_arena_part_t part,
                                  size_t index,
                                  size_t element_bytes) {
    return pool->arena + part.offset + index * element_bytes;
}

#endif /* LLMIR_POOL_H */
