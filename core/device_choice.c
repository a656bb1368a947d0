/* On which device a model runs. */
#include "core/device_choice.h"

#include <string.h>

#include "core/base/format.h"
#include "core/options.h"
#include "core/selftest.h"
#include "core/split.h"

/* What stands behind the name of a device: the rest runs on the processor. */
#define REST_SUFFIX ",cpu"

static size_t rest_suffix_bytes(const char* name) {
    const size_t suffix = sizeof REST_SUFFIX - 1u;
    const size_t bytes = strlen(name);
    return bytes > suffix && strcmp(name + bytes - suffix, REST_SUFFIX) == 0 ? suffix : 0u;
}

/* What the application asks for. */
typedef struct device_request {
    char name[32]; /* "": auto */
    llmir_split_wish_t split;
} device_request_t;

static int names_target(const char* name) {
    for (uint32_t i = 0; i < llmir_target_registry_count; ++i) {
        if (strcmp(name, llmir_target_registry[i]->name) == 0) {
            return 1;
        }
    }
    return 0;
}

static int is_part_of_name(const char* name) {
    return name[0] != '\0' && !names_target(name);
}

static llmir_status_t read_request(const llmir_model_options_t* options,
                                   device_request_t* out,
                                   llmir_error_t* error) {
    const char* name = options->device != NULL ? options->device : "auto";
    const int has_devices = LLMIR_HAS_DEVICES && llmir_target_registry_count > 1;
    const size_t suffix = has_devices ? rest_suffix_bytes(name) : 0u;
    const size_t bytes = strlen(name) - suffix;
    memset(out, 0, sizeof *out);
    if (bytes < sizeof out->name && (bytes != 4u || memcmp(name, "auto", 4) != 0)) {
        memcpy(out->name, name, bytes);
    }
    /* Only devices beside the processor have names. */
    if (bytes >= sizeof out->name || (is_part_of_name(out->name) && !has_devices)) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device '%.32s': not part of this build",
                          name);
    }
    if (!LLMIR_HAS_DEVICES) {
        return LLMIR_STATUS_OK;
    }
    out->split =
        (llmir_split_wish_t){.allowed = out->name[0] == '\0' || suffix != 0 ||
                                        options->device_layers != 0 || options->device_bytes != 0,
                             .layer_count = options->device_layers,
                             .layer_limit = UINT32_MAX,
                             .memory_bytes = options->device_bytes,
                             .pool = options->pool};
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_device_check_options(const llmir_model_options_t* options,
                                          llmir_error_t* error) {
    device_request_t request;
    return read_request(options, &request, error);
}

/* Whether a target may have the device, and what is wished for there. */
static int wish_for(const llmir_target_t* target, const char* name, llmir_device_wish_t* out_wish) {
    memset(out_wish, 0, sizeof *out_wish);
    if (!LLMIR_HAS_DEVICES || name[0] == '\0') {
        out_wish->no_software = 1;
        return 1;
    }
    if (names_target(name)) {
        return strcmp(name, target->name) == 0;
    }
    memcpy(out_wish->name, name, strlen(name) + 1u);
    return strcmp(target->name, "cpu") != 0;
}

static int is_own_code(const llmir_bundle_section_t* section, const llmir_device_caps_t* caps) {
    return LLMIR_HAS_DEVICES && caps->own_level != 0 && section->level == caps->own_level;
}

/* The code section of the highest level below `bound` that the device has; NULL if none fits. */
static const llmir_bundle_section_t* best_code(const llmir_model_t* model,
                                               const llmir_device_caps_t* caps,
                                               uint32_t bound) {
    const llmir_bundle_section_t* best = NULL;
    for (uint32_t i = 0; i < model->bundle.header->section_count; ++i) {
        const llmir_bundle_section_t* section = &model->bundle.sections[i];
        const int fits = section->kind == LLMIR_SECTION_CODE &&
                         section->target == caps->section_target && section->level < bound &&
                         (is_own_code(section, caps) ||
                          (section->level >> 8 == caps->level >> 8 && /* the architecture */
                           section->level <= caps->level));
        if (fits && (best == NULL || section->level > best->level)) {
            best = section;
        }
    }
    return best;
}

/* `code` may be NULL. */
static llmir_status_t load_code(const llmir_model_t* model,
                                llmir_stage_t* stage,
                                const llmir_bundle_section_t* code,
                                const uint8_t* plan_hash,
                                llmir_error_t* error) {
    llmir_program_options_t options = {.plan = &stage->plan, .plan_hash = plan_hash};
    if (code != NULL) {
        LLMIR_TRY(llmir_bundle_section_verify(&model->bundle, code, error));
        options.code = llmir_bundle_section_data(&model->bundle, code);
        options.code_bytes = (size_t)code->bytes;
        options.code_level = code->level;
    }
    return stage->device->target->program_load(stage->device, &options, &stage->program, error);
}

/* A driver may be too old for machine code that a newer assembler made, and still compile other
 * code. On success the error tells of the first. */
static llmir_status_t load_other_code(const llmir_model_t* model,
                                      llmir_stage_t* stage,
                                      const llmir_bundle_section_t* refused,
                                      const uint8_t* plan_hash,
                                      llmir_error_t* error) {
    const llmir_bundle_section_t* code = best_code(model, &stage->caps, refused->level);
    if (code == NULL) {
        return LLMIR_STATUS_UNSUPPORTED;
    }
    if (error != NULL) {
        llmir_runtime_log(model->runtime, LLMIR_LOG_WARNING, error->message);
        error->code = LLMIR_STATUS_OK;
    }
    return load_code(model, stage, code, plan_hash, error);
}

static llmir_status_t load_program(const llmir_model_t* model,
                                   llmir_stage_t* stage,
                                   const uint8_t* plan_hash,
                                   llmir_error_t* error) {
    const int is_main = stage == llmir_model_main_stage(model);
    const int no_code = (model->runtime->flags & LLMIR_RUNTIME_NO_BUNDLE_CODE) != 0;
    const llmir_bundle_section_t* code =
        no_code ? NULL : best_code(model, &stage->caps, UINT32_MAX);
    llmir_status_t status = load_code(model, stage, code, plan_hash, error);
    if (status == LLMIR_STATUS_UNSUPPORTED && code != NULL && is_own_code(code, &stage->caps)) {
        status = load_other_code(model, stage, code, plan_hash, error);
    }
    LLMIR_TRY(status);
    stage->device->target->program_code(stage->program, &stage->code, &stage->code_reason);
    if (no_code) {
        stage->code_reason = "the runtime was created with LLMIR_RUNTIME_NO_BUNDLE_CODE";
    } else if (code == NULL) {
        stage->code_reason = "the bundle has no code for this device";
    } else if (stage->code_reason[0] != '\0' && is_main) {
        llmir_runtime_log(model->runtime, LLMIR_LOG_WARNING, stage->code_reason);
    }
    return LLMIR_STATUS_OK;
}

/* Loads all stages, and has them tested if one is not the processor's. */
static llmir_status_t load_stages(llmir_model_t* model,
                                  const uint8_t* plan_hash,
                                  llmir_error_t* error) {
    int is_processor = 1;
    model->device_weights_bytes = 0;
    for (uint32_t i = 0; i < model->stage_count; ++i) {
        llmir_stage_t* stage = &model->stages[i];
        LLMIR_TRY(load_program(model, stage, plan_hash, error));
        if (LLMIR_HAS_DEVICES && stage->caps.section_target != LLMIR_SECTION_TARGET_CPU) {
            model->device_weights_bytes += llmir_split_weights(stage);
            is_processor = 0;
        }
    }
    return is_processor ? LLMIR_STATUS_OK : llmir_selftest_run(model, plan_hash, error);
}

void llmir_model_release_stages(llmir_model_t* model) {
    for (uint32_t i = 0; i < model->stage_count; ++i) {
        llmir_stage_t* stage = &model->stages[i];
        if (stage->program != NULL) {
            stage->device->target->program_unload(stage->program);
        }
    }
    if (LLMIR_HAS_DEVICES) {
        llmir_free(&model->runtime->allocator, model->split_block, model->split_bytes, 64);
        model->split_block = NULL;
    }
    model->stage_count = 0;
}

/* The whole model, or a part, on one device. On failure the model has no stages. */
static llmir_status_t try_device(llmir_model_t* model,
                                 llmir_device_t* device,
                                 const uint8_t* plan_hash,
                                 const llmir_split_wish_t* wish,
                                 llmir_error_t* error) {
    llmir_error_t reason = {0, {0}}; /* why it runs only a part */
    model->stages[0] = (llmir_stage_t){.device = device, .plan = model->plan};
    model->stage_count = 1;
    model->main_stage = 0;
    model->layer_count = model->record->layer_count;
    device->target->device_caps(device, &model->stages[0].caps);
    llmir_status_t status =
        LLMIR_HAS_DEVICES ? llmir_split_fit(model, wish, &reason, error) : LLMIR_STATUS_OK;
    if (status == LLMIR_STATUS_OK) {
        status = load_stages(model, plan_hash, error);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_model_release_stages(model);
    } else if (LLMIR_HAS_DEVICES && error != NULL && reason.message[0] != '\0') {
        *error = reason;
    }
    return status;
}

/* Tries one target, with fewer layers where a device refuses what should have fitted. */
static llmir_status_t try_target(llmir_model_t* model,
                                 uint32_t index,
                                 const uint8_t* plan_hash,
                                 const device_request_t* request,
                                 const llmir_device_wish_t* device_wish) {
    llmir_device_attempt_t* attempt = &model->attempts[index];
    llmir_split_wish_t wish = request->split;
    llmir_device_t* device = NULL;
    llmir_device_caps_t caps;
    LLMIR_TRY(llmir_runtime_device(model->runtime, index, device_wish, &device, &attempt->error));
    device->target->device_caps(device, &caps);
    (void)llmir_format(attempt->device, sizeof attempt->device, "%s", caps.name);
    if (LLMIR_HAS_DEVICES && request->name[0] == '\0' &&
        caps.section_target == LLMIR_SECTION_TARGET_CPU) {
        wish.allowed = 0; /* nothing is left to split with */
    }
    for (;;) {
        const llmir_status_t status = try_device(model, device, plan_hash, &wish, &attempt->error);
        const uint32_t layers = model->layer_count;
        if (!LLMIR_HAS_DEVICES || status != LLMIR_STATUS_OUT_OF_MEMORY || !wish.allowed ||
            wish.layer_count != 0 || layers <= 1u) {
            return status;
        }
        wish.layer_limit = wish.layer_limit == UINT32_MAX ? layers : layers - (layers + 3u) / 4u;
    }
}

/* What the model tells of its devices. */
static void describe_devices(llmir_model_t* model) {
    const llmir_stage_t* main_stage = llmir_model_main_stage(model);
    (void)llmir_format(model->device_text, sizeof model->device_text, "%s", main_stage->caps.name);
    if (LLMIR_HAS_DEVICES && model->stage_count > 1) {
        (void)llmir_format(model->device_text, sizeof model->device_text,
                           "%s (%u of %u layers), cpu", main_stage->caps.name, model->layer_count,
                           model->record->layer_count);
    }
}

llmir_status_t llmir_model_choose_device(llmir_model_t* model,
                                         const uint8_t* plan_hash,
                                         const llmir_model_options_t* options,
                                         llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_UNSUPPORTED;
    const llmir_error_t* last = NULL;
    device_request_t request;
    LLMIR_TRY(read_request(options, &request, error));
    for (uint32_t i = 0; i < llmir_target_registry_count; ++i) {
        llmir_device_wish_t wish;
        llmir_error_t* reason = &model->attempts[i].error;
        if (!wish_for(llmir_target_registry[i], request.name, &wish)) {
            (void)llmir_fail(reason, LLMIR_STATUS_OK, "another device was asked for");
            continue;
        }
        status = try_target(model, i, plan_hash, &request, &wish);
        if (status == LLMIR_STATUS_OK) {
            describe_devices(model);
            return status;
        }
        last = reason;
    }
    if (LLMIR_HAS_DEVICES &&
        (last == NULL || (status == LLMIR_STATUS_UNSUPPORTED && is_part_of_name(request.name)))) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device '%.32s': %s", request.name,
                          last != NULL ? last->message : "no target has it");
    }
    if (error != NULL) {
        *error = *last;
    }
    return status;
}

/* Decoder layers that run on a target's device; *out_taken is 1 if anything does. */
static uint32_t layers_on(const llmir_model_t* model,
                          const llmir_target_t* target,
                          int* out_taken) {
    uint32_t layers = 0;
    *out_taken = 0;
    if (!LLMIR_HAS_DEVICES) {
        *out_taken = 1;
        return model->layer_count;
    }
    for (uint32_t i = 0; i < model->stage_count; ++i) {
        if (model->stages[i].device->target == target) {
            const int is_main = i == model->main_stage;
            *out_taken = 1;
            layers += is_main ? model->layer_count : 0u;
            layers += i > model->main_stage ? model->record->layer_count - model->layer_count : 0u;
        }
    }
    return layers;
}

llmir_status_t llmir_model_device_report(const llmir_model_t* model,
                                         uint32_t index,
                                         llmir_device_report_t* inout_report,
                                         llmir_error_t* error) {
    int taken = 0;
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "device report: the model is NULL");
    }
    if (index >= llmir_target_registry_count) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device report: target %u of %u", index,
                          llmir_target_registry_count);
    }
    const llmir_target_t* target = llmir_target_registry[index];
    const llmir_device_attempt_t* attempt = &model->attempts[index];
    const uint32_t layers = layers_on(model, target, &taken);
    const int is_rest =
        LLMIR_HAS_DEVICES && taken && model->stages[model->main_stage].device->target != target;
    const llmir_device_report_t report = {
        .is_taken = (uint32_t)taken,
        .status = attempt->error.code,
        .target = target->name,
        .device = is_rest ? target->name : attempt->device,
        .reason = is_rest                                      ? "what is not on the other device"
                  : taken || attempt->error.message[0] != '\0' ? attempt->error.message
                                                               : "another device was taken before",
        .layer_count = layers,
    };
    return llmir_options_write(inout_report, &report, sizeof(report), "device report", error);
}
