//===- Ptxas.h - Assembling PTX -------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_PTXAS_H
#define LLMIR_LIB_GPUKERNELS_PTXAS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// The ELF file that the program `ptxas` makes of `text` for `chip`, "sm_90". Depends on nothing
/// but these and the program's version.
llvm::Expected<std::vector<uint8_t>> assemblePtx(llvm::StringRef text, llvm::StringRef chip,
                                                 const std::string &ptxas);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_PTXAS_H
