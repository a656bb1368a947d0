//===- DoubleArray.h - Tries as two arrays ---------------------------------------------------===//
#ifndef LLMIR_TOKENIZER_DOUBLEARRAY_H
#define LLMIR_TOKENIZER_DOUBLEARRAY_H

#include "llmir_bundle.h"

#include <map>
#include <string>
#include <vector>

namespace llmir::compiler {

/// Builds the trie of `keys` (not empty strings): llmir_trie_node_t [], node 0 the root.
std::vector<llmir_trie_node_t> buildDoubleArray(const std::map<std::string, uint32_t> &keys);

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_DOUBLEARRAY_H
