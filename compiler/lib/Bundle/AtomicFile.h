//===- AtomicFile.h - A file that appears complete or not at all ----------===//
//
// Bytes go into a temporary file in the folder of the target; commit() flushes it to the disk and
// renames it. Without commit(), after a failure or a signal that ends the process, the temporary
// file is removed.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_BUNDLE_ATOMICFILE_H
#define LLMIR_LIB_BUNDLE_ATOMICFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llmir::compiler {

class AtomicFile {
public:
  static llvm::Expected<AtomicFile> create(llvm::StringRef path);
  AtomicFile(AtomicFile &&other);
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  llvm::Error append(llvm::ArrayRef<uint8_t> bytes);
  llvm::Error appendZeros(uint64_t count);
  llvm::Error overwriteAt(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);
  llvm::Error commit();

private:
  AtomicFile(llvm::StringRef path, llvm::StringRef temporary, int descriptor)
      : path(path), temporary(temporary), descriptor(descriptor) {}

  llvm::Error fail(const llvm::Twine &what) const; ///< with errno's text
  llvm::Error writeAll(llvm::ArrayRef<uint8_t> bytes);
  llvm::Error flushFolder() const;

  std::string path;
  std::string temporary; ///< empty: committed or moved from
  int descriptor;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_BUNDLE_ATOMICFILE_H
