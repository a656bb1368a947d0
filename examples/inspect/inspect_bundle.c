/* Reading a bundle's tables by the format header. */
#include "inspect/inspect_bundle.h"

#include <string.h>

static int fits(uint64_t offset, uint64_t bytes, uint64_t total) {
    return offset <= total && bytes <= total - offset;
}

const char* inspect_open(const uint8_t* data, size_t bytes, inspect_bundle_t* out) {
    memset(out, 0, sizeof(*out));
    if (bytes < sizeof(out->header)) {
        return "shorter than a bundle's header";
    }
    memcpy(&out->header, data, sizeof(out->header));
    if (memcmp(out->header.magic, LLMIR_BUNDLE_MAGIC, sizeof(out->header.magic)) != 0) {
        return "not a bundle: the magic is missing";
    }
    const uint64_t table_bytes =
        (uint64_t)out->header.section_count * sizeof(llmir_bundle_section_t);
    if (!fits(out->header.section_table_offset, table_bytes, bytes)) {
        return "the section table lies outside of the file";
    }
    out->data = data;
    out->bytes = bytes;
    out->section_table = data + out->header.section_table_offset;
    return NULL;
}

const uint8_t* inspect_section(const inspect_bundle_t* bundle,
                               uint32_t index,
                               llmir_bundle_section_t* out) {
    memcpy(out, bundle->section_table + (size_t)index * sizeof(*out), sizeof(*out));
    return fits(out->offset, out->bytes, bundle->bytes) ? bundle->data + out->offset : NULL;
}

uint32_t inspect_tensor_count(const uint8_t* section, uint64_t bytes) {
    llmir_weights_record_t record;
    if (bytes < sizeof(record)) {
        return 0;
    }
    memcpy(&record, section, sizeof(record));
    const uint64_t table_bytes = (uint64_t)record.tensor_count * sizeof(llmir_tensor_record_t);
    return fits(record.tensor_table_offset, table_bytes, bytes) ? record.tensor_count : 0;
}

const char* inspect_tensor(const uint8_t* section,
                           uint64_t bytes,
                           uint32_t index,
                           llmir_tensor_record_t* out,
                           uint32_t* out_name_bytes) {
    llmir_weights_record_t record;
    memcpy(&record, section, sizeof(record));
    memcpy(out, section + record.tensor_table_offset + (size_t)index * sizeof(*out), sizeof(*out));
    *out_name_bytes = 0;
    if (!fits(out->name.offset, out->name.bytes, bytes)) {
        return "";
    }
    *out_name_bytes = out->name.bytes;
    return (const char*)section + out->name.offset;
}

const char* inspect_kind_name(uint32_t kind) {
    static const char* const names[] = {"",     "model", "tokenizer", "chat",   "weights",
                                        "plan", "code",  "selftest",  "report", "signature"};
    return kind < sizeof(names) / sizeof(names[0]) && kind > 0 ? names[kind] : "unknown";
}

const char* inspect_target_name(uint32_t target) {
    static const char* const names[] = {"any", "cpu", "vulkan", "cuda", "hip"};
    return target < sizeof(names) / sizeof(names[0]) ? names[target] : "unknown";
}

const char* inspect_layout_name(uint32_t layout) {
    static const char* const names[] = {"none",      "f32",       "f16",
                                        "panel_f32", "panel_f16", "panel_bf16",
                                        "panel_s4",  "panel_u4",  "panel_s8"};
    return layout < sizeof(names) / sizeof(names[0]) ? names[layout] : "unknown";
}

const char* inspect_level_name(uint32_t target, uint32_t level) {
    enum {
        CPU = LLMIR_SECTION_TARGET_CPU,
        VULKAN = LLMIR_SECTION_TARGET_VULKAN,
        CUDA = LLMIR_SECTION_TARGET_CUDA,
        HIP = LLMIR_SECTION_TARGET_HIP,
    };
    static const struct {
        uint32_t target;
        uint32_t level;
        const char* name;
    } levels[] = {
        {CPU, LLMIR_CPU_LEVEL_X86_64_V2, "x86-64-v2"},
        {CPU, LLMIR_CPU_LEVEL_X86_64_V3, "x86-64-v3"},
        {CPU, LLMIR_CPU_LEVEL_X86_64_V4_VNNI, "x86-64-v4-vnni"},
        {CPU, LLMIR_CPU_LEVEL_AARCH64, "aarch64-neon"},
        {CPU, LLMIR_CPU_LEVEL_AARCH64_DOTPROD, "aarch64-dotprod"},
        {CPU, LLMIR_CPU_LEVEL_AARCH64_I8MM, "aarch64-i8mm"},
        {CPU, LLMIR_CPU_LEVEL_ARMV7_NEON, "armv7-neon"},
        {CPU, LLMIR_CPU_LEVEL_RV64GCV, "rv64gcv"},
        {VULKAN, LLMIR_VULKAN_LEVEL_BASE, "vulkan-base"},
        {VULKAN, LLMIR_VULKAN_LEVEL_DOT, "vulkan-dot"},
        {VULKAN, LLMIR_VULKAN_LEVEL_SOFTWARE, "vulkan-software"},
        {CUDA, 75, "cuda-sm_75"},
        {CUDA, 80, "cuda-sm_80"},
    /* clang-format off */
#define MATRIX(number, rows, tokens, columns, threads) \
        {VULKAN, LLMIR_VULKAN_LEVEL_MATRIX(number), "vulkan-matrix-" #rows "x" #tokens "x" #columns},
#define CUBIN(sm) {CUDA, LLMIR_GPU_LEVEL_CUBIN(sm), "cuda-cubin-sm_" #sm},
        LLMIR_VULKAN_MATRICES(MATRIX)
        LLMIR_CUDA_CUBINS(CUBIN)
#undef CUBIN
#undef MATRIX
        /* clang-format on */
        {HIP, LLMIR_GPU_LEVEL_HIP(0x906), "hip-gfx906"},
        {HIP, LLMIR_GPU_LEVEL_HIP(0x90a), "hip-gfx90a"},
        {HIP, LLMIR_GPU_LEVEL_HIP(0x942), "hip-gfx942"},
        {HIP, LLMIR_GPU_LEVEL_HIP(0x1030), "hip-gfx1030"},
        {HIP, LLMIR_GPU_LEVEL_HIP(0x1100), "hip-gfx1100"},
        {HIP, LLMIR_GPU_LEVEL_HIP(0x1201), "hip-gfx1201"},
    };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); ++i) {
        if (levels[i].target == target && levels[i].level == level) {
            return levels[i].name;
        }
    }
    return "";
}
