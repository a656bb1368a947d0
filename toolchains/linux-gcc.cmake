# What the toolchain files of Linux on other processors share. They set llmir_triple, llmir_qemu and the processor.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${llmir_triple}-gcc)
find_program(LLMIR_CROSS_CXX ${llmir_triple}-g++) # only a header is tried in C++
if(LLMIR_CROSS_CXX)
  set(CMAKE_CXX_COMPILER ${llmir_triple}-g++)
endif()
set(llmir_root /usr/${llmir_triple})
set(CMAKE_FIND_ROOT_PATH ${llmir_root})
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
llmir_emulate_with(${llmir_qemu} PROGRAM_NAMES ${llmir_qemu} ${llmir_qemu}-static ARGUMENTS -L ${llmir_root})
