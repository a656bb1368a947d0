//===- TemporaryFile.h - A file that goes away ----------------------------===//
#ifndef LLMIR_LIB_CODEGEN_TEMPORARYFILE_H
#define LLMIR_LIB_CODEGEN_TEMPORARYFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileUtilities.h"

namespace llmir::compiler {

/// A temporary file that goes away with its owner, or with the process.
struct TemporaryFile {
  llvm::SmallString<128> path;
  llvm::FileRemover remover;

  ~TemporaryFile();
  llvm::Error create(llvm::StringRef suffix, llvm::ArrayRef<char> content);
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_TEMPORARYFILE_H
