# What a kernel library is made of: the sources, and the ISA levels with their flags. Read by
# targets/cpu/kernels (the built-in kernels) and by the compiler (the same sources as LLVM bitcode).
# Every source is compiled once per level with -DLLMIR_CPU_SUFFIX=<level>.
#
# To add an architecture: name its levels, ascending, and give each an enumerator and flags, the triple that clang compiles
# bitcode for, and what the runtime is to hold of them.
set(LLMIR_CPU_KERNEL_SOURCES
  attention.c
  embed.c
  gate.c
  linear.c
  norm.c
  qkv.c
  quantize.c
  rope_table.c)

# Same bits everywhere: no contraction. No calls of memset and the like made out of loops, because
# code in bundles has no libc. The other flags free the optimiser of errno and traps.
set(LLMIR_CPU_KERNEL_FLAGS -O3 -ffp-contract=off -fno-builtin -fno-math-errno
  -fno-trapping-math)

# Level "portable" is plain C, fits every processor and comes first.
set(LLMIR_CPU_KERNEL_LEVEL_portable LLMIR_CPU_LEVEL_NONE)
set(LLMIR_CPU_KERNEL_FLAGS_portable)

set(LLMIR_CPU_KERNEL_X86_64_LEVELS x86_64_v2 x86_64_v3 x86_64_v4_vnni)
set(LLMIR_CPU_KERNEL_LEVEL_x86_64_v2 LLMIR_CPU_LEVEL_X86_64_V2)
set(LLMIR_CPU_KERNEL_FLAGS_x86_64_v2 -march=x86-64-v2)
set(LLMIR_CPU_KERNEL_LEVEL_x86_64_v3 LLMIR_CPU_LEVEL_X86_64_V3)
set(LLMIR_CPU_KERNEL_FLAGS_x86_64_v3 -march=x86-64-v3)
set(LLMIR_CPU_KERNEL_LEVEL_x86_64_v4_vnni LLMIR_CPU_LEVEL_X86_64_V4_VNNI)
set(LLMIR_CPU_KERNEL_FLAGS_x86_64_v4_vnni
  -march=x86-64-v4 -mavx512vnni -mprefer-vector-width=512)

set(LLMIR_CPU_KERNEL_AARCH64_LEVELS aarch64_neon aarch64_dotprod aarch64_i8mm)
set(LLMIR_CPU_KERNEL_LEVEL_aarch64_neon LLMIR_CPU_LEVEL_AARCH64)
set(LLMIR_CPU_KERNEL_FLAGS_aarch64_neon -march=armv8-a)
set(LLMIR_CPU_KERNEL_LEVEL_aarch64_dotprod LLMIR_CPU_LEVEL_AARCH64_DOTPROD)
set(LLMIR_CPU_KERNEL_FLAGS_aarch64_dotprod -march=armv8.2-a+dotprod)
# Only matrix products have instructions of their own in these two; the library takes the other kernels from the first.
set(LLMIR_CPU_KERNEL_BASE_aarch64_dotprod aarch64_neon)
set(LLMIR_CPU_KERNEL_BASE_aarch64_i8mm aarch64_neon)
set(LLMIR_CPU_KERNEL_LEVEL_aarch64_i8mm LLMIR_CPU_LEVEL_AARCH64_I8MM)
set(LLMIR_CPU_KERNEL_FLAGS_aarch64_i8mm -march=armv8.2-a+dotprod+i8mm)

# Cortex-A7 is the least of the processors with VFPv4 and integer division.
set(LLMIR_CPU_KERNEL_ARM_LEVELS armv7_neon)
set(LLMIR_CPU_KERNEL_LEVEL_armv7_neon LLMIR_CPU_LEVEL_ARMV7_NEON)
set(LLMIR_CPU_KERNEL_FLAGS_armv7_neon -mcpu=cortex-a7 -mfpu=neon-vfpv4 -mfloat-abi=hard -marm)
set(LLMIR_CPU_KERNEL_GNU_FLAGS_armv7_neon -mfp16-format=ieee) # else gcc has no type for f16

# Clang only: v16f_rvv.h uses its vector types. Registers of 128 bits or longer.
set(LLMIR_CPU_KERNEL_RISCV64_LEVELS rv64gcv)
set(LLMIR_CPU_KERNEL_LEVEL_rv64gcv LLMIR_CPU_LEVEL_RV64GCV)
set(LLMIR_CPU_KERNEL_FLAGS_rv64gcv -march=rv64gcv -mabi=lp64d)

# What llmirc has kernels for, unless its build wants fewer: processors, their levels and the triples of their bitcode.
set(LLMIR_CPU_KERNEL_PROCESSORS X86_64 AARCH64 ARM RISCV64)
set(LLMIR_CPU_KERNEL_TRIPLE_X86_64 x86_64-unknown-linux-gnu)
set(LLMIR_CPU_KERNEL_TRIPLE_AARCH64 aarch64-unknown-linux-gnu)
set(LLMIR_CPU_KERNEL_TRIPLE_ARM armv7-unknown-linux-gnueabihf)
set(LLMIR_CPU_KERNEL_TRIPLE_RISCV64 riscv64-unknown-linux-gnu)

# The levels of the processor that the runtime is built for.
set(LLMIR_CPU_KERNEL_LEVELS portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  list(APPEND LLMIR_CPU_KERNEL_LEVELS ${LLMIR_CPU_KERNEL_X86_64_LEVELS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  list(APPEND LLMIR_CPU_KERNEL_LEVELS ${LLMIR_CPU_KERNEL_AARCH64_LEVELS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^armv[78]" AND CMAKE_SIZEOF_VOID_P EQUAL 4 AND
       CMAKE_C_COMPILER_ID MATCHES "GNU|Clang" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "-m$")
  list(APPEND LLMIR_CPU_KERNEL_LEVELS ${LLMIR_CPU_KERNEL_ARM_LEVELS})
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "riscv64" AND CMAKE_C_COMPILER_ID MATCHES "Clang")
  list(APPEND LLMIR_CPU_KERNEL_LEVELS ${LLMIR_CPU_KERNEL_RISCV64_LEVELS})
endif()
