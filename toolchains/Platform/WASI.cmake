# What CMake asks of a system that it does not know: WASI has programs and static libraries.
set(WASI ON)
set(CMAKE_EXECUTABLE_SUFFIX .wasm)
set_property(GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS FALSE)
