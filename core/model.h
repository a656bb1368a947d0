/* The model object: a bundle made ready on a device. Immutable once loaded, so that any thread may
 * use it. */
#ifndef LLMIR_MODEL_H
#define LLMIR_MODEL_H

#include "core/bundle.h"
#include "core/chat.h"
#include "core/runtime.h"
#include "core/stage.h"
#include "core/tokenizer.h"

/* What became of a target when the model was loaded. */
typedef struct llmir_device_attempt {
    char device[64];     /* its name; "" if there is none */
    llmir_error_t error; /* code OK: taken, or not tried */
} llmir_device_attempt_t;

struct llmir_model {
    llmir_runtime_t* runtime;
    uint32_t flags;          /* llmir_model_flag_t */
    llmir_mapping_t mapping; /* zeroed if the bundle is the application's memory */
    llmir_bundle_t bundle;
    const llmir_model_record_t* record; /* in the bundle */
    char* strings;                      /* name and architecture, terminated */
    size_t string_bytes;
    const char* name;         /* in strings */
    const char* architecture; /* in strings */
    llmir_tensor_view_t* tensors;
    uint32_t tensor_count;
    uint64_t weights_bytes;
    llmir_plan_view_t plan;
    llmir_stage_t stages[LLMIR_MAX_STAGES];
    uint32_t stage_count; /* 0: no device was found yet */
    uint32_t main_stage;  /* the one on the device that was chosen */
    uint32_t layer_count; /* decoder layers of the plan that run on that device */
    void* split_block;    /* tables of stages; NULL: the model is not split */
    size_t split_bytes;
    uint64_t device_weights_bytes; /* weights in the memory of devices other than the processor */
    llmir_device_attempt_t attempts[LLMIR_TARGET_REGISTRY_MAX]; /* as the registry */
    char device_text[160];                                      /* llmir_model_info_t.device */
    llmir_tokenizer_t tokenizer;
    llmir_chat_t chat;
    uint32_t has_tokenizer;
    uint32_t has_chat;
    uint32_t token_bytes_max;                  /* of the longest token; 0 without a tokenizer */
    struct llmir_grammar_cache* grammar_cache; /* what grammars share; NULL without a tokenizer */
};

/* Stages of a model that is loaded. */
static inline uint32_t llmir_model_stage_count(const llmir_model_t* model) {
    return LLMIR_HAS_DEVICES ? model->stage_count : 1u;
}

/* The one on the device that was chosen. */
static inline const llmir_stage_t* llmir_model_main_stage(const llmir_model_t* model) {
    return &model->stages[LLMIR_HAS_DEVICES ? model->main_stage : 0u];
}

/* NULL if the bundle has none. */
const llmir_tokenizer_t* llmir_model_tokenizer(const llmir_model_t* model);
const llmir_chat_t* llmir_model_chat_table(const llmir_model_t* model);

/* The runtime's allocator. */
const llmir_allocator_t* llmir_model_allocator(const llmir_model_t* model);

#endif /* LLMIR_MODEL_H */
