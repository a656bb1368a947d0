//===- SharedObject.h - From an object to the image of a CODE section -----===//
#ifndef LLMIR_LIB_CODEGEN_SHAREDOBJECT_H
#define LLMIR_LIB_CODEGEN_SHAREDOBJECT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace llmir::compiler {

/// A position-independent ELF shared object without imports.
struct SharedObject {
  std::vector<uint8_t> image;
  llvm::StringMap<uint32_t> functions; ///< virtual addresses
  uint64_t codeBytes = 0;              ///< of executable segments
};

/// Links one relocatable object. Not for several threads at once: lld keeps global state.
llvm::Expected<SharedObject> linkSharedObject(llvm::ArrayRef<char> object, bool keepSymbols);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_SHAREDOBJECT_H
