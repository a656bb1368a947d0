# Windows on x86-64 with MinGW-w64 (gcc-mingw-w64-x86-64); Wine runs what it builds, with a folder for its registry in the build.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
find_program(LLMIR_CROSS_CXX x86_64-w64-mingw32-g++) # only a header is tried in C++
if(LLMIR_CROSS_CXX)
  set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++)
endif()
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
# Quiet, without the parts of Windows that it would offer to download.
llmir_emulate_with(wine PROGRAM_NAMES wine64 wine
  BEFORE env WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml= WINEPREFIX=${CMAKE_BINARY_DIR}/wine LC_ALL=C.UTF-8)
