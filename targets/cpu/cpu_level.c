/* What the processor can do. x86 processors are asked by CPUID, and XGETBV tells which registers
 * the system saves; others only answer the system, through its capability words. */
#include "targets/cpu/cpu_level.h"

#include "platform/platform.h"

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
} cpuid_leaf_t;

static cpuid_leaf_t read_leaf(uint32_t leaf) {
    cpuid_leaf_t r = {0, 0, 0, 0};
    (void)__get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

static int has_all(uint32_t word, uint32_t bits) {
    return (word & bits) == bits;
}

/* Registers that the system saves and restores: XCR0, see Intel SDM volume 1, 13.3. */
static uint32_t saved_registers(void) {
    if (!has_all(read_leaf(1).ecx, bit_OSXSAVE)) {
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

#define SAVED_AVX 0x06u    /* XMM, YMM */
#define SAVED_AVX512 0xE6u /* and mask, upper ZMM */

/* The x86-64 psABI's levels. LAHF, LZCNT are in leaf 0x80000001. */
static int has_v2(void) {
    return has_all(read_leaf(1).ecx,
                   bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT) &&
           has_all(read_leaf(0x80000001u).ecx, bit_LAHF_LM);
}

static int has_v3(void) {
    return has_v2() && has_all(saved_registers(), SAVED_AVX) &&
           has_all(read_leaf(1).ecx, bit_AVX | bit_F16C | bit_FMA | bit_MOVBE) &&
           has_all(read_leaf(7).ebx, bit_AVX2 | bit_BMI | bit_BMI2) &&
           has_all(read_leaf(0x80000001u).ecx, bit_LZCNT);
}

static int has_v4_vnni(void) {
    return has_v3() && has_all(saved_registers(), SAVED_AVX512) &&
           has_all(read_leaf(7).ebx,
                   bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) &&
           has_all(read_leaf(7).ecx, bit_AVX512VNNI);
}

static int has_level(uint32_t level) {
    switch (level) {
        case LLMIR_CPU_LEVEL_X86_64_V2:
            return has_v2();
        case LLMIR_CPU_LEVEL_X86_64_V3:
            return has_v3();
        case LLMIR_CPU_LEVEL_X86_64_V4_VNNI:
            return has_v4_vnni();
        default:
            return 0;
    }
}

#elif defined(__aarch64__)

#define HWCAP_DOTPROD (UINT64_C(1) << 20)
#define HWCAP2_I8MM_BIT (UINT64_C(1) << 13)

static int has_level(uint32_t level) {
    const int has_dotprod = (llmir_cpu_features(0) & HWCAP_DOTPROD) != 0;
    switch (level) {
        case LLMIR_CPU_LEVEL_AARCH64:
            return 1;
        case LLMIR_CPU_LEVEL_AARCH64_DOTPROD:
            return has_dotprod;
        case LLMIR_CPU_LEVEL_AARCH64_I8MM:
            return has_dotprod && (llmir_cpu_features(1) & HWCAP2_I8MM_BIT) != 0;
        default:
            return 0;
    }
}

#elif defined(__arm__)

#define HWCAP_NEON (UINT64_C(1) << 12)
#define HWCAP_VFPV4 (UINT64_C(1) << 16)
#define HWCAP_IDIVA (UINT64_C(1) << 17) /* integer division in ARM state */

static int has_level(uint32_t level) {
    const uint64_t needed = HWCAP_NEON | HWCAP_VFPV4 | HWCAP_IDIVA;
    return level == LLMIR_CPU_LEVEL_ARMV7_NEON && (llmir_cpu_features(0) & needed) == needed;
}

#elif defined(__riscv) && __riscv_xlen == 64

/* The system names extensions by the letter's place in the alphabet. */
#define HWCAP_LETTER(letter) (UINT64_C(1) << ((letter) - 'A'))

static int has_level(uint32_t level) {
    const uint64_t needed = HWCAP_LETTER('I') | HWCAP_LETTER('M') | HWCAP_LETTER('A') |
                            HWCAP_LETTER('F') | HWCAP_LETTER('D') | HWCAP_LETTER('C') |
                            HWCAP_LETTER('V');
    return level == LLMIR_CPU_LEVEL_RV64GCV && (llmir_cpu_features(0) & needed) == needed;
}

#else

static int has_level(uint32_t level) {
    (void)level;
    return 0;
}

#endif

const char* llmir_cpu_level_name(uint32_t level) {
    switch (level) {
        case LLMIR_CPU_LEVEL_NONE:
            return "portable";
        case LLMIR_CPU_LEVEL_X86_64_V2:
            return "x86-64-v2";
        case LLMIR_CPU_LEVEL_X86_64_V3:
            return "x86-64-v3";
        case LLMIR_CPU_LEVEL_X86_64_V4_VNNI:
            return "x86-64-v4-vnni";
        case LLMIR_CPU_LEVEL_AARCH64:
            return "aarch64-neon";
        case LLMIR_CPU_LEVEL_AARCH64_DOTPROD:
            return "aarch64-dotprod";
        case LLMIR_CPU_LEVEL_AARCH64_I8MM:
            return "aarch64-i8mm";
        case LLMIR_CPU_LEVEL_ARMV7_NEON:
            return "armv7-neon";
        case LLMIR_CPU_LEVEL_RV64GCV:
            return "rv64gcv";
        default:
            return "unknown";
    }
}

int llmir_cpu_level_is_supported(uint32_t level) {
    return level == LLMIR_CPU_LEVEL_NONE || has_level(level);
}

uint32_t llmir_cpu_level_best(uint32_t level_max) {
    static const uint16_t levels[] = {
        LLMIR_CPU_LEVEL_X86_64_V2,  LLMIR_CPU_LEVEL_X86_64_V3,       LLMIR_CPU_LEVEL_X86_64_V4_VNNI,
        LLMIR_CPU_LEVEL_AARCH64,    LLMIR_CPU_LEVEL_AARCH64_DOTPROD, LLMIR_CPU_LEVEL_AARCH64_I8MM,
        LLMIR_CPU_LEVEL_ARMV7_NEON, LLMIR_CPU_LEVEL_RV64GCV,
    };
    uint32_t best = LLMIR_CPU_LEVEL_NONE;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; ++i) {
        if ((level_max == 0 || levels[i] <= level_max) && has_level(levels[i])) {
            best = levels[i];
        }
    }
    return best;
}

const llmir_cpu_kernel_table_t* llmir_cpu_level_choose(uint32_t level_max) {
    const llmir_cpu_kernel_table_t* best = llmir_cpu_kernel_tables[0];
    for (uint32_t i = 1; i < llmir_cpu_kernel_table_count; ++i) {
        const llmir_cpu_kernel_table_t* table = llmir_cpu_kernel_tables[i];
        if ((level_max == 0 || table->level <= level_max) &&
            llmir_cpu_level_is_supported(table->level)) {
            best = table;
        }
    }
    return best;
}
