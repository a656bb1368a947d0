//===- TokenizerTable.h - From a vocabulary to the TOKENIZER section -------------------------===//
//
// Compiles a vocabulary into the tables that the runtime uses in place: token bytes, hash tables
// from bytes and pairs to ids, tries, character classes. Equal input gives equal bytes. The format
// is llmir_tokenizer_record_t of llmir_bundle.h. Free of MLIR.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_TOKENIZER_TOKENIZERTABLE_H
#define LLMIR_TOKENIZER_TOKENIZERTABLE_H

#include "llmir/Import/ImportedModel.h"

#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace llmir::compiler {

/// The bytes of a TOKENIZER section. Errors: a spec that contradicts itself (named with token or
/// merge), a pre-tokenizer that is not known (the message lists those that are), a normalizer or a
/// size that the format cannot express.
llvm::Expected<std::vector<uint8_t>> compileTokenizer(const TokenizerSpec &spec);

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_TOKENIZERTABLE_H
