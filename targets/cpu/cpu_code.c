/* Whether the bundle's code belongs to this plan and this processor, and its entry points. */
#include "targets/cpu/cpu_code.h"

#include <string.h>

#include "core/base/size.h"
#include "targets/cpu/cpu_level.h"
#include "targets/cpu/kernels/fingerprint.h"

static uint32_t load_entry(const uint8_t* entries, uint32_t index) {
    const uint8_t* entry = entries + (size_t)index * 4;
    return (uint32_t)entry[0] | (uint32_t)entry[1] << 8 | (uint32_t)entry[2] << 16 |
           (uint32_t)entry[3] << 24;
}

static llmir_status_t check_level(uint32_t level,
                                  uint32_t built_in_level,
                                  uint32_t level_max,
                                  llmir_error_t* error) {
    const char* name = llmir_cpu_level_name(level);
    if (!llmir_cpu_level_is_supported(level)) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code is for %s (0x%x), which this processor lacks", name,
                          level);
    }
    if (level_max != 0 && level > level_max) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code is for %s, the runtime is limited to %s", name,
                          llmir_cpu_level_name(level_max));
    }
    if (level < built_in_level) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code is for %s, the built-in kernels are better (%s)", name,
                          llmir_cpu_level_name(built_in_level));
    }
    return LLMIR_STATUS_OK;
}

/* Whether code fits the kernels and the executor of this library. Tiles are cut by both sides, so
 * code that cuts them another way would be given numbers of tiles that it does not have. */
static llmir_status_t check_kernel_abi(const llmir_code_record_t* record, llmir_error_t* error) {
    if (record->kernel_abi_version != LLMIR_KERNEL_ABI_VERSION) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code follows kernel ABI %u, this runtime has %u",
                          record->kernel_abi_version, LLMIR_KERNEL_ABI_VERSION);
    }
    if (record->record_bytes < sizeof *record) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: record of %u bytes, expected %zu or more",
                          record->record_bytes, sizeof *record);
    }
    const uint32_t fingerprint = llmir_kernel_fingerprint();
    if (record->kernel_fingerprint != fingerprint) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code cuts its work otherwise than this runtime: "
                          "fingerprint 0x%x, expected 0x%x",
                          record->kernel_fingerprint, fingerprint);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t read_record(const llmir_program_options_t* options,
                                  llmir_code_record_t* out_record,
                                  llmir_error_t* error) {
    if (options->code_bytes < LLMIR_CODE_RECORD_BYTES_MIN) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: %zu bytes, expected at least %u", options->code_bytes,
                          LLMIR_CODE_RECORD_BYTES_MIN);
    }
    memcpy(out_record, options->code, LLMIR_CODE_RECORD_BYTES_MIN);
    if (out_record->record_bytes < LLMIR_CODE_RECORD_BYTES_MIN ||
        out_record->record_bytes > options->code_bytes) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: record of %u bytes, expected %u or more",
                          out_record->record_bytes, LLMIR_CODE_RECORD_BYTES_MIN);
    }
    if (out_record->record_bytes >= sizeof *out_record) {
        memcpy(out_record, options->code, sizeof *out_record);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_record(const llmir_program_options_t* options,
                                   llmir_code_record_t* out_record,
                                   llmir_error_t* error) {
    const llmir_plan_record_t* plan = options->plan->record;
    LLMIR_TRY(read_record(options, out_record, error));
    LLMIR_TRY(check_kernel_abi(out_record, error));
    if (memcmp(out_record->plan_hash, options->plan_hash, LLMIR_BUNDLE_HASH_BYTES) != 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code was made for another plan");
    }
    if (out_record->entry_count != plan->variant_count) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: %u entries, expected %u, one for each variant",
                          out_record->entry_count, plan->variant_count);
    }
    if (!llmir_range_fits(out_record->entry_offset, (uint64_t)out_record->entry_count * 4,
                          options->code_bytes) ||
        !llmir_range_fits(out_record->image_offset, out_record->image_bytes, options->code_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: entries or image reach beyond its %zu bytes",
                          options->code_bytes);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_entries(const llmir_cpu_code_t* code, llmir_error_t* error) {
    for (uint32_t i = 0; i < code->entry_count; ++i) {
        const uint32_t address = load_entry(code->entries, i);
        if (address != 0 && !llmir_elf_has_code(&code->image, address)) {
            return llmir_fail(
                error, LLMIR_STATUS_CORRUPT,
                "code section: entry %u at 0x%x is outside of the executable segments", i, address);
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_code_load(const llmir_program_options_t* options,
                                   uint32_t built_in_level,
                                   uint32_t level_max,
                                   llmir_cpu_code_t* out_code,
                                   llmir_error_t* error) {
    memset(out_code, 0, sizeof *out_code);
    if (options->code == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle has no code for this processor");
    }
    llmir_code_record_t record = {0};
    LLMIR_TRY(check_level(options->code_level, built_in_level, level_max, error));
    LLMIR_TRY(check_record(options, &record, error));
    LLMIR_TRY(llmir_elf_load(options->code + record.image_offset, (size_t)record.image_bytes,
                             llmir_elf_native_abi(), &out_code->image, error));
    out_code->entries = options->code + record.entry_offset;
    out_code->entry_count = record.entry_count;
    const llmir_status_t status = check_entries(out_code, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_cpu_code_unload(out_code);
    }
    return status;
}

void llmir_cpu_code_unload(llmir_cpu_code_t* code) {
    llmir_elf_unload(&code->image);
    memset(code, 0, sizeof *code);
}

llmir_cpu_kernel_fn llmir_cpu_code_kernel(const llmir_cpu_code_t* code, uint32_t variant) {
    if (variant >= code->entry_count) {
        return NULL;
    }
    const uint32_t address = load_entry(code->entries, variant);
    return address == 0 ? NULL : (llmir_cpu_kernel_fn)((uintptr_t)code->image.pages + address);
}
