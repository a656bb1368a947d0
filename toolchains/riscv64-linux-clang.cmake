# RV64GC Linux with clang 19, for the vector kernels in the library: gcc 12 knows no vectors. Headers and libraries are those of the
# cross compiler of Debian and Ubuntu (gcc-riscv64-linux-gnu, libc6-dev-riscv64-cross), which clang finds by itself; qemu-riscv64,
# told of the vector extension, runs what it builds.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET riscv64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH /usr/riscv64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
llmir_emulate_with(qemu-riscv64 PROGRAM_NAMES qemu-riscv64 qemu-riscv64-static
  ARGUMENTS -L /usr/riscv64-linux-gnu -cpu rv64,v=true,vlen=128,vext_spec=v1.0)
