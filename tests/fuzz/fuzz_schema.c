/* Fuzzes JSON schemas: any text is an error or a grammar, and whatever that grammar lets be written
 * is JSON. A zero byte ends the schema; each byte after it proposes how the text goes on, and one
 * that the grammar allows is taken.
 *
 *   fuzz_schema CORPUS -max_len=4096 */
#include <stdlib.h>
#include <string.h>

#include "core/grammar/grammar.h"
#include "core/grammar/json_reader.h"

#define MAX_STEPS 300u

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

static llmir_status_t compile(const llmir_allocator_t* allocator,
                              const uint8_t* schema,
                              size_t bytes,
                              llmir_automaton_t* out) {
    llmir_vector_t gbnf = llmir_vector_of(allocator, 1);
    llmir_ast_t ast;
    llmir_status_t status =
        llmir_schema_to_gbnf(allocator, (const char*)schema, bytes, &gbnf, NULL);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_gbnf_parse(allocator, gbnf.data, gbnf.count, &ast, NULL);
        /* What is written here must be understood there; a schema may be too large, or go round in
         * a circle. */
        if (status == LLMIR_STATUS_OK) {
            status = llmir_automaton_build(&ast, out, NULL);
        }
        llmir_ast_free(&ast);
    }
    llmir_vector_free(&gbnf);
    return status;
}

/* The reader of JSON takes 64 levels. Brackets in strings are none. */
static int is_deep(const char* text, size_t bytes) {
    uint32_t depth = 0;
    uint32_t deepest = 0;
    int in_string = 0;
    for (size_t i = 0; i < bytes; ++i) {
        if (in_string && text[i] == '\\') {
            ++i; /* what is escaped may be a quote */
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            depth += text[i] == '[' || text[i] == '{' ? 1u : 0u;
            depth -= (text[i] == ']' || text[i] == '}') && depth != 0 ? 1u : 0u;
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest > 60u;
}

/* Appends the proposed byte or, where the grammar does not allow it, the first one that it allows
 * of those that JSON is made of; 0 if there is none. */
static int step(const llmir_automaton_t* automaton, llmir_match_t* match, uint8_t* inout_byte) {
    static const uint8_t others[] = "\"}],:0tfn{[ a-rues1l.+";
    for (size_t i = 0; i < sizeof(others); ++i) {
        if (llmir_match_append(automaton, match, inout_byte, 1, NULL) == LLMIR_STATUS_OK) {
            return 1;
        }
        *inout_byte = others[i];
    }
    return 0;
}

static void check_json(const llmir_allocator_t* allocator, const char* text, size_t bytes) {
    llmir_json_t json;
    if (llmir_json_read(allocator, text, bytes, &json, NULL) != LLMIR_STATUS_OK &&
        !is_deep(text, bytes)) {
        abort();
    }
    llmir_json_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    const llmir_allocator_t allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    llmir_automaton_t automaton;
    llmir_match_t match;
    char text[MAX_STEPS];
    size_t count = 0;
    const uint8_t* end = bytes != 0 ? memchr(data, 0, bytes) : NULL;
    const size_t schema_bytes = end != NULL ? (size_t)(end - data) : bytes;
    memset(&automaton, 0, sizeof(automaton));
    if (compile(&allocator, data, schema_bytes, &automaton) == LLMIR_STATUS_OK && end != NULL &&
        llmir_match_begin(&automaton, &match, NULL) == LLMIR_STATUS_OK) {
        for (const uint8_t* at = end + 1; at < data + bytes && count < MAX_STEPS; ++at) {
            uint8_t byte = *at;
            if (!step(&automaton, &match, &byte)) {
                break;
            }
            text[count++] = (char)byte;
            if (match.is_ended) {
                check_json(&allocator, text, count);
            }
        }
    }
    if (automaton.states.allocator != NULL) {
        llmir_automaton_free(&automaton);
    }
    return 0;
}
