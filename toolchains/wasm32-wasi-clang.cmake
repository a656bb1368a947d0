# WebAssembly with the system interface WASI and vectors of 128 bits: clang, lld and wasi-libc (packages clang-19 lld-19 llvm-19
# wasi-libc libclang-rt-19-dev-wasm32); Node runs what it builds.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR}) # Platform/WASI.cmake
set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19 CACHE FILEPATH "archiver")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE FILEPATH "ranlib")
set(CMAKE_NM llvm-nm-19 CACHE FILEPATH "nm")
set(CMAKE_FIND_ROOT_PATH /usr/lib/wasm32-wasi)
set(CMAKE_C_FLAGS_INIT -msimd128)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-z,stack-size=1048576 -Wl,--stack-first") # lld's own is 64 KiB, below which data lie
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
llmir_emulate_with(node PROGRAM_NAMES node nodejs ARGUMENTS --no-warnings ${CMAKE_CURRENT_LIST_DIR}/run_wasi.mjs)
