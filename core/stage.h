/* A model's plan as stages: ranges of its dispatches that follow each other, each made ready on one
 * device. A model that runs on one device has one stage; one that is split between a device and the
 * processor has up to three (core/split.h).
 *
 * A stage has its own program, activations and cache. What the next one reads of a stage's
 * activations is copied when it begins, rows of the batch only. The cache of a stage holds the
 * layers that run there, so that page numbers, page tables and saved sessions know nothing of
 * stages. */
#ifndef LLMIR_STAGE_H
#define LLMIR_STAGE_H

#include "core/trace.h"
#include "targets/target.h"

#define LLMIR_MAX_STAGES 3u

/* Builds with the processor alone leave out what other devices need. */
#if defined(LLMIR_ONLY_CPU)
enum { LLMIR_HAS_DEVICES = 0 };
#else
enum { LLMIR_HAS_DEVICES = 1 };
#endif

typedef struct llmir_stage {
    llmir_device_t* device; /* the runtime's */
    llmir_device_caps_t caps;
    llmir_program_t* program; /* NULL: not loaded */
    /* What the program runs. Of a part of the model's plan: its dispatches, and tables in which
     * tensors, slots and KV layers of other stages are empty. */
    llmir_plan_view_t plan;
    uint32_t first_dispatch; /* in the model's plan */
    uint32_t import_count;   /* buffers whose rows come from the stage before, */
    const uint32_t* imports; /* [import_count] */
    const char* code;        /* llmir_model_info_t.code of the program */
    const char* code_reason;
} llmir_stage_t;

/* Where a stage computes. */
typedef struct llmir_stage_memory {
    llmir_buffer_t* activations; /* NULL: not there */
    llmir_buffer_t* kv;
    const uint64_t* slot_offsets; /* as the next two in llmir_submission_t and llmir_batch_t */
    uint64_t batch_offset;
    const llmir_kv_place_t* kv_places; /* no bytes for layers of other stages */
} llmir_stage_memory_t;

/* What all stages of a pass share. */
typedef struct llmir_stage_pass {
    const llmir_batch_t* batch;         /* without kv_places, which are each stage's own */
    const llmir_atomic_u32_t* cancel;   /* as in llmir_submission_t */
    const llmir_atomic_u32_t* deadline; /* likewise */
    llmir_trace_t* trace;               /* NULL: none */
    uint32_t* largest;                  /* of the last stage, as in llmir_submission_t */
} llmir_stage_pass_t;

/* Runs a batch through the stages, one after the other, and waits. Errors: those of the devices. */
llmir_status_t llmir_stages_run(const llmir_stage_t* stages,
                                const llmir_stage_memory_t* memory,
                                uint32_t stage_count,
                                const llmir_stage_pass_t* pass,
                                llmir_error_t* error);

/* Destroys both buffers. */
void llmir_stage_memory_free(llmir_stage_memory_t* memory);

#endif /* LLMIR_STAGE_H */
