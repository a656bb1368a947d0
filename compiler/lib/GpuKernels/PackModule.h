//===- PackModule.h - A module of code, packed for a bundle -----*- C++ -*-===//
#ifndef LLMIR_LIB_GPUKERNELS_PACKMODULE_H
#define LLMIR_LIB_GPUKERNELS_PACKMODULE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace llmir::compiler {

/// LLMIR_PACKING_LZMA: equal modules give equal bytes.
llvm::Expected<std::vector<uint8_t>> packModule(llvm::ArrayRef<uint8_t> module);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_PACKMODULE_H
