# Every option of the build, and the two functions that all libraries of the project use.
#
#   option                  default             meaning
#   LLMIR_TARGETS           cpu                 back ends built into the library
#   LLMIR_BUILD_COMPILER    OFF                 llmirc and llmir-opt; needs MLIR 19
#   LLMIR_BUILD_EXAMPLES    ON at top level     llmir-chat, llmir-bench, ...
#   LLMIR_BUILD_TESTS       ON at top level     needs CMocka
#   LLMIR_BUILD_FUZZERS     OFF                 libFuzzer programs; needs clang
#   LLMIR_SANITIZE          (empty)             list for -fsanitize=, e.g. "address;undefined" or "thread"
set(LLMIR_TARGETS cpu CACHE STRING "back ends built into the library")
option(LLMIR_BUILD_COMPILER "build llmirc and llmir-opt (needs MLIR 19)" OFF)
option(LLMIR_BUILD_EXAMPLES "build the command-line programs" ${PROJECT_IS_TOP_LEVEL})
option(LLMIR_BUILD_TESTS "build the tests (needs CMocka)" ${PROJECT_IS_TOP_LEVEL})
option(LLMIR_BUILD_FUZZERS "build the libFuzzer programs (needs clang)" OFF)
set(LLMIR_SANITIZE "" CACHE STRING "sanitizers, a list")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "build type" FORCE)
endif()

# Warnings, standard, visibility and sanitizers of a target of this project.
function(llmir_configure_target target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    # No contraction: a fused multiply-add happens only where the source says so, so that all builds give the same bits.
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes>
      -ffp-contract=off -fno-math-errno -ffunction-sections -fdata-sections)
  endif()
  if(LLMIR_SANITIZE)
    string(REPLACE ";" "," sanitizers "${LLMIR_SANITIZE}")
    target_compile_options(${target} PRIVATE -fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
endfunction()

# A part of the runtime: an object library that core/ gathers into libllmir.
function(llmir_add_part name)
  add_library(${name} OBJECT ${ARGN})
  llmir_configure_target(${name})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>)
  set_property(GLOBAL APPEND PROPERTY LLMIR_PARTS ${name})
endfunction()
