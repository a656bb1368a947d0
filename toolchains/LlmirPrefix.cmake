# LLMIR_PREFIX: a library whose names all begin with it, and headers that give applications the same names as ever. The sources know
# nothing of it: the archive's symbols are renamed when it is made.
if(NOT LLMIR_PREFIX MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
  message(FATAL_ERROR "LLMIR_PREFIX: '${LLMIR_PREFIX}', expected the beginning of a name in C")
endif()
if(LLMIR_SHARED OR LLMIR_BUILD_TESTS)
  message(FATAL_ERROR "LLMIR_PREFIX: made for static libraries without tests, expected LLMIR_SHARED=OFF and LLMIR_BUILD_TESTS=OFF")
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(NOT CMAKE_OBJCOPY OR NOT CMAKE_NM)
  message(FATAL_ERROR "LLMIR_PREFIX: objcopy or nm of this toolchain was not found")
endif()
set(llmir_public_headers ${PROJECT_BINARY_DIR}/prefixed)
set(single_file ${PROJECT_SOURCE_DIR}/toolchains/single_file.py)
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/include/llmir.h ${single_file})
execute_process(COMMAND ${Python3_EXECUTABLE} -B ${single_file} --header ${PROJECT_SOURCE_DIR} ${LLMIR_PREFIX} ${llmir_public_headers}
  COMMAND_ERROR_IS_FATAL ANY)
foreach(header llmir_bundle.h llmir_openmp.h)
  configure_file(${PROJECT_SOURCE_DIR}/core/include/${header} ${llmir_public_headers}/${header} COPYONLY)
endforeach()

# llmir_prefix_symbols(TARGET): of a static library, once it is made.
function(llmir_prefix_symbols target)
  add_custom_command(TARGET ${target} POST_BUILD COMMAND ${CMAKE_COMMAND} -DARCHIVE=$<TARGET_FILE:${target}> -DPREFIX=${LLMIR_PREFIX}
    -DNM=${CMAKE_NM} -DOBJCOPY=${CMAKE_OBJCOPY} -P ${PROJECT_SOURCE_DIR}/toolchains/prefix_symbols.cmake VERBATIM)
endfunction()
