/* Where everything of a pool lies in its arena: computed once, used to announce the memory and to
 * take it.
 *
 *   | state: pool, sessions, logits, page tables, batch | activations: slots | KV pages |
 *
 * The pages of a layer lie side by side, so that a device that binds only so much of a buffer needs
 * to bind one layer.
 *
 * Each of the three begins at a multiple of 64 bytes. Activations and pages are those of the stages
 * whose devices use the application's memory, one after the other. */
#ifndef LLMIR_POOL_LAYOUT_H
#define LLMIR_POOL_LAYOUT_H

#include "core/model.h"

/* Most tokens of one pass. */
#define LLMIR_POOL_MAX_CHUNK_TOKENS (1u << 20)

/* An array inside the arena. */
typedef struct llmir_arena_part {
    size_t offset;
    size_t bytes;
} llmir_arena_part_t;

/* The buffers of one stage. Offsets are from the start of the arena, or without meaning where the
 * device has its own memory. */
typedef struct llmir_stage_layout {
    llmir_arena_part_t activations;
    llmir_arena_part_t kv;
    size_t batch_offset; /* in the activations, for devices that copy the batch's arrays */
} llmir_stage_layout_t;

typedef struct llmir_pool_layout {
    /* The configuration, every default resolved. */
    uint32_t context_tokens;
    uint32_t session_count;
    uint32_t chunk_tokens;
    uint32_t output_rows;
    uint32_t guess_tokens; /* most of one session */
    uint32_t kv_type;
    uint32_t whole_windows; /* LLMIR_POOL_WHOLE_WINDOWS */
    /* KV pages. */
    uint32_t page_count;
    uint32_t bucket_count;      /* of the index of published pages */
    uint32_t session_tokens;    /* positions of the longest sequence */
    uint32_t page_table_stride; /* pages of the longest sequence */
    /* Pages of layers with a window, if these are kept apart; else zeros. */
    uint32_t window_tokens; /* the longest window */
    uint32_t window_page_count;
    size_t text_bytes; /* of one session's text stream */
    /* State. */
    llmir_arena_part_t pool;
    llmir_arena_part_t sessions;      /* llmir_session_t [session] */
    llmir_arena_part_t text;          /* char [session][text_bytes] */
    llmir_arena_part_t logits;        /* f32 [session][vocab] */
    llmir_arena_part_t page_tables;   /* u32 [session][stride] */
    llmir_arena_part_t window_tables; /* u32 [session][stride] */
    llmir_arena_part_t free_pages;    /* u32 [page] */
    llmir_arena_part_t token_ids;     /* i32 [page][page_tokens] */
    llmir_arena_part_t page_states;   /* llmir_kv_page_state_t [page] */
    llmir_arena_part_t buckets;       /* u32 [bucket_count] */
    llmir_arena_part_t window_free;   /* u32 [window page], as the next two of windows */
    llmir_arena_part_t window_states;
    llmir_arena_part_t window_buckets;
    llmir_arena_part_t tokens; /* i32 [chunk], as the next two */
    llmir_arena_part_t positions;
    llmir_arena_part_t token_sequence;
    llmir_arena_part_t output_indices; /* u32 [output row] */
    llmir_arena_part_t largest;        /* u32 [output row] */
    llmir_arena_part_t batch_tables;   /* u32 [session][stride] */
    llmir_arena_part_t batch_windows;  /* the same of windows */
    llmir_arena_part_t matches;        /* llmir_match_t [session]: where grammars stand */
    llmir_arena_part_t allowed;        /* u32 [vocab / 32 + 1]: tokens that a grammar allows */
    llmir_arena_part_t roll_ids;       /* i32 [session][2 * session_tokens] */
    llmir_arena_part_t guess_ids;      /* i32 [session][guess_tokens + 1] */
    llmir_arena_part_t guess_logits;   /* f32 [session][guess_tokens + 1][vocab], if any are */
    llmir_arena_part_t slot_offsets;   /* u64 [stage][slot] */
    llmir_arena_part_t kv_places;      /* llmir_kv_place_t [stage][KV layer] */
    llmir_arena_part_t candidates;     /* llmir_candidate_t [vocab] */
    llmir_arena_part_t recent;         /* i32 [LLMIR_SAMPLER_MAX_WINDOW] */
    llmir_arena_part_t marks;          /* llmir_sampler_mark_t [LLMIR_SAMPLER_MAX_WINDOW] */
    /* The three regions. */
    size_t state_bytes; /* the devices' buffer objects included */
    llmir_stage_layout_t stages[LLMIR_MAX_STAGES];
    size_t activation_bytes; /* of all stages, as the next one */
    size_t kv_bytes;
    size_t zero_bytes;   /* of the block, which begin as zeros */
    size_t block_bytes;  /* of the block that the pool takes; devices that cannot use the
                            application's memory keep activations and pages in their own */
    size_t device_bytes; /* in such memory */
    size_t arena_bytes;  /* of everything, the devices' buffer objects included */
} llmir_pool_layout_t;

/* Appends an array of `count` elements to an arena that ends at *inout_cursor, each array from a
 * multiple of 64 bytes on; a sum that wraps makes the cursor stick at SIZE_MAX. */
llmir_arena_part_t llmir_arena_append(size_t* inout_cursor, uint64_t count, uint64_t element_bytes);

/* Resolves the options (NULL: defaults) and lays the arena out.
 * Errors: INVALID_ARGUMENT, CAPACITY (beyond the address space). */
llmir_status_t llmir_pool_layout_make(const llmir_model_t* model,
                                      const llmir_pool_options_t* options,
                                      llmir_pool_layout_t* out_layout,
                                      llmir_error_t* error);

/* Bytes of a slot for the layout's token and output rows, a multiple of 64. */
uint64_t llmir_pool_slot_bytes(const llmir_pool_layout_t* layout, const llmir_plan_slot_t* slot);

#endif /* LLMIR_POOL_LAYOUT_H */
