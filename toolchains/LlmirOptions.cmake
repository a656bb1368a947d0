# Every option of the build, and the two functions that all libraries of the project use.
#
#   option                  default             meaning
#   LLMIR_TARGETS           cpu                 back ends built into the library
#   LLMIR_SHARED            BUILD_SHARED_LIBS   libllmir as a shared library; without the tests, which reach what it hides
#   LLMIR_MINIMAL           OFF                 the smallest library, for firmware: without text to ids, chat templates, grammars,
#                                               saved sessions, and samplers but greedy; portable kernels beside a bundle's own
#   LLMIR_PREFIX            (empty)             what every name of the library begins with, for two versions in one program
#   LLMIR_INSTALL           ON at top level     rules for cmake --install
#   LLMIR_BUILD_COMPILER    OFF                 llmirc and llmir-opt; needs MLIR 19
#   LLMIR_BUILD_EXAMPLES    ON at top level     llmir-chat, llmir-bench, ...
#   LLMIR_BUILD_TESTS       ON at top level     needs CMocka
#   LLMIR_BUILD_FUZZERS     OFF                 libFuzzer programs; needs clang
#   LLMIR_SANITIZE          (empty)             list for -fsanitize=, e.g. "address;undefined" or "thread"
# Without an operating system there are no shared libraries, threads or programs to start.
set(LLMIR_HAS_SYSTEM ON)
if(CMAKE_SYSTEM_NAME STREQUAL "Generic")
  set(LLMIR_HAS_SYSTEM OFF)
endif()
# Inside of another project nothing but the library is built, and nothing of that project is touched.
set(llmir_is_top_level OFF)
if(PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
  set(llmir_is_top_level ON)
endif()
set(LLMIR_TARGETS cpu CACHE STRING "back ends built into the library")
set(llmir_shared_default OFF)
if(BUILD_SHARED_LIBS)
  set(llmir_shared_default ON)
endif()
option(LLMIR_SHARED "build libllmir as a shared library" ${llmir_shared_default})
option(LLMIR_MINIMAL "the smallest library, for firmware" OFF)
set(llmir_tests_default ${llmir_is_top_level})
if(LLMIR_SHARED OR LLMIR_MINIMAL OR LLMIR_PREFIX OR NOT LLMIR_HAS_SYSTEM)
  set(llmir_tests_default OFF)
endif()
set(LLMIR_PREFIX "" CACHE STRING "what every name of the library begins with")
option(LLMIR_INSTALL "make rules for cmake --install" ${llmir_is_top_level})
option(LLMIR_BUILD_COMPILER "build llmirc and llmir-opt (needs MLIR 19)" OFF)
option(LLMIR_BUILD_EXAMPLES "build the command-line programs" ${llmir_is_top_level})
option(LLMIR_BUILD_TESTS "build the tests (needs CMocka)" ${llmir_tests_default})
option(LLMIR_BUILD_FUZZERS "build the libFuzzer programs (needs clang)" OFF)
set(LLMIR_SANITIZE "" CACHE STRING "sanitizers, a list")

if(LLMIR_SHARED AND LLMIR_BUILD_TESTS)
  message(FATAL_ERROR "LLMIR_SHARED: the tests reach what the shared library hides, expected LLMIR_BUILD_TESTS=OFF")
endif()
if(LLMIR_MINIMAL AND LLMIR_BUILD_TESTS AND LLMIR_HAS_SYSTEM)
  message(FATAL_ERROR "LLMIR_MINIMAL: the tests need what it leaves out, expected LLMIR_BUILD_TESTS=OFF")
endif()

get_property(llmir_is_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(llmir_is_top_level AND NOT CMAKE_BUILD_TYPE AND NOT llmir_is_multi_config)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "build type" FORCE)
endif()

# Warnings, standard, visibility and sanitizers of a target of this project.
function(llmir_configure_target target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ${LLMIR_HAS_SYSTEM})
  if(CMAKE_SYSTEM_NAME STREQUAL "WASI") # programs there are one module
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  endif()
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    # No contraction: a fused multiply-add happens only where the source says so, so that all builds give the same bits.
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes>
      -ffp-contract=off -fno-math-errno -ffunction-sections -fdata-sections)
    if(NOT WIN32) # nothing is thrown through C; a tenth of what a program would load (Windows walks every stack by these tables)
      target_compile_options(${target} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:C>,$<CONFIG:Release,MinSizeRel>>:-fno-asynchronous-unwind-tables
        -fno-unwind-tables>)
    endif()
  endif()
  if(MINGW) # formats of C99 where the system's C library is older
    target_compile_definitions(${target} PRIVATE __USE_MINGW_ANSI_STDIO=1)
  endif()
  if(LLMIR_SANITIZE)
    string(REPLACE ";" "," sanitizers "${LLMIR_SANITIZE}")
    target_compile_options(${target} PRIVATE -fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
endfunction()

# llmir_add_part(NAME [EXTRA|MINIMAL] source...): a part of the runtime, an object library that core/ gathers into libllmir; EXTRA:
# LLMIR_MINIMAL leaves it out; MINIMAL: it is part of that library alone. The folders of sources and build are not in the
# objects, so that every folder gives the same bytes; a Debug build keeps them, for the debugger.
function(llmir_add_part name)
  cmake_parse_arguments(arg "EXTRA;MINIMAL" "" "" ${ARGN})
  add_library(${name} OBJECT ${arg_UNPARSED_ARGUMENTS})
  llmir_configure_target(${name})
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_BINARY_DIR}=build>
      $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=llmir>)
  endif()
  if(LLMIR_SHARED)
    target_compile_definitions(${name} PRIVATE LLMIR_SHARED LLMIR_BUILDING)
  endif()
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>)
  set(list LLMIR_PARTS)
  if(arg_EXTRA)
    set(list LLMIR_PARTS_FULL)
  elseif(arg_MINIMAL)
    set(list LLMIR_PARTS_MINIMAL)
  endif()
  set_property(GLOBAL APPEND PROPERTY ${list} ${name})
endfunction()
