//===- TextOutput.h - Text to a file or to standard output ----------------===//
#ifndef LLMIR_TOOLS_LLMIRC_TEXTOUTPUT_H
#define LLMIR_TOOLS_LLMIRC_TEXTOUTPUT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace llmir::compiler {

/// Writes `text` to `path`; "-" is standard output. A regular file appears complete or not at all;
/// devices and pipes are written as they are.
llvm::Error writeText(llvm::StringRef path, llvm::StringRef text);

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_TEXTOUTPUT_H
