/* The grammar object: an automaton and the masks kept, over the vocabulary's tree, which is made
 * once for all grammars of a model. */
#ifndef LLMIR_GRAMMAR_H
#define LLMIR_GRAMMAR_H

#include "core/grammar/grammar_mask.h"
#include "core/model.h"
#include "platform/platform.h"

/* Of a model. */
typedef struct llmir_grammar_cache {
    llmir_mutex_t mutex;
    llmir_vocabulary_t vocabulary; /* empty until the first grammar needs it, then immutable */
} llmir_grammar_cache_t;

/* Makes the model's; NULL in a library without grammars. Errors: OUT_OF_MEMORY. */
llmir_status_t llmir_grammar_cache_create(const llmir_allocator_t* allocator,
                                          llmir_grammar_cache_t** out_cache,
                                          llmir_error_t* error);
void llmir_grammar_cache_destroy(const llmir_allocator_t* allocator, llmir_grammar_cache_t* cache);

struct llmir_grammar {
    const llmir_model_t* model;
    llmir_automaton_t automaton;
    const llmir_vocabulary_t* vocabulary; /* the model's */
    llmir_masks_t masks;
    llmir_mutex_t mutex; /* of the masks */
    uint32_t has_mutex;
};

/* The JSON schema as GBNF text in `out_text` (char), which must be freed in any case.
 * Errors: INVALID_ARGUMENT, UNSUPPORTED (a keyword), OUT_OF_MEMORY. */
llmir_status_t llmir_schema_to_gbnf(const llmir_allocator_t* allocator,
                                    const char* schema,
                                    size_t bytes,
                                    llmir_vector_t* out_text,
                                    llmir_error_t* error);

/* Sets the bits of the tokens that may follow the match; those that end the model's turn too where
 * the text may end.
 *   out_bits   u32 [vocab_count / 32 + 1].
 *   out_any    whether any text token may follow.
 * Threads: any. Memory: allocates nothing. Errors: CAPACITY. */
llmir_status_t llmir_grammar_allow(llmir_grammar_t* grammar,
                                   const llmir_match_t* match,
                                   uint32_t* out_bits,
                                   int* out_any,
                                   llmir_error_t* error);

/* Appends a token's text to the match. Errors: as llmir_match_append. */
llmir_status_t llmir_grammar_accept(const llmir_grammar_t* grammar,
                                    llmir_match_t* match,
                                    int32_t token,
                                    llmir_error_t* error);

#endif /* LLMIR_GRAMMAR_H */
