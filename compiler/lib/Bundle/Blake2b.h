//===- Blake2b.h - The runtime's hash, for C++ ----------------------------===//
//
// core/base/blake2b is, beside quant/ and llmir_bundle.h, the one part of the runtime that the
// compiler uses: writer and reader of a bundle must agree on the hash, and LLVM has none of this
// family.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_BUNDLE_BLAKE2B_H
#define LLMIR_LIB_BUNDLE_BLAKE2B_H

#include "llmir/Bundle/BundleWriter.h"

extern "C" {
#include "core/base/blake2b.h"
}

namespace llmir::compiler {

class Blake2b {
public:
  Blake2b() { llmir_blake2b_init(&state); }
  void update(llvm::ArrayRef<uint8_t> bytes) {
    llmir_blake2b_update(&state, bytes.data(), bytes.size());
  }
  BundleHash finish() {
    BundleHash hash;
    llmir_blake2b_final(&state, hash.data());
    return hash;
  }

private:
  llmir_blake2b_t state;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_BUNDLE_BLAKE2B_H
