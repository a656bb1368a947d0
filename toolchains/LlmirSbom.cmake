# The target llmir_sbom: build/llmir.spdx.json, what this build is made of. Sources come from the targets, versions from what was
# found, and the facts about dependencies from dependencies.json.
find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_Interpreter_FOUND)
  message(STATUS "llmir_sbom: not made, Python 3 is missing")
  return()
endif()

get_property(sbom_parts GLOBAL PROPERTY LLMIR_PARTS)
set(kind FULL)
if(LLMIR_MINIMAL)
  set(kind MINIMAL)
endif()
get_property(more_parts GLOBAL PROPERTY LLMIR_PARTS_${kind})
set(sources "")
foreach(part IN LISTS sbom_parts more_parts)
  get_target_property(folder ${part} SOURCE_DIR)
  get_target_property(part_sources ${part} SOURCES)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${folder})
  foreach(source IN LISTS part_sources)
    if(NOT IS_ABSOLUTE ${source}) # what the build itself has made is no source
      list(APPEND sources "\"${folder}/${source}\"")
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES sources)
list(SORT sources)
list(JOIN sources ", " sources)

# Versions: of packages from where they were found, of the others from pkg-config.
set(versions "")
function(llmir_sbom_version name version)
  if(version)
    set(versions ${versions} "\"${name}\": \"${version}\"" PARENT_SCOPE)
  endif()
endfunction()
set(built "")
find_program(LLMIR_PKG_CONFIG pkg-config)
foreach(module libutf8proc liblzma libedit)
  set(version_of_${module} "")
  if(LLMIR_PKG_CONFIG)
    execute_process(COMMAND ${LLMIR_PKG_CONFIG} --modversion ${module} OUTPUT_VARIABLE version_of_${module}
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endforeach()
if(LLMIR_BUILD_COMPILER)
  list(APPEND built "\"llmirc\"")
  get_directory_property(version DIRECTORY ${PROJECT_SOURCE_DIR}/compiler DEFINITION LLVM_PACKAGE_VERSION)
  llmir_sbom_version(LLVM "${version}")
  llmir_sbom_version(utf8proc "${version_of_libutf8proc}")
  llmir_sbom_version(liblzma "${version_of_liblzma}")
endif()
if(LLMIR_BUILD_EXAMPLES)
  list(APPEND built "\"llmir-programs\"")
  llmir_sbom_version(libedit "${version_of_libedit}")
endif()
if(LLMIR_BUILD_TESTS)
  list(APPEND built "\"tests\"")
  get_directory_property(version DIRECTORY ${PROJECT_SOURCE_DIR}/tests DEFINITION cmocka_VERSION)
  llmir_sbom_version(CMocka "${version}")
endif()
list(JOIN built ", " built)
list(JOIN versions ", " versions)

set(manifest ${PROJECT_BINARY_DIR}/sbom.json)
file(CONFIGURE OUTPUT ${manifest} CONTENT [[{
"version": "@PROJECT_VERSION@",
"root": "@PROJECT_SOURCE_DIR@",
"built": [@built@],
"versions": {@versions@},
"sources": [@sources@]
}
]] @ONLY)
set(out ${PROJECT_BINARY_DIR}/llmir.spdx.json)
set(script ${PROJECT_SOURCE_DIR}/toolchains/sbom.py)
# Always made anew: it is about the bytes of some hundred files, and costs a tenth of a second.
add_custom_target(llmir_sbom ALL COMMAND ${Python3_EXECUTABLE} -B ${script} ${manifest} ${out} BYPRODUCTS ${out} VERBATIM)
if(LLMIR_INSTALL)
  include(GNUInstallDirs)
  install(FILES ${out} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)
endif()
