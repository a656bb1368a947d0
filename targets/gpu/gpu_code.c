/* Whether a bundle's GPU code belongs to this plan, and which function runs a dispatch. */
#include "targets/gpu/gpu_code.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/size.h"

static uint32_t load_u32(const uint8_t* words, uint32_t index) {
    uint32_t value;
    memcpy(&value, words + (size_t)index * 4, sizeof value);
    return value;
}

static llmir_status_t check_record(const llmir_program_options_t* options,
                                   llmir_code_record_t* out_record,
                                   llmir_error_t* error) {
    if (options->code == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle has no code for this device");
    }
    if (options->code_bytes < sizeof *out_record) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: %zu bytes, expected at least %zu", options->code_bytes,
                          sizeof *out_record);
    }
    memcpy(out_record, options->code, sizeof *out_record);
    if (out_record->kernel_abi_version != LLMIR_KERNEL_ABI_VERSION) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code follows kernel ABI %" PRIu32 ", this runtime has %u",
                          out_record->kernel_abi_version, LLMIR_KERNEL_ABI_VERSION);
    }
    if (memcmp(out_record->plan_hash, options->plan_hash, LLMIR_BUNDLE_HASH_BYTES) != 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle's code was made for another plan");
    }
    if (out_record->entry_count != options->plan->record->variant_count) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "code section: %" PRIu32 " entries, expected %" PRIu32
                          ", one for each variant",
                          out_record->entry_count, options->plan->record->variant_count);
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

static llmir_status_t check_image(const uint8_t* data,
                                  uint64_t bytes,
                                  llmir_gpu_code_t* code,
                                  llmir_error_t* error) {
    llmir_gpu_image_t image;
    if (bytes < sizeof image) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: %" PRIu64 " bytes, expected at least %zu", bytes,
                          sizeof image);
    }
    memcpy(&image, data, sizeof image);
    if (!llmir_range_fits(image.function_offset,
                          (uint64_t)image.function_count * sizeof(llmir_gpu_function_t), bytes) ||
        !llmir_range_fits(image.binary_offset, image.binary_bytes, bytes) ||
        image.binary_offset % 4 != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: functions or binary reach beyond its %" PRIu64 " bytes",
                          bytes);
    }
    code->functions = data + image.function_offset;
    code->function_count = image.function_count;
    code->binary = data + image.binary_offset;
    code->binary_bytes = image.binary_bytes;
    code->packing = image.packing;
    code->module_bytes = image.module_bytes;
    code->largest = image.largest - 1u; /* LLMIR_GPU_ANY of 0 */
    if (image.largest > image.function_count) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: function %" PRIu32 " of %" PRIu32 " finds the largest logits",
                          image.largest, image.function_count);
    }
    return LLMIR_STATUS_OK;
}

/* What works in parts, and what joins them. */
static llmir_status_t check_split(const llmir_gpu_code_t* code,
                                  uint32_t index,
                                  const llmir_gpu_function_t* function,
                                  llmir_error_t* error) {
    uint32_t join = 0;
    if (function->split == 0) {
        return LLMIR_STATUS_OK;
    }
    if (function->split <= code->function_count) {
        join = llmir_gpu_code_function(code, function->split - 1u).split;
    }
    return function->split <= code->function_count && join <= code->function_count
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_CORRUPT,
                            "GPU image: function %" PRIu32 " is split by %" PRIu32 " and %" PRIu32
                            " of %" PRIu32,
                            index, function->split, join, code->function_count);
}

/* Chains go forward, so that they end. */
static llmir_status_t check_functions(const llmir_gpu_code_t* code, llmir_error_t* error) {
    for (uint32_t i = 0; i < code->variant_count; ++i) {
        const uint32_t entry = load_u32(code->entries, i);
        if (entry == 0 || entry > code->function_count) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "GPU image: entry %" PRIu32 " is %" PRIu32 " of %" PRIu32
                              " functions",
                              i, entry, code->function_count);
        }
    }
    for (uint32_t i = 0; i < code->function_count; ++i) {
        const llmir_gpu_function_t f = llmir_gpu_code_function(code, i);
        const int ends = f.next == 0 || (f.next > i + 1u && f.next <= code->function_count);
        if (!ends || f.threads == 0 || f.threads > 1024 || f.rows == 0 || f.grid_x == 0) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "GPU image: function %" PRIu32 " has %" PRIu32 " threads, %" PRIu32
                              " rows, a grid of %" PRIu32 ", and goes on at %" PRIu32,
                              i, f.threads, f.rows, f.grid_x, f.next);
        }
        LLMIR_TRY(check_split(code, i, &f, error));
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_code_open(const llmir_program_options_t* options,
                                   llmir_gpu_code_t* out_code,
                                   llmir_error_t* error) {
    llmir_code_record_t record = {0};
    memset(out_code, 0, sizeof *out_code);
    LLMIR_TRY(check_record(options, &record, error));
    out_code->entries = options->code + record.entry_offset;
    out_code->variant_count = record.entry_count;
    LLMIR_TRY(
        check_image(options->code + record.image_offset, record.image_bytes, out_code, error));
    return check_functions(out_code, error);
}

llmir_gpu_function_t llmir_gpu_code_function(const llmir_gpu_code_t* code, uint32_t index) {
    llmir_gpu_function_t function;
    memcpy(&function, code->functions + (size_t)index * sizeof function, sizeof function);
    return function;
}

uint32_t llmir_gpu_code_entry(const llmir_gpu_code_t* code, uint32_t variant) {
    return load_u32(code->entries, variant) - 1u;
}

uint32_t llmir_gpu_code_choose(const llmir_gpu_code_t* code,
                               uint32_t variant,
                               uint32_t kv_type,
                               uint32_t rows) {
    uint32_t best = LLMIR_GPU_ANY;
    uint32_t best_rows = 0;
    if (variant == LLMIR_GPU_ANY) {
        return code->largest;
    }
    for (uint32_t next = llmir_gpu_code_entry(code, variant) + 1u; next != 0;) {
        const llmir_gpu_function_t f = llmir_gpu_code_function(code, next - 1u);
        const int fits = (f.kv_type == LLMIR_GPU_ANY || f.kv_type == kv_type) && f.rows_min <= rows;
        if (fits && f.rows_min >= best_rows) {
            best = next - 1u;
            best_rows = f.rows_min;
        }
        next = f.next;
    }
    return best;
}
