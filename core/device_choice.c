/* On which device a model runs. */
#include "core/device_choice.h"

#include <string.h>

#include "core/base/format.h"
#include "core/options.h"
#include "core/pool_layout.h"
#include "core/selftest.h"

static int is_auto(const char* name) {
    return name == NULL || strcmp(name, "auto") == 0;
}

static int names_target(const char* name) {
    for (uint32_t i = 0; i < llmir_target_registry_count; ++i) {
        if (strcmp(name, llmir_target_registry[i]->name) == 0) {
            return 1;
        }
    }
    return 0;
}

static int is_part_of_name(const char* name) {
    return !is_auto(name) && !names_target(name);
}

llmir_status_t llmir_device_check_name(const char* name, llmir_error_t* error) {
    const llmir_device_wish_t wish = {{0}, 0};
    if (!is_part_of_name(name)) {
        return LLMIR_STATUS_OK;
    }
    /* Only devices beside the processor have names. */
    return llmir_target_registry_count > 1 && strlen(name) < sizeof wish.name
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device '%.32s': not part of this build",
                            name);
}

/* Whether a target may have the device, and what is wished for there. */
static int wish_for(const llmir_target_t* target, const char* name, llmir_device_wish_t* out_wish) {
    memset(out_wish, 0, sizeof *out_wish);
    if (is_auto(name)) {
        out_wish->no_software = 1;
        return 1;
    }
    if (names_target(name)) {
        return strcmp(name, target->name) == 0;
    }
    memcpy(out_wish->name, name, strlen(name) + 1u);
    return strcmp(target->name, "cpu") != 0;
}

/* The code section of the highest level that the device has; NULL if none fits. */
static const llmir_bundle_section_t* best_code(const llmir_model_t* model) {
    const llmir_bundle_section_t* best = NULL;
    for (uint32_t i = 0; i < model->bundle.header->section_count; ++i) {
        const llmir_bundle_section_t* section = &model->bundle.sections[i];
        const int fits = section->kind == LLMIR_SECTION_CODE &&
                         section->target == model->caps.section_target &&
                         section->level >> 8 == model->caps.level >> 8 && /* the architecture */
                         section->level <= model->caps.level;
        if (fits && (best == NULL || section->level > best->level)) {
            best = section;
        }
    }
    return best;
}

static llmir_status_t load_program(llmir_model_t* model,
                                   const uint8_t* plan_hash,
                                   llmir_error_t* error) {
    const llmir_target_t* target = model->device->target;
    const int no_code = (model->runtime->flags & LLMIR_RUNTIME_NO_BUNDLE_CODE) != 0;
    const llmir_bundle_section_t* code = no_code ? NULL : best_code(model);
    llmir_program_options_t options = {.plan = &model->plan, .plan_hash = plan_hash};
    if (code != NULL) {
        LLMIR_TRY(llmir_bundle_section_verify(&model->bundle, code, error));
        options.code = llmir_bundle_section_data(&model->bundle, code);
        options.code_bytes = (size_t)code->bytes;
        options.code_level = code->level;
    }
    LLMIR_TRY(target->program_load(model->device, &options, &model->program, error));
    target->program_code(model->program, &model->code, &model->code_reason);
    if (no_code) {
        model->code_reason = "the runtime was created with LLMIR_RUNTIME_NO_BUNDLE_CODE";
    } else if (code == NULL) {
        model->code_reason = "the bundle has no code for this device";
    } else if (model->code_reason[0] != '\0') {
        llmir_runtime_log(model->runtime, LLMIR_LOG_WARNING, model->code_reason);
    }
    return LLMIR_STATUS_OK;
}

/* Tries one target; on failure the model has no device and no program. */
static llmir_status_t try_target(llmir_model_t* model,
                                 uint32_t index,
                                 const uint8_t* plan_hash,
                                 const llmir_device_wish_t* wish,
                                 llmir_error_t* error) {
    const llmir_target_t* target = llmir_target_registry[index];
    llmir_pool_layout_t layout;
    LLMIR_TRY(llmir_runtime_device(model->runtime, index, wish, &model->device, error));
    target->device_caps(model->device, &model->caps);
    (void)llmir_format(model->attempts[index].device, sizeof model->attempts[index].device, "%s",
                       model->caps.name);
    llmir_status_t status = LLMIR_STATUS_OK;
    if (wish->no_software && model->caps.section_target != LLMIR_SECTION_TARGET_CPU) {
        status = llmir_pool_layout_make(model, NULL, &layout, error); /* it must fit */
    }
    if (status == LLMIR_STATUS_OK) {
        status = load_program(model, plan_hash, error);
    }
    if (status == LLMIR_STATUS_OK && model->caps.section_target != LLMIR_SECTION_TARGET_CPU) {
        status = llmir_selftest_run(model, plan_hash, error);
    }
    if (status != LLMIR_STATUS_OK) {
        if (model->program != NULL) {
            target->program_unload(model->program);
        }
        model->program = NULL;
        model->device = NULL;
    }
    return status;
}

llmir_status_t llmir_model_choose_device(llmir_model_t* model,
                                         const uint8_t* plan_hash,
                                         const char* name,
                                         llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_UNSUPPORTED;
    const llmir_error_t* last = NULL;
    for (uint32_t i = 0; i < llmir_target_registry_count; ++i) {
        llmir_device_wish_t wish;
        llmir_error_t* reason = &model->attempts[i].error;
        if (!wish_for(llmir_target_registry[i], name, &wish)) {
            (void)llmir_fail(reason, LLMIR_STATUS_OK, "another device was asked for");
            continue;
        }
        status = try_target(model, i, plan_hash, &wish, reason);
        if (status == LLMIR_STATUS_OK) {
            return status;
        }
        last = reason;
    }
    if (last == NULL || (status == LLMIR_STATUS_UNSUPPORTED && is_part_of_name(name))) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device '%.32s': %s", name,
                          last != NULL ? last->message : "no target has it");
    }
    if (error != NULL) {
        *error = *last;
    }
    return status;
}

llmir_status_t llmir_model_device_report(const llmir_model_t* model,
                                         uint32_t index,
                                         llmir_device_report_t* inout_report,
                                         llmir_error_t* error) {
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "device report: the model is NULL");
    }
    if (index >= llmir_target_registry_count) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND, "device report: target %u of %u", index,
                          llmir_target_registry_count);
    }
    const llmir_target_t* target = llmir_target_registry[index];
    const llmir_device_attempt_t* attempt = &model->attempts[index];
    const int taken = model->device->target == target;
    const llmir_device_report_t report = {
        .is_taken = (uint32_t)taken,
        .status = attempt->error.code,
        .target = target->name,
        .device = attempt->device,
        .reason = taken || attempt->error.message[0] != '\0' ? attempt->error.message
                                                             : "another device was taken before",
    };
    return llmir_options_write(inout_report, &report, sizeof(report), "device report", error);
}
