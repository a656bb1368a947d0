/* The tokens of a vocabulary as a tree of their bytes, in preorder, so that a walk over all tokens
 * meets each prefix once and leaves a whole subtree with one jump. Control tokens are not part of
 * it: no grammar's text comes from them.
 *
 * Immutable; any thread may read it. */
#ifndef LLMIR_GRAMMAR_VOCABULARY_H
#define LLMIR_GRAMMAR_VOCABULARY_H

#include "core/base/allocator.h"
#include "core/tokenizer.h"

typedef struct llmir_vocabulary_node {
    uint32_t end;         /* the first node behind the subtree */
    uint32_t token_begin; /* of those that end here, up to the next node's, in `tokens` */
    uint16_t depth;       /* bytes from the root, at least 1 */
    uint8_t byte;
    uint8_t reserved;
} llmir_vocabulary_node_t;

typedef struct llmir_vocabulary {
    const llmir_allocator_t* allocator;
    const llmir_tokenizer_t* tokenizer;
    llmir_vocabulary_node_t* nodes; /* [node_count + 1]; the last ends the lists of tokens */
    int32_t* tokens;                /* [token_count], by their bytes */
    uint32_t node_count;
    uint32_t token_count;
    uint32_t max_depth;
} llmir_vocabulary_t;

/* Builds the tree; what it points to must outlive it. `out` must be freed in any case.
 * Errors: OUT_OF_MEMORY. */
llmir_status_t llmir_vocabulary_build(const llmir_tokenizer_t* tokenizer,
                                      const llmir_allocator_t* allocator,
                                      llmir_vocabulary_t* out,
                                      llmir_error_t* error);
void llmir_vocabulary_free(llmir_vocabulary_t* vocabulary);

#endif /* LLMIR_GRAMMAR_VOCABULARY_H */
