# What all toolchain files share: libraries and headers come from the target's folders, programs from this machine; and the
# emulator that runs tests. Where it is missing a script stands in, so that each test is skipped and says why.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# llmir_emulate_with(NAME PROGRAM_NAMES name... [BEFORE word...] [ARGUMENTS word...]): BEFORE, the program, ARGUMENTS, then the
# program under test. LLMIR_EMULATOR_<NAME> names another program, or none with "".
macro(llmir_emulate_with name)
  cmake_parse_arguments(emulate "" "" "PROGRAM_NAMES;BEFORE;ARGUMENTS" ${ARGN})
  find_program(LLMIR_EMULATOR_${name} NAMES ${emulate_PROGRAM_NAMES} DOC "runs programs of the target")
  if(LLMIR_EMULATOR_${name})
    set(CMAKE_CROSSCOMPILING_EMULATOR ${emulate_BEFORE} ${LLMIR_EMULATOR_${name}} ${emulate_ARGUMENTS})
  else()
    set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/no_emulator.sh ${name})
  endif()
endmacro()
