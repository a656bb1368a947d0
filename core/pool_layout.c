/* Sizes of a pool. All arithmetic is checked: options and plan may hold any numbers. */
#include "core/pool_layout.h"

#include <string.h>

#include "core/base/size.h"
#include "core/options.h"
#include "core/plan.h"
#include "core/session.h"
#include "quant/kv_layout.h"

#define ARENA_ALIGNMENT 64u

_Static_assert((int)LLMIR_KV_F16 == (int)LLMIR_KV_STORAGE_F16 &&
                   (int)LLMIR_KV_F32 == (int)LLMIR_KV_STORAGE_F32 &&
                   (int)LLMIR_KV_Q8 == (int)LLMIR_KV_STORAGE_Q8 &&
                   (int)LLMIR_KV_Q4 == (int)LLMIR_KV_STORAGE_Q4,
               "the application's kv_type is the storage of the pages");

llmir_arena_part_t llmir_arena_append(size_t* inout_cursor,
                                      uint64_t count,
                                      uint64_t element_bytes) {
    llmir_arena_part_t part = {*inout_cursor, 0};
    size_t end = 0;
    if (*inout_cursor == SIZE_MAX || count > SIZE_MAX || element_bytes > SIZE_MAX ||
        !llmir_size_mul((size_t)count, (size_t)element_bytes, &part.bytes) ||
        !llmir_size_add(part.offset, part.bytes, &end) ||
        !llmir_size_align(end, ARENA_ALIGNMENT, &end)) {
        *inout_cursor = SIZE_MAX;
        return (llmir_arena_part_t){0, 0};
    }
    *inout_cursor = end;
    return part;
}

static uint32_t smaller(uint64_t a, uint64_t b) {
    return (uint32_t)(a < b ? a : b);
}

static llmir_status_t resolve(const llmir_model_t* model,
                              const llmir_pool_options_t* options,
                              llmir_pool_layout_t* layout,
                              llmir_error_t* error) {
    const uint32_t model_context = model->record->context_count;
    if (options->kv_type >= LLMIR_KV_STORAGE_COUNT) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "pool options: kv_type %u, known are 0 to %u", options->kv_type,
                          LLMIR_KV_STORAGE_COUNT - 1u);
    }
    if (options->chunk_tokens > LLMIR_POOL_MAX_CHUNK_TOKENS) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "pool options: chunk_tokens %u, at most %u", options->chunk_tokens,
                          LLMIR_POOL_MAX_CHUNK_TOKENS);
    }
    if ((options->flags & ~(uint32_t)LLMIR_POOL_WHOLE_WINDOWS) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "pool options: flags %#x, known are %#x", options->flags,
                          (unsigned)LLMIR_POOL_WHOLE_WINDOWS);
    }
    layout->whole_windows = (options->flags & LLMIR_POOL_WHOLE_WINDOWS) != 0;
    layout->kv_type = options->kv_type;
    layout->session_count = options->session_count != 0 ? options->session_count : 1u;
    /* More positions than all sessions can use, more tokens in a pass than there are positions,
     * more outputs than tokens: nobody could use them. */
    layout->context_tokens =
        smaller(options->context_tokens != 0 ? options->context_tokens : model_context,
                (uint64_t)layout->session_count * model_context);
    layout->context_tokens = smaller(layout->context_tokens, INT32_MAX);
    layout->chunk_tokens = smaller(
        options->chunk_tokens != 0 ? options->chunk_tokens : model->plan.record->chunk_tokens,
        layout->context_tokens);
    if (options->guess_tokens > LLMIR_MAX_GUESS_TOKENS) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "pool options: guess_tokens %u, at most %u", options->guess_tokens,
                          LLMIR_MAX_GUESS_TOKENS);
    }
    layout->guess_tokens = options->guess_tokens;
    layout->output_rows =
        smaller(options->output_rows != 0 ? options->output_rows
                                          : (uint64_t)layout->session_count + options->guess_tokens,
                layout->chunk_tokens);
    return LLMIR_STATUS_OK;
}

/* Pages that always suffice for context_tokens positions, however they are spread over the
 * sessions: at worst every session but one has one position in its last page. */
static uint32_t page_count_of(const llmir_pool_layout_t* layout, uint32_t page_tokens) {
    const uint32_t sessions = smaller(layout->session_count, layout->context_tokens);
    return (layout->context_tokens - sessions) / page_tokens + sessions;
}

/* Layers with windows get pages of their own, unless all positions take no more. */
static void lay_out_windows(const llmir_model_t* model, llmir_pool_layout_t* layout) {
    uint32_t window = 0;
    for (uint32_t i = 0; i < model->plan.record->kv_layer_count; ++i) {
        const uint32_t tokens = model->plan.kv_layers[i].window;
        window = tokens > window ? tokens : window;
    }
    const uint64_t pages = llmir_kv_window_pages(window, model->plan.record->page_tokens,
                                                 layout->session_count, layout->chunk_tokens);
    if (window != 0 && !layout->whole_windows && pages < layout->page_count) {
        layout->window_tokens = window;
        layout->window_page_count = (uint32_t)pages;
    }
}

static void lay_out_pages(const llmir_model_t* model, llmir_pool_layout_t* layout) {
    const uint32_t page_tokens = model->plan.record->page_tokens;
    const uint32_t longest = smaller(layout->context_tokens, model->record->context_count);
    layout->session_tokens = longest;
    layout->page_count = page_count_of(layout, page_tokens);
    layout->bucket_count = llmir_kv_pages_buckets(layout->page_count);
    layout->page_table_stride = longest / page_tokens + (longest % page_tokens != 0);
    lay_out_windows(model, layout);
}

uint64_t llmir_pool_slot_bytes(const llmir_pool_layout_t* layout, const llmir_plan_slot_t* slot) {
    const uint64_t tokens = (uint64_t)layout->chunk_tokens * slot->token_row_bytes;
    const uint64_t outputs = (uint64_t)layout->output_rows * slot->output_row_bytes;
    const uint64_t bytes = tokens > outputs ? tokens : outputs;
    return (bytes + (ARENA_ALIGNMENT - 1u)) & ~(uint64_t)(ARENA_ALIGNMENT - 1u);
}

static void lay_out_state(const llmir_model_t* model, llmir_pool_layout_t* layout, size_t* cursor) {
    const uint32_t sessions = layout->session_count;
    const uint32_t vocab = model->record->vocab_count;
    layout->text_bytes = LLMIR_TEXT_STREAM_BYTES((size_t)model->token_bytes_max);
    layout->pool = llmir_arena_append(cursor, 1, sizeof(llmir_pool_t));
    layout->sessions = llmir_arena_append(cursor, sessions, sizeof(llmir_session_t));
    layout->text = llmir_arena_append(cursor, sessions, layout->text_bytes);
    layout->logits = llmir_arena_append(cursor, (uint64_t)sessions * vocab, sizeof(float));
    layout->page_tables = llmir_arena_append(cursor, (uint64_t)sessions * layout->page_table_stride,
                                             sizeof(uint32_t));
    layout->window_tables = llmir_arena_append(
        cursor, (uint64_t)sessions * layout->page_table_stride, sizeof(uint32_t));
    layout->free_pages = llmir_arena_append(cursor, layout->page_count, sizeof(uint32_t));
    layout->token_ids = llmir_arena_append(
        cursor, (uint64_t)layout->page_count * model->plan.record->page_tokens, sizeof(int32_t));
    layout->page_states =
        llmir_arena_append(cursor, layout->page_count, sizeof(llmir_kv_page_state_t));
    layout->buckets = llmir_arena_append(cursor, layout->bucket_count, sizeof(uint32_t));
    layout->window_free = llmir_arena_append(cursor, layout->window_page_count, sizeof(uint32_t));
    layout->window_states =
        llmir_arena_append(cursor, layout->window_page_count, sizeof(llmir_kv_page_state_t));
    layout->window_buckets = llmir_arena_append(
        cursor, llmir_kv_pages_buckets(layout->window_page_count), sizeof(uint32_t));
    layout->tokens = llmir_arena_append(cursor, layout->chunk_tokens, sizeof(int32_t));
    layout->positions = llmir_arena_append(cursor, layout->chunk_tokens, sizeof(int32_t));
    layout->token_sequence = llmir_arena_append(cursor, layout->chunk_tokens, sizeof(uint32_t));
    layout->output_indices = llmir_arena_append(cursor, layout->output_rows, sizeof(uint32_t));
    if (LLMIR_HAS_DEVICES) {
        layout->largest = llmir_arena_append(cursor, layout->output_rows, sizeof(uint32_t));
    }
    layout->batch_tables = llmir_arena_append(
        cursor, (uint64_t)sessions * layout->page_table_stride, sizeof(uint32_t));
    layout->batch_windows = llmir_arena_append(
        cursor, (uint64_t)sessions * layout->page_table_stride, sizeof(uint32_t));
    layout->matches = llmir_arena_append(cursor, sessions, sizeof(llmir_match_t));
    layout->allowed = llmir_arena_append(cursor, vocab / 32u + 1u, sizeof(uint32_t));
    layout->roll_ids = llmir_arena_append(cursor, 2u * (uint64_t)sessions * layout->session_tokens,
                                          sizeof(int32_t));
    const uint64_t guess_rows = (uint64_t)sessions * (layout->guess_tokens + 1u);
    layout->guess_ids = llmir_arena_append(cursor, guess_rows, sizeof(int32_t));
    layout->guess_logits = llmir_arena_append(
        cursor, layout->guess_tokens != 0 ? guess_rows * vocab : 0u, sizeof(float));
    const uint64_t stages = llmir_model_stage_count(model);
    layout->slot_offsets =
        llmir_arena_append(cursor, stages * model->plan.record->slot_count, sizeof(uint64_t));
    layout->kv_places = llmir_arena_append(cursor, stages * model->plan.record->kv_layer_count,
                                           sizeof(llmir_kv_place_t));
    layout->candidates = llmir_arena_append(cursor, vocab, sizeof(llmir_candidate_t));
    layout->recent = llmir_arena_append(cursor, LLMIR_SAMPLER_MAX_WINDOW, sizeof(int32_t));
    layout->marks =
        llmir_arena_append(cursor, LLMIR_SAMPLER_MAX_WINDOW, sizeof(llmir_sampler_mark_t));
}

static void lay_out_kv(const llmir_pool_layout_t* layout,
                       const llmir_stage_t* stage,
                       llmir_stage_layout_t* out,
                       size_t* cursor) {
    const uint64_t bytes = llmir_plan_place_kv(&stage->plan, layout->kv_type, layout->page_count,
                                               layout->window_page_count, NULL);
    /* Without attention too: devices make no empty buffers. */
    out->kv = llmir_arena_append(cursor, 1, bytes != 0 ? bytes : ARENA_ALIGNMENT);
}

/* Of the arrays of the largest batch. */
static uint64_t batch_bytes_of(const llmir_pool_layout_t* layout) {
    return llmir_batch_arrays(layout->chunk_tokens, layout->output_rows, layout->session_count,
                              layout->page_table_stride, layout->window_page_count != 0)
        .bytes;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void lay_out_activations(const llmir_pool_layout_t* layout,
                                const llmir_stage_t* stage,
                                llmir_stage_layout_t* out,
                                size_t* cursor) {
    out->activations.offset = *cursor;
    for (uint32_t i = 0; i < stage->plan.record->slot_count; ++i) {
        (void)llmir_arena_append(cursor, 1, llmir_pool_slot_bytes(layout, &stage->plan.slots[i]));
    }
    if (stage->caps.copies_batch) {
        out->batch_offset = *cursor - out->activations.offset;
        (void)llmir_arena_append(cursor, 1, batch_bytes_of(layout));
    }
    out->activations.bytes = *cursor - out->activations.offset;
}

/* Bytes of the KV layer that takes most. */
static uint64_t largest_layer(const llmir_plan_view_t* plan, const llmir_pool_layout_t* layout) {
    uint64_t largest = 0;
    for (uint32_t i = 0; i < plan->record->kv_layer_count; ++i) {
        const llmir_plan_kv_layer_t* layer = &plan->kv_layers[i];
        const int apart = layout->window_page_count != 0 && layer->window != 0;
        largest = larger(
            largest, (apart ? layout->window_page_count : layout->page_count) *
                         llmir_kv_layer_bytes(layer, layout->kv_type, plan->record->page_tokens));
    }
    return largest;
}

/* The device must be able to use such a cache and to bind the buffers. */
static llmir_status_t check_device(const llmir_stage_t* stage,
                                   const llmir_pool_layout_t* layout,
                                   const llmir_stage_layout_t* own,
                                   llmir_error_t* error) {
    const llmir_device_caps_t* caps = &stage->caps;
    if ((caps->kv_types >> layout->kv_type & 1u) == 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "pool options: kv_type %u, which device '%s' has no kernels for",
                          layout->kv_type, caps->name);
    }
    if (!LLMIR_HAS_DEVICES) {
        return LLMIR_STATUS_OK;
    }
    const uint64_t buffer = larger(own->activations.bytes, own->kv.bytes);
    const uint64_t binding = larger(own->activations.bytes, largest_layer(&stage->plan, layout));
    if (caps->buffer_bytes != 0 && buffer > caps->buffer_bytes) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "pool: %u positions take a buffer of %llu bytes, device '%s' has %llu at "
                          "most",
                          layout->context_tokens, (unsigned long long)buffer, caps->name,
                          (unsigned long long)caps->buffer_bytes);
    }
    if (caps->binding_bytes != 0 && binding > caps->binding_bytes) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "pool: %u positions, %u a pass, take %llu bytes in one binding, device "
                          "'%s' binds %llu at most",
                          layout->context_tokens, layout->chunk_tokens, (unsigned long long)binding,
                          caps->name, (unsigned long long)caps->binding_bytes);
    }
    return LLMIR_STATUS_OK;
}

/* The regions behind the state: all activations, then all pages, in the block or on the devices;
 * *out_bytes is the sum of everything. Returns 0 if it is more than the address space. */
static int lay_out_stages(const llmir_model_t* model,
                          llmir_pool_layout_t* layout,
                          size_t* out_bytes) {
    size_t block = layout->state_bytes;
    size_t device = 0;
    size_t objects = 0;
    for (int is_kv = 0; is_kv < 2; ++is_kv) {
        for (uint32_t i = 0; i < llmir_model_stage_count(model); ++i) {
            const llmir_stage_t* stage = &model->stages[i];
            llmir_stage_layout_t* own = &layout->stages[i];
            size_t* cursor = stage->caps.can_import ? &block : &device;
            if (is_kv) {
                lay_out_kv(layout, stage, own, cursor);
                layout->kv_bytes += own->kv.bytes;
            } else {
                lay_out_activations(layout, stage, own, cursor);
                layout->activation_bytes += own->activations.bytes;
            }
            objects += stage->caps.import_bytes;
        }
        layout->zero_bytes = is_kv ? layout->zero_bytes : block;
    }
    layout->block_bytes = block;
    layout->device_bytes = device;
    layout->state_bytes += objects;
    return block != SIZE_MAX && device != SIZE_MAX && llmir_size_add(block, device, out_bytes) &&
           llmir_size_add(*out_bytes, objects, out_bytes);
}

llmir_status_t llmir_pool_layout_make(const llmir_model_t* model,
                                      const llmir_pool_options_t* options,
                                      llmir_pool_layout_t* out_layout,
                                      llmir_error_t* error) {
    llmir_pool_options_t own;
    size_t cursor = 0;
    memset(out_layout, 0, sizeof(*out_layout));
    LLMIR_TRY(llmir_options_read(&own, sizeof(own), options, "pool options", error));
    LLMIR_TRY(resolve(model, &own, out_layout, error));
    lay_out_pages(model, out_layout);
    lay_out_state(model, out_layout, &cursor);
    out_layout->state_bytes = cursor;
    if (cursor == SIZE_MAX || !lay_out_stages(model, out_layout, &out_layout->arena_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "pool: %u tokens in %u sessions, %u a pass, take more than the address "
                          "space",
                          out_layout->context_tokens, out_layout->session_count,
                          out_layout->chunk_tokens);
    }
    for (uint32_t i = 0; i < llmir_model_stage_count(model); ++i) {
        LLMIR_TRY(check_device(&model->stages[i], out_layout, &out_layout->stages[i], error));
    }
    return LLMIR_STATUS_OK;
}
