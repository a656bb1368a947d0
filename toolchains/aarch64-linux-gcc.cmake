# AArch64 Linux with the cross compiler of Debian and Ubuntu (gcc-aarch64-linux-gnu); qemu-aarch64 runs what it builds.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(llmir_triple aarch64-linux-gnu)
set(llmir_qemu qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/linux-gcc.cmake)
