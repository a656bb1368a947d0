# Armv7-A Linux, hard float, with the cross compiler of Debian and Ubuntu (gcc-arm-linux-gnueabihf); qemu-arm runs what it builds.
set(CMAKE_SYSTEM_PROCESSOR armv7-a)
set(llmir_triple arm-linux-gnueabihf)
set(llmir_qemu qemu-arm)
include(${CMAKE_CURRENT_LIST_DIR}/linux-gcc.cmake)
