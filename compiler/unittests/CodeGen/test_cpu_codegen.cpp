//===- test_cpu_codegen.cpp - Specialised kernels against the built-in ones ----------------------===//
//
// Compiles random-input cases of every kernel for each level, loads the image with the runtime's own
// loader, and compares all bytes that the kernels write with those of the kernels built into the
// runtime. Levels that this processor lacks are compiled and inspected, not run.
//
//===------------------------------------------------------------------------------------------===//
#include "KernelCases.h"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/Support/raw_ostream.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstring>

extern "C" {
#include "targets/cpu/cpu_code.h"
#include "targets/cpu/cpu_elf.h"
#include "targets/cpu/cpu_level.h"

#include <cmocka.h>
}

using namespace llvm;
using namespace llmir::compiler;

namespace {
} // namespace
