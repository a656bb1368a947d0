# An image made by clang and lld with the flags of the compiler, for test_cpu_elf. Without the two
# tools, or for another architecture than theirs, the test does without it.
find_program(LLMIR_TEST_CLANG NAMES clang-19 clang)
find_program(LLMIR_TEST_LLD NAMES ld.lld-19 ld.lld)
if(LLMIR_TEST_CLANG AND LLMIR_TEST_LLD AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR STREQUAL CMAKE_HOST_SYSTEM_PROCESSOR)
  set(image ${CMAKE_CURRENT_BINARY_DIR}/elf_answers.so)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/data/elf_answers.c)
  add_custom_command(OUTPUT ${image}
    COMMAND ${LLMIR_TEST_CLANG} -O2 -fPIC -ffreestanding -nostdlib -c ${source} -o ${image}.o
    COMMAND ${LLMIR_TEST_LLD} -shared -Bsymbolic -z norelro -z noexecstack -z rodynamic
            -z max-page-size=65536 --hash-style=sysv --build-id=none --no-undefined -e answer
            -o ${image} ${image}.o
    DEPENDS ${source} VERBATIM)
  target_sources(test_cpu_elf PRIVATE ${image})
  target_compile_definitions(test_cpu_elf PRIVATE LLMIR_TEST_ELF_PATH="${image}")
endif()
