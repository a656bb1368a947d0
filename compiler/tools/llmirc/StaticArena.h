//===- StaticArena.h - Memory that a bundle needs, without a heap ---------===//
#ifndef LLMIR_TOOLS_LLMIRC_STATICARENA_H
#define LLMIR_TOOLS_LLMIRC_STATICARENA_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace llmir::compiler {

/// Bytes of the array that is enough for a runtime of one thread, the model at [offset, offset +
/// bytes) of the file, and one session with default options, taken from the array's front one after
/// the other. Counted by loading the bundle, which also shows that it loads; on processors with
/// narrower pointers a little less is needed.
llvm::Expected<uint64_t> staticArenaBytes(llvm::StringRef path, uint64_t offset, uint64_t bytes);

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_STATICARENA_H
