/* Loading a model: map, check, find the sections, make the program. Each step fills a part of the
 * object; a failure anywhere destroys what there is. */
#include "core/model.h"

#include <stdio.h>
#include <string.h>

#include "core/base/size.h"
#include "core/device_choice.h"
#include "core/grammar/grammar.h"
#include "core/options.h"
#include "core/plan.h"
#include "core/tensors.h"
#include "core/text_stream.h"

/* ---- Sections ---- */

/* Finds a section and checks its hash; *out_data is NULL if there is none. */
static llmir_status_t open_section(const llmir_model_t* model,
                                   llmir_section_kind_t kind,
                                   const llmir_bundle_section_t** out_section,
                                   const uint8_t** out_data,
                                   llmir_error_t* error) {
    *out_data = NULL;
    LLMIR_TRY(
        llmir_bundle_find(&model->bundle, kind, LLMIR_SECTION_TARGET_ANY, out_section, error));
    if (*out_section != NULL) {
        LLMIR_TRY(llmir_bundle_section_verify(&model->bundle, *out_section, error));
        *out_data = llmir_bundle_section_data(&model->bundle, *out_section);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t require_section(const llmir_model_t* model,
                                      llmir_section_kind_t kind,
                                      const llmir_bundle_section_t** out_section,
                                      const uint8_t** out_data,
                                      llmir_error_t* error) {
    LLMIR_TRY(open_section(model, kind, out_section, out_data, error));
    return *out_data != NULL ? LLMIR_STATUS_OK
                             : llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                                          "the bundle has no %s section that fits this runtime",
                                          llmir_section_kind_name(kind));
}

static int is_text(const uint8_t* section, uint64_t bytes, llmir_bundle_range_t range) {
    return llmir_range_fits(range.offset, range.bytes, bytes) &&
           memchr(section + range.offset, 0, range.bytes) == NULL &&
           llmir_utf8_is_valid((const char*)section + range.offset, range.bytes);
}

/* Copies name and architecture, because strings in the file are not terminated. */
static llmir_status_t copy_strings(llmir_model_t* model,
                                   const uint8_t* section,
                                   llmir_error_t* error) {
    const llmir_bundle_range_t name = model->record->name;
    const llmir_bundle_range_t architecture = model->record->architecture;
    void* block = NULL;
    size_t bytes = 0;
    if (!llmir_size_add(name.bytes, architecture.bytes, &bytes) ||
        !llmir_size_add(bytes, 2, &bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "MODEL: strings too long");
    }
    LLMIR_TRY(llmir_allocate(&model->runtime->allocator, bytes, 1, "model strings", &block, error));
    model->strings = block;
    model->string_bytes = bytes;
    memcpy(model->strings, section + name.offset, name.bytes);
    memcpy(model->strings + name.bytes + 1u, section + architecture.offset, architecture.bytes);
    model->name = model->strings;
    model->architecture = model->strings + name.bytes + 1u;
    return LLMIR_STATUS_OK;
}

static llmir_status_t open_record(llmir_model_t* model, llmir_error_t* error) {
    const llmir_bundle_section_t* section = NULL;
    const uint8_t* data = NULL;
    LLMIR_TRY(require_section(model, LLMIR_SECTION_MODEL, &section, &data, error));
    const llmir_model_record_t* record = (const void*)data;
    if (section->bytes < sizeof(*record) || record->record_bytes < sizeof(*record)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "MODEL: the record is shorter than %zu bytes", sizeof(*record));
    }
    if (record->vocab_count < 1 || record->vocab_count > LLMIR_TENSOR_MAX_COLUMNS ||
        record->context_count < 1 || record->context_count > INT32_MAX) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "MODEL: %u tokens, context of %u",
                          record->vocab_count, record->context_count);
    }
    if (!is_text(data, section->bytes, record->name) ||
        !is_text(data, section->bytes, record->architecture)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "MODEL: name or architecture is no UTF-8 inside the section");
    }
    model->record = record;
    return copy_strings(model, data, error);
}

static llmir_status_t open_weights(llmir_model_t* model, llmir_error_t* error) {
    void* block = NULL;
    size_t bytes = 0;
    LLMIR_TRY(
        llmir_tensors_count(&model->bundle, &model->tensor_count, &model->weights_bytes, error));
    if (model->tensor_count == 0) {
        return LLMIR_STATUS_OK; /* a plan without tensors cannot be valid: it has no embedding */
    }
    if (!llmir_size_mul(model->tensor_count, sizeof(*model->tensors), &bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "WEIGHTS: %u tensors", model->tensor_count);
    }
    LLMIR_TRY(llmir_allocate(&model->runtime->allocator, bytes, _Alignof(llmir_tensor_view_t),
                             "tensor table", &block, error));
    model->tensors = block;
    return llmir_tensors_read(&model->bundle, model->tensors, error);
}

/* Tokenizer and chat template, where the bundle has them. */
static llmir_status_t open_text_sections(llmir_model_t* model, llmir_error_t* error) {
    const llmir_bundle_section_t* section = NULL;
    const uint8_t* data = NULL;
    LLMIR_TRY(open_section(model, LLMIR_SECTION_TOKENIZER, &section, &data, error));
    if (data == NULL) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_tokenizer_open(data, (size_t)section->bytes, model->record->vocab_count,
                                   &model->tokenizer, error));
    LLMIR_TRY(llmir_grammar_cache_create(&model->runtime->allocator, &model->grammar_cache, error));
    model->has_tokenizer = 1;
    for (uint32_t i = 0; i < model->tokenizer.token_count; ++i) {
        uint32_t bytes = 0;
        (void)llmir_tokenizer_token_bytes(&model->tokenizer, (int32_t)i, &bytes, NULL);
        if (bytes > model->token_bytes_max &&
            !llmir_tokenizer_is_special(&model->tokenizer, (int32_t)i)) {
            model->token_bytes_max = bytes;
        }
    }
    LLMIR_TRY(open_section(model, LLMIR_SECTION_CHAT, &section, &data, error));
    if (data != NULL) {
        LLMIR_TRY(
            llmir_chat_open(data, (size_t)section->bytes, &model->tokenizer, &model->chat, error));
        model->has_chat = 1;
    }
    return LLMIR_STATUS_OK;
}

/* Everything between the mapped bytes and the finished model. */
static llmir_status_t open_model(llmir_model_t* model,
                                 const void* data,
                                 size_t bytes,
                                 const llmir_model_options_t* options,
                                 llmir_error_t* error) {
    const llmir_bundle_section_t* plan = NULL;
    const uint8_t* plan_data = NULL;
    LLMIR_TRY(llmir_bundle_open(data, bytes, &model->bundle, error));
    for (uint32_t i = 0;
         (model->flags & LLMIR_MODEL_VERIFY) && i < model->bundle.header->section_count; ++i) {
        LLMIR_TRY(llmir_bundle_section_verify(&model->bundle, &model->bundle.sections[i], error));
    }
    LLMIR_TRY(open_record(model, error));
    LLMIR_TRY(open_weights(model, error));
    LLMIR_TRY(require_section(model, LLMIR_SECTION_PLAN, &plan, &plan_data, error));
    const llmir_plan_source_t source = {.section = plan_data,
                                        .section_bytes = (size_t)plan->bytes,
                                        .tensors = model->tensors,
                                        .tensor_count = model->tensor_count,
                                        .vocab_count = model->record->vocab_count};
    LLMIR_TRY(llmir_plan_open(&source, &model->plan, error));
    LLMIR_TRY(open_text_sections(model, error));
    return llmir_model_choose_device(model, plan->hash, options, error);
}

/* ---- The object ---- */

/* An empty model, and the options with all their fields. The application's pointer, *users_out, is
 * only set to NULL here. */
static llmir_status_t make_model(llmir_runtime_t* runtime,
                                 const llmir_model_options_t* options,
                                 llmir_model_t** users_out,
                                 llmir_model_t** out_model,
                                 llmir_model_options_t* out_options,
                                 llmir_error_t* error) {
    void* block = NULL;
    if (users_out != NULL) {
        *users_out = NULL;
    }
    if (runtime == NULL || users_out == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "model: runtime or out_model is NULL");
    }
    LLMIR_TRY(
        llmir_options_read(out_options, sizeof(*out_options), options, "model options", error));
    if ((out_options->flags & ~(uint32_t)LLMIR_MODEL_VERIFY) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "model options: flags %#x, known are %#x", out_options->flags,
                          (unsigned)LLMIR_MODEL_VERIFY);
    }
    LLMIR_TRY(llmir_device_check_options(out_options, error));
    LLMIR_TRY(llmir_allocate(&runtime->allocator, sizeof(llmir_model_t), _Alignof(llmir_model_t),
                             "model", &block, error));
    llmir_model_t* model = block;
    model->runtime = runtime;
    model->flags = out_options->flags;
    *out_model = model;
    return LLMIR_STATUS_OK;
}

/* Opens what `model` has mapped or was given, and hands it over or destroys it. */
static llmir_status_t finish_model(llmir_model_t* model,
                                   const void* data,
                                   size_t bytes,
                                   const llmir_model_options_t* options,
                                   llmir_model_t** out_model,
                                   llmir_error_t* error) {
    const llmir_status_t status = open_model(model, data, bytes, options, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_model_destroy(model);
        return status;
    }
    *out_model = model;
    return LLMIR_STATUS_OK;
}

/* Puts the file's name before a message. */
static void name_error(llmir_error_t* error, const char* path) {
    if (error != NULL) {
        const llmir_error_t inner = *error;
        (void)llmir_fail(error, (llmir_status_t)inner.code, "bundle '%.80s': %s", path,
                         inner.message);
    }
}

llmir_status_t llmir_model_load_file(llmir_runtime_t* runtime,
                                     const char* path,
                                     const llmir_model_options_t* options,
                                     llmir_model_t** out_model,
                                     llmir_error_t* error) {
    llmir_model_t* model = NULL;
    llmir_model_options_t own;
    LLMIR_TRY(make_model(runtime, options, out_model, &model, &own, error));
    llmir_status_t status =
        path != NULL ? llmir_file_map(path, &model->mapping, error)
                     : llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "model: path is NULL");
    if (status != LLMIR_STATUS_OK) {
        llmir_model_destroy(model);
        return status;
    }
    status = finish_model(model, model->mapping.data, model->mapping.bytes, &own, out_model, error);
    if (status != LLMIR_STATUS_OK) {
        name_error(error, path);
    }
    return status;
}

llmir_status_t llmir_model_load_descriptor(llmir_runtime_t* runtime,
                                           int32_t descriptor,
                                           uint64_t offset,
                                           uint64_t bytes,
                                           const llmir_model_options_t* options,
                                           llmir_model_t** out_model,
                                           llmir_error_t* error) {
    llmir_model_t* model = NULL;
    llmir_model_options_t own;
    LLMIR_TRY(make_model(runtime, options, out_model, &model, &own, error));
    const llmir_status_t status =
        llmir_descriptor_map(descriptor, offset, bytes, &model->mapping, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_model_destroy(model);
        return status;
    }
    return finish_model(model, model->mapping.data, model->mapping.bytes, &own, out_model, error);
}

llmir_status_t llmir_model_load_memory(llmir_runtime_t* runtime,
                                       const void* data,
                                       size_t bytes,
                                       const llmir_model_options_t* options,
                                       llmir_model_t** out_model,
                                       llmir_error_t* error) {
    llmir_model_t* model = NULL;
    llmir_model_options_t own;
    LLMIR_TRY(make_model(runtime, options, out_model, &model, &own, error));
    return finish_model(model, data, bytes, &own, out_model, error);
}

void llmir_model_destroy(llmir_model_t* model) {
    if (model == NULL) {
        return;
    }
    const llmir_allocator_t* allocator = &model->runtime->allocator;
    llmir_model_release_stages(model);
    llmir_free(allocator, model->tensors, model->tensor_count * sizeof(*model->tensors),
               _Alignof(llmir_tensor_view_t));
    llmir_free(allocator, model->strings, model->string_bytes, 1);
    llmir_grammar_cache_destroy(allocator, model->grammar_cache);
    llmir_unmap(&model->mapping);
    llmir_free(allocator, model, sizeof(*model), _Alignof(llmir_model_t));
}

llmir_status_t llmir_model_get_info(const llmir_model_t* model,
                                    llmir_model_info_t* inout_info,
                                    llmir_error_t* error) {
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "model info: the model is NULL");
    }
    const llmir_model_info_t info = {
        .vocab_count = model->record->vocab_count,
        .context_count = model->record->context_count,
        .layer_count = model->record->layer_count,
        .embedding_count = model->record->embedding_count,
        .kv_page_tokens = model->plan.record->page_tokens,
        .parameter_count = model->record->parameter_count,
        .bundle_bytes = model->bundle.bytes,
        .name = model->name,
        .architecture = model->architecture,
        .device = model->device_text,
        .code = llmir_model_main_stage(model)->code,
        .code_reason = llmir_model_main_stage(model)->code_reason,
    };
    return llmir_options_write(inout_info, &info, sizeof(info), "model info", error);
}

const llmir_tokenizer_t* llmir_model_tokenizer(const llmir_model_t* model) {
    return model->has_tokenizer ? &model->tokenizer : NULL;
}

const llmir_chat_t* llmir_model_chat_table(const llmir_model_t* model) {
    return model->has_chat ? &model->chat : NULL;
}

const llmir_allocator_t* llmir_model_allocator(const llmir_model_t* model) {
    return &model->runtime->allocator;
}
