/* Fuzzes grammars: any text is an error or a grammar, and any text after it can be matched with it.
 * The first byte chooses the kind; a zero byte ends the grammar.
 *
 *   fuzz_grammar CORPUS -max_len=4096 */
#include <string.h>

#include "core/grammar/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

/* A text that has no vocabulary behind it. */
static llmir_status_t compile(const llmir_allocator_t* allocator,
                              const char* text,
                              size_t bytes,
                              llmir_automaton_t* out) {
    llmir_ast_t ast;
    llmir_status_t status = llmir_gbnf_parse(allocator, text, bytes, &ast, NULL);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_automaton_build(&ast, out, NULL);
    }
    llmir_ast_free(&ast);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    const llmir_allocator_t allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    llmir_vector_t gbnf = llmir_vector_of(&allocator, 1);
    llmir_automaton_t automaton;
    llmir_match_t match;
    llmir_status_t status = LLMIR_STATUS_OK;
    memset(&automaton, 0, sizeof(automaton));
    if (bytes == 0) {
        return 0;
    }
    const char* text = (const char*)data + 1;
    const uint8_t* end = memchr(text, 0, bytes - 1u);
    const size_t text_bytes = end != NULL ? (size_t)(end - data) - 1u : bytes - 1u;
    if (data[0] % 2u == 0) {
        status = compile(&allocator, text, text_bytes, &automaton);
    } else {
        status = llmir_schema_to_gbnf(&allocator, text, text_bytes, &gbnf, NULL);
        if (status == LLMIR_STATUS_OK) {
            status = compile(&allocator, gbnf.data, gbnf.count, &automaton);
        }
    }
    if (status == LLMIR_STATUS_OK && end != NULL &&
        llmir_match_begin(&automaton, &match, NULL) == LLMIR_STATUS_OK) {
        (void)llmir_match_append(&automaton, &match, end + 1, bytes - text_bytes - 2u, NULL);
    }
    llmir_vector_free(&gbnf);
    if (automaton.states.allocator != NULL) {
        llmir_automaton_free(&automaton);
    }
    return 0;
}
