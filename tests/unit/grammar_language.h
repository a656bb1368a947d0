/* Languages of grammars: texts that they must accept and refuse. For the tests of grammars, which
 * include it once each. */
#ifndef LLMIR_TEST_GRAMMAR_LANGUAGE_H
#define LLMIR_TEST_GRAMMAR_LANGUAGE_H

#include <string.h>

#include "core/grammar/grammar.h"
#include "tests/support/tiny_model.h"

/* A grammar without a vocabulary. */
static llmir_status_t compile(const llmir_allocator_t* allocator,
                              const char* text,
                              int is_schema,
                              llmir_automaton_t* out,
                              llmir_error_t* error) {
    llmir_vector_t gbnf = llmir_vector_of(allocator, 1);
    llmir_ast_t ast;
    llmir_status_t status = LLMIR_STATUS_OK;
    memset(out, 0, sizeof(*out));
    if (is_schema) {
        status = llmir_schema_to_gbnf(allocator, text, strlen(text), &gbnf, error);
    } else {
        status = llmir_vector_append(&gbnf, text, strlen(text), "text", error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_gbnf_parse(allocator, gbnf.data, gbnf.count, &ast, error);
        if (status == LLMIR_STATUS_OK) {
            status = llmir_automaton_build(&ast, out, error);
        }
        llmir_ast_free(&ast);
    }
    llmir_vector_free(&gbnf);
    return status;
}

static void release(llmir_automaton_t* automaton) {
    if (automaton->states.allocator != NULL) {
        llmir_automaton_free(automaton);
    }
}

static int accepts(const llmir_automaton_t* automaton, const char* text) {
    llmir_match_t match;
    assert_status(llmir_match_begin(automaton, &match, &assert_status_error), LLMIR_STATUS_OK);
    return llmir_match_append(automaton, &match, (const uint8_t*)text, strlen(text), NULL) ==
               LLMIR_STATUS_OK &&
           match.is_ended;
}

#define LANGUAGE_TEXTS 10

typedef struct language {
    const char* grammar;
    const char* inside[LANGUAGE_TEXTS];
    const char* outside[LANGUAGE_TEXTS];
} language_t;

static void check_languages(const language_t* languages, size_t count, int is_schema) {
    test_allocator_t state = {0};
    const llmir_allocator_t allocator = test_allocator(&state);
    for (size_t i = 0; i < count; ++i) {
        llmir_automaton_t automaton;
        assert_status(
            compile(&allocator, languages[i].grammar, is_schema, &automaton, &assert_status_error),
            LLMIR_STATUS_OK);
        for (size_t k = 0; k < LANGUAGE_TEXTS && languages[i].inside[k] != NULL; ++k) {
            if (!accepts(&automaton, languages[i].inside[k])) {
                fail_msg("%s: refuses %s", languages[i].grammar, languages[i].inside[k]);
            }
        }
        for (size_t k = 0; k < LANGUAGE_TEXTS && languages[i].outside[k] != NULL; ++k) {
            if (accepts(&automaton, languages[i].outside[k])) {
                fail_msg("%s: accepts %s", languages[i].grammar, languages[i].outside[k]);
            }
        }
        release(&automaton);
    }
    test_allocator_check(&state);
}

#endif /* LLMIR_TEST_GRAMMAR_LANGUAGE_H */
