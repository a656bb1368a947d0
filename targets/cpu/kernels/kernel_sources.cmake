# What a kernel library is made of: the sources, and the ISA levels with their flags. Read by
# targets/cpu/kernels (the built-in kernels) and by the compiler (the same sources as LLVM bitcode).
# Every source is compiled once per level with -DLLMIR_CPU_SUFFIX=<level>.
#
# To add an architecture: name its levels, ascending, and give each an enumerator and flags.
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

# The levels of the processor that the runtime is built for.
set(LLMIR_CPU_KERNEL_LEVELS portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  list(APPEND LLMIR_CPU_KERNEL_LEVELS ${LLMIR_CPU_KERNEL_X86_64_LEVELS})
endif()
