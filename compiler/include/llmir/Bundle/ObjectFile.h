//===- ObjectFile.h - A bundle as an object file to link ------------------===//
//
// Wraps the bytes of a bundle into a relocatable ELF file with two symbols: the bundle, read-only
// and aligned for its weights, and its size. A program that links it gives the address to
// llmir_model_load_memory; the system maps the weights with the program, and nothing is copied.
// Written by hand rather than by LLVM, which would hold the weights in memory several times.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_BUNDLE_OBJECTFILE_H
#define LLMIR_BUNDLE_OBJECTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// A processor that objects can be made for; all are little-endian.
struct ObjectMachine {
  llvm::StringRef name; ///< on the command line
  uint16_t machine;     ///< e_machine of ELF
  bool is64;
  uint32_t flags; ///< e_flags: the ABI that linkers compare
};

llvm::ArrayRef<ObjectMachine> objectMachines();

/// NULL if there is none of that name.
const ObjectMachine *findObjectMachine(llvm::StringRef name);

/// The machine that llmirc was built for; NULL if no objects can be made for it.
const ObjectMachine *hostObjectMachine();

/// Head and tail of an object file around a bundle.
class ObjectFrame {
public:
  /// `stem` names the symbols: llmir_bundle_<stem> and llmir_bundle_<stem>_bytes. On x86-64 a
  /// bundle of `largeBytes` or more goes where programs may be larger than 2 GiB.
  ObjectFrame(const ObjectMachine &machine, llvm::StringRef stem, uint64_t largeBytes = 1ull << 30);

  /// Where the bundle begins in the file.
  uint64_t dataOffset() const;

  /// The largest bundle that the file can hold.
  uint64_t mostBytes() const;

  /// The first dataOffset() bytes of the file, for a bundle of `bytes` bytes.
  std::vector<uint8_t> head(uint64_t bytes) const;

  /// What follows the bundle.
  std::vector<uint8_t> tail(uint64_t bytes) const;

  /// The C header that declares the symbols. `about` is told in its comment.
  std::string header(llvm::StringRef about, uint64_t arenaBytes) const;

private:
  struct Layout;
  Layout layoutOf(uint64_t bytes) const;
  std::string dataSection(uint64_t bytes) const;

  const ObjectMachine &machine;
  std::string symbol;
  uint64_t largeBytes;
};

/// The name of a file without folder and ending as part of an identifier: "my-model.o" is my_model.
std::string symbolStem(llvm::StringRef path);

} // namespace llmir::compiler

#endif // LLMIR_BUNDLE_OBJECTFILE_H
