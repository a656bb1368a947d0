//===- GgufFile.h - The container: metadata and tensor table of one GGUF file ---===//
//
// Parses and checks the structure only; what keys mean is decided in GgufConfig.cpp and
// GgufTokenizer.cpp. Values stay in the mapped bytes, so that a count claimed by the file costs no
// memory before the bytes behind it were seen.
//
//   "GGUF" | u32 version | u64 tensors | u64 pairs | pairs | tensor infos | padding | data
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_IMPORT_GGUFFILE_H
#define LLMIR_LIB_IMPORT_GGUFFILE_H

#include "llmir/Import/ImportedModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>

namespace llmir::compiler {

/// Value types of the metadata, numbered as in the file.
enum class GgufType : uint32_t {
  U8,
  I8,
  U16,
  I16,
  U32,
  I32,
  F32,
  Bool,
  String,
  Array,
  U64,
  I64,
  F64
};

const char *ggufTypeName(GgufType type);

/// One value; `bytes` is the payload in the file, for arrays that of all elements.
struct GgufValue {
  GgufType type = GgufType::U8;
  GgufType elementType = GgufType::U8; ///< of arrays
  uint64_t count = 1;                  ///< elements of arrays
  llvm::ArrayRef<uint8_t> bytes;

  bool isArray() const { return type == GgufType::Array; }
  std::string describe() const; ///< "string", "array of 12 i32": for messages
};

class GgufFile {
public:
  /// Checks and indexes `bytes`, which must outlive the result.
  static llvm::Expected<GgufFile> parse(llvm::StringRef name, llvm::ArrayRef<uint8_t> bytes);

  const std::string &name() const { return fileName; }
  const GgufValue *find(llvm::StringRef key) const;
  std::vector<SourceTensor> &tensors() { return tensorTable; }

private:
  friend class GgufParser;
  std::string fileName;
  llvm::StringMap<GgufValue> values;
  std::vector<SourceTensor> tensorTable;
};

/// Typed access to the metadata of a file. The first fault is kept and makes later reads return
/// defaults, so that a reader of many keys checks once, with takeError().
class GgufKeys {
public:
  explicit GgufKeys(const GgufFile &file) : file(file) {}

  bool has(llvm::StringRef key) const { return file.find(key) != nullptr; }
  bool hasArray(llvm::StringRef key) const { return has(key) && file.find(key)->isArray(); }
  uint64_t unsignedOr(llvm::StringRef key, uint64_t otherwise, uint64_t maximum);
  uint64_t requireUnsigned(llvm::StringRef key, uint64_t minimum, uint64_t maximum);
  double floatOr(llvm::StringRef key, double otherwise);
  double requireFloat(llvm::StringRef key);
  bool boolOr(llvm::StringRef key, bool otherwise);
  std::string stringOr(llvm::StringRef key, llvm::StringRef otherwise);
  std::vector<std::string> stringArray(llvm::StringRef key);
  std::vector<float> floatArray(llvm::StringRef key);
  std::vector<int64_t> intArray(llvm::StringRef key);

  /// A count given once or once per layer; per-layer values must agree.
  std::optional<uint64_t> uniformUnsigned(llvm::StringRef key, uint64_t layers, uint64_t maximum);

  void fail(llvm::StringRef key, const llvm::Twine &foundAndExpected);
  bool failed() const { return !fault.empty(); }
  llvm::Error takeError() const;
  const std::string &fileName() const { return file.name(); }

private:
  const GgufValue *findTyped(llvm::StringRef key, bool array, llvm::StringRef expected);
  std::optional<int64_t> integer(llvm::StringRef key, GgufType type, const uint8_t *at);
  void require(llvm::StringRef key, llvm::StringRef expected);

  const GgufFile &file;
  std::string fault;
};

/// "file: what", the one shape of this front end's errors.
llvm::Error ggufError(llvm::StringRef fileName, const llvm::Twine &what);

/// `text` fit for a message: at most 80 bytes, control and non-ASCII bytes escaped.
std::string printable(llvm::StringRef text);

} // namespace llmir::compiler

#endif // LLMIR_LIB_IMPORT_GGUFFILE_H
