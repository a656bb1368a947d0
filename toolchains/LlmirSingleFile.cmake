# The target llmir_single_file: the library as one source and one header, build/single_file/llmir.{c,h}. single_file.py makes them
# from a manifest of what the library is made of: the parts that core/ gathers, with all platforms and ISA levels.
find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_Interpreter_FOUND)
  message(STATUS "llmir_single_file: not made, Python 3 is missing")
  return()
endif()

include(${PROJECT_SOURCE_DIR}/targets/cpu/kernels/kernel_sources.cmake)
get_property(parts GLOBAL PROPERTY LLMIR_PARTS)
get_property(full_parts GLOBAL PROPERTY LLMIR_PARTS_FULL)
set(sources "")
foreach(part IN LISTS parts full_parts)
  get_target_property(folder ${part} SOURCE_DIR)
  get_target_property(part_sources ${part} SOURCES)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${folder})
  # Kernels and platforms are told below; other targets have drivers and tools of their own.
  if(NOT part MATCHES "^llmir_cpu_kernels_" AND NOT folder MATCHES "^platform" AND NOT folder MATCHES "^targets/[^c]")
    list(TRANSFORM part_sources PREPEND "${folder}/")
    list(APPEND sources ${part_sources})
  endif()
endforeach()
set(kernels ${LLMIR_CPU_KERNEL_SOURCES})
list(TRANSFORM kernels PREPEND "targets/cpu/kernels/")
set(levels "")
foreach(level portable ${LLMIR_CPU_KERNEL_X86_64_LEVELS})
  list(APPEND levels "\"${level}\": \"${LLMIR_CPU_KERNEL_LEVEL_${level}}\"")
endforeach()

set(lists "")
foreach(list sources kernels)
  list(TRANSFORM ${list} REPLACE "(.+)" "\"\\1\"")
  list(JOIN ${list} ", " ${list})
endforeach()
list(JOIN levels ", " levels)
set(manifest ${PROJECT_BINARY_DIR}/single_file/manifest.json)
file(CONFIGURE OUTPUT ${manifest} CONTENT [[{
"version": "@PROJECT_VERSION@",
"root": "@PROJECT_SOURCE_DIR@",
"sources": [@sources@],
"kernels": [@kernels@],
"levels": {@levels@},
"generated": {"llmir_targets.inc": "LLMIR_TARGET(cpu)\n"}
}
]] @ONLY)
set(script ${PROJECT_SOURCE_DIR}/toolchains/single_file.py)
set(out ${PROJECT_BINARY_DIR}/single_file)
add_custom_command(OUTPUT ${out}/llmir.c ${out}/llmir.h
  COMMAND ${Python3_EXECUTABLE} -B ${script} ${manifest} ${out}
  DEPENDS ${script} ${manifest} DEPFILE ${out}/llmir.d COMMENT "llmir.c and llmir.h in ${out}" VERBATIM)
set(all "")
if(LLMIR_BUILD_TESTS)
  set(all ALL)
endif()
add_custom_target(llmir_single_file ${all} DEPENDS ${out}/llmir.c ${out}/llmir.h)
