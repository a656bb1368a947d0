# cmake --install: the library, its headers, a CMake package, a pkg-config file, and the programs that were built.
#
#   find_package(llmir)         gives llmir::llmir; version file: same major, before 1.0 same minor version
#   pkg-config --libs llmir
#
# The static and the shared library lie side by side. find_package takes the static one unless llmir_SHARED_LIBS or
# BUILD_SHARED_LIBS is on; pkg-config gives flags for both: a linker takes the shared one, `pkg-config --static` with -static the
# other. Everything is found from where the files lie, so a prefix may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/llmir)
set(shared_library llmir_shared)
set(kinds static shared)
if(LLMIR_SHARED)
  set(shared_library llmir)
  set(kinds shared)
elseif(NOT TARGET llmir_shared)
  set(kinds static)
endif()
set(library_of_static llmir)
set(library_of_shared ${shared_library})

foreach(kind IN LISTS kinds)
  install(TARGETS ${library_of_${kind}} EXPORT llmir-${kind}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT llmir-${kind} NAMESPACE llmir:: DESTINATION ${package_folder}
    FILE llmir-${kind}-targets.cmake COMPONENT development)
endforeach()
install(FILES ${llmir_public_headers}/llmir.h ${llmir_public_headers}/llmir_bundle.h ${llmir_public_headers}/llmir_openmp.h
  DESTINATION include COMPONENT development)

set(compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
endif()
set(generated ${PROJECT_BINARY_DIR}/package)
write_basic_package_version_file(${generated}/llmir-config-version.cmake COMPATIBILITY ${compatibility})
configure_package_config_file(${PROJECT_SOURCE_DIR}/toolchains/llmir-config.cmake.in ${generated}/llmir-config.cmake
  INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
install(FILES ${generated}/llmir-config.cmake ${generated}/llmir-config-version.cmake
  DESTINATION ${package_folder} COMPONENT development)

# What the static library needs, every program that links it must name; the shared one brings it along.
string(STRIP "-lm ${CMAKE_THREAD_LIBS_INIT}" needed_libraries)
set(llmir_pc_libraries "-lllmir")
set(llmir_pc_private "${needed_libraries}")
if(NOT shared IN_LIST kinds)
  set(llmir_pc_libraries "-lllmir ${needed_libraries}")
  set(llmir_pc_private "")
endif()
set(pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH llmir_pc_prefix /prefix/${pc_folder} /prefix)
configure_file(${PROJECT_SOURCE_DIR}/toolchains/llmir.pc.in ${generated}/llmir.pc @ONLY)
install(FILES ${generated}/llmir.pc DESTINATION ${pc_folder} COMPONENT development)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/docs/COMPATIBILITY.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)

foreach(program llmirc llmir-opt llmir-bench llmir-chat llmir-inspect llmir-perplexity llmir-server llmir-tokenize)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  endif()
endforeach()
