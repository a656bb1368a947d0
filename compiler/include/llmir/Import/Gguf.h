//===- Gguf.h - The GGUF front end ----------------------------------------===//
//
// Reads a model from GGUF files, versions 2 and 3, in one piece or split. The files are mapped; the
// tensors of the result point into the mapping. Nothing in a file is trusted: each count, length,
// offset and type is checked against the bytes that are there before it is used.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_IMPORT_GGUF_H
#define LLMIR_IMPORT_GGUF_H

#include "llmir/Import/ImportedModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace llmir::compiler {

/// Imports the model at `path`. Any part of a split model ("x-00002-of-00003.gguf") stands for all;
/// the other parts are looked for beside it. Messages name file, key or tensor, what was found and
/// what was expected.
llvm::Expected<ImportedModel> importGguf(llvm::StringRef path);

/// A GGUF file in memory; `bytes` must outlive the imported model.
struct GgufBuffer {
  std::string name; ///< for messages
  llvm::ArrayRef<uint8_t> bytes;
};

/// Imports from memory: one buffer, or the parts of a split model in order.
llvm::Expected<ImportedModel> importGgufBuffers(llvm::ArrayRef<GgufBuffer> parts);

/// Whether the file at `path` begins like a GGUF file.
bool isGgufFile(llvm::StringRef path);

} // namespace llmir::compiler

#endif // LLMIR_IMPORT_GGUF_H
