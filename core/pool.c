/* Creating and destroying pools. The arena is one block of the application's allocator; state and
 * activations begin as zeros, KV pages are first written by the passes that read them. */
#include "core/pool.h"

#include <string.h>

#include "core/options.h"
#include "core/plan.h"
#include "core/session.h"

#define ARENA_ALIGNMENT 64u

llmir_status_t llmir_model_memory_plan(const llmir_model_t* model,
                                       const llmir_pool_options_t* options,
                                       llmir_memory_plan_t* inout_plan,
                                       llmir_error_t* error) {
    llmir_pool_layout_t layout;
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "memory plan: the model is NULL");
    }
    LLMIR_TRY(llmir_pool_layout_make(model, options, &layout, error));
    const llmir_memory_plan_t plan = {
        .weights_bytes = model->weights_bytes,
        .kv_bytes = layout.kv_bytes,
        .activation_bytes = layout.activation_bytes,
        .state_bytes = layout.state_bytes,
        .arena_bytes = layout.arena_bytes,
        .device_bytes = model->device_weights_bytes + layout.device_bytes};
    return llmir_options_write(inout_plan, &plan, sizeof(plan), "memory plan", error);
}

/* Takes the arena and leaves its first struct, the pool, with the layout. */
static llmir_status_t take_arena(llmir_model_t* model,
                                 const llmir_pool_layout_t* layout,
                                 llmir_pool_t** out_pool,
                                 llmir_error_t* error) {
    void* arena = NULL;
    LLMIR_TRY(llmir_reallocate(&model->runtime->allocator, &arena, 0, layout->block_bytes,
                               ARENA_ALIGNMENT, "pool", error));
    memset(arena, 0, layout->zero_bytes);
    llmir_pool_t* pool = arena;
    pool->model = model;
    pool->layout = *layout;
    pool->arena = arena;
    *out_pool = pool;
    return LLMIR_STATUS_OK;
}

/* A buffer over a part of the arena, or in the device's own memory. */
static llmir_status_t make_buffer(const llmir_pool_t* pool,
                                  const llmir_stage_t* stage,
                                  llmir_arena_part_t part,
                                  llmir_buffer_t** out_buffer,
                                  llmir_error_t* error) {
    const llmir_target_t* target = stage->device->target;
    return stage->caps.can_import
               ? target->buffer_import(stage->device, pool->arena + part.offset, part.bytes,
                                       out_buffer, error)
               : target->buffer_create(stage->device, part.bytes, out_buffer, error);
}

/* Slots lie one after the other in the activations. */
static llmir_status_t make_memory(llmir_pool_t* pool, uint32_t index, llmir_error_t* error) {
    const llmir_pool_layout_t* layout = &pool->layout;
    const llmir_stage_t* stage = &pool->model->stages[index];
    const llmir_plan_record_t* record = stage->plan.record;
    llmir_stage_memory_t* memory = &pool->memory[index];
    uint64_t* slot_offsets = llmir_pool_at(pool, layout->slot_offsets,
                                           (size_t)index * record->slot_count, sizeof(uint64_t));
    llmir_kv_place_t* places = llmir_pool_at(
        pool, layout->kv_places, (size_t)index * record->kv_layer_count, sizeof(llmir_kv_place_t));
    uint64_t offset = 0;
    for (uint32_t i = 0; i < record->slot_count; ++i) {
        slot_offsets[i] = offset;
        offset += llmir_pool_slot_bytes(layout, &stage->plan.slots[i]);
    }
    (void)llmir_plan_place_kv(&stage->plan, layout->kv_type, layout->page_count,
                              layout->window_page_count, places);
    memory->slot_offsets = slot_offsets;
    memory->batch_offset = layout->stages[index].batch_offset;
    memory->kv_places = places;
    LLMIR_TRY(
        make_buffer(pool, stage, layout->stages[index].activations, &memory->activations, error));
    return make_buffer(pool, stage, layout->stages[index].kv, &memory->kv, error);
}

static void place_scratch(llmir_pool_t* pool) {
    const llmir_pool_layout_t* layout = &pool->layout;
    uint8_t* arena = pool->arena;
    pool->sessions = (void*)(arena + layout->sessions.offset);
    pool->tokens = (void*)(arena + layout->tokens.offset);
    pool->positions = (void*)(arena + layout->positions.offset);
    pool->token_sequence = (void*)(arena + layout->token_sequence.offset);
    pool->output_indices = (void*)(arena + layout->output_indices.offset);
    if (LLMIR_HAS_DEVICES) {
        pool->largest = (void*)(arena + layout->largest.offset);
    }
    pool->batch_tables = (void*)(arena + layout->batch_tables.offset);
    pool->batch_windows = (void*)(arena + layout->batch_windows.offset);
    pool->candidates = (void*)(arena + layout->candidates.offset);
    pool->recent = (void*)(arena + layout->recent.offset);
    pool->marks = (void*)(arena + layout->marks.offset);
    pool->allowed = (void*)(arena + layout->allowed.offset);
    pool->pages = (llmir_kv_pages_t){
        .page_count = layout->page_count,
        .page_tokens = pool->model->plan.record->page_tokens,
        .bucket_count = layout->bucket_count,
        .free_pages = (void*)(arena + layout->free_pages.offset),
        .token_ids = (void*)(arena + layout->token_ids.offset),
        .states = (void*)(arena + layout->page_states.offset),
        .buckets = (void*)(arena + layout->buckets.offset),
    };
    llmir_kv_pages_init(&pool->pages);
    pool->window_pages = (llmir_kv_pages_t){
        .page_count = layout->window_page_count,
        .page_tokens = pool->model->plan.record->page_tokens,
        .bucket_count = llmir_kv_pages_buckets(layout->window_page_count),
        .free_pages = (void*)(arena + layout->window_free.offset),
        .states = (void*)(arena + layout->window_states.offset),
        .buckets = (void*)(arena + layout->window_buckets.offset),
    };
    llmir_kv_pages_init(&pool->window_pages);
}

llmir_status_t llmir_pool_create(llmir_model_t* model,
                                 const llmir_pool_options_t* options,
                                 llmir_pool_t** out_pool,
                                 llmir_error_t* error) {
    llmir_pool_layout_t layout;
    llmir_pool_t* pool = NULL;
    if (out_pool == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "pool: out_pool is NULL");
    }
    *out_pool = NULL;
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "pool: the model is NULL");
    }
    LLMIR_TRY(llmir_pool_layout_make(model, options, &layout, error));
    LLMIR_TRY(take_arena(model, &layout, &pool, error));
    for (uint32_t i = 0; i < llmir_model_stage_count(model); ++i) {
        const llmir_status_t status = make_memory(pool, i, error);
        if (status != LLMIR_STATUS_OK) {
            llmir_pool_destroy(pool);
            return status;
        }
    }
    place_scratch(pool);
    *out_pool = pool;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_pool_get_stats(const llmir_pool_t* pool,
                                    llmir_pool_stats_t* inout_stats,
                                    llmir_error_t* error) {
    if (pool == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "pool stats: the pool is NULL");
    }
    const llmir_pool_stats_t stats = {
        .page_count = pool->pages.page_count,
        .free_page_count = pool->pages.free_count,
        .cached_page_count = pool->pages.cached_count,
        .page_tokens = pool->pages.page_tokens,
        .computed_token_count = pool->computed_count,
        .reused_token_count = pool->reused_count,
        .evicted_page_count = pool->pages.evicted_count,
        .copied_page_count = pool->copied_count,
        .window_page_count = pool->window_pages.page_count,
        .free_window_page_count = pool->window_pages.free_count,
        .cached_window_page_count = pool->window_pages.cached_count,
        .guessed_token_count = pool->guessed_count,
        .accepted_token_count = pool->accepted_count,
    };
    return llmir_options_write(inout_stats, &stats, sizeof(stats), "pool stats", error);
}

void llmir_pool_destroy(llmir_pool_t* pool) {
    if (pool == NULL) {
        return;
    }
    for (uint32_t i = 0; i < llmir_model_stage_count(pool->model); ++i) {
        llmir_stage_memory_free(&pool->memory[i]);
    }
    llmir_free(&pool->model->runtime->allocator, pool->arena, pool->layout.block_bytes,
               ARENA_ALIGNMENT);
}
