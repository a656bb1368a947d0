//===- Pipeline.h - The stages of llmirc ----------------------------------===//
#ifndef LLMIR_TOOLS_LLMIRC_PIPELINE_H
#define LLMIR_TOOLS_LLMIRC_PIPELINE_H

#include "Options.h"

#include "llvm/Support/Error.h"

namespace llmir::compiler {

/// Runs everything that `options` asks for. On failure nothing is left at the output's place, and
/// a file that was there before is untouched.
llvm::Error compileModel(const Options &options);

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_PIPELINE_H
