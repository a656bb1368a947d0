//===- SourceTypes.h - Names and block sizes of the source encodings ------===//
//
// What every front end and the weight packer must know about an encoding: its name in messages, its
// number in GGUF files, and how many elements a block of how many bytes holds.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_IMPORT_SOURCETYPES_H
#define LLMIR_IMPORT_SOURCETYPES_H

#include "llmir/Import/ImportedModel.h"

#include "llvm/ADT/ArrayRef.h"

#include <optional>

namespace llmir::compiler {

struct SourceTypeInfo {
  SourceType type;
  const char *name;
  uint32_t ggufId;        ///< ggml_type in GGUF files
  uint32_t blockElements; ///< consecutive elements of a row that share scales
  uint32_t blockBytes;
};

/// Every encoding that is read, in the order of SourceType.
llvm::ArrayRef<SourceTypeInfo> knownSourceTypes();

const SourceTypeInfo &sourceTypeInfo(SourceType type);

std::optional<SourceType> sourceTypeFromGguf(uint32_t ggufId);

/// "F32, F16, ...": for messages.
std::string knownSourceTypeNames();

/// Name of a ggml type that is not read ("IQ2_XS"), or "unknown".
const char *foreignGgufTypeName(uint32_t ggufId);

inline int64_t elementCount(const SourceTensor &tensor) {
  int64_t count = 1;
  for (int64_t extent : tensor.shape)
    count *= extent;
  return count;
}

} // namespace llmir::compiler

#endif // LLMIR_IMPORT_SOURCETYPES_H
