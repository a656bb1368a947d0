/* A grammar as a pushdown automaton over bytes. Each rule that others call, or that is recursive,
 * is a deterministic automaton of its own; all other rules are part of those that use them. A state
 * goes on by a byte, or by calling a rule and then going on at another state.
 *
 * Immutable; any thread may read it. */
#ifndef LLMIR_GRAMMAR_AUTOMATON_H
#define LLMIR_GRAMMAR_AUTOMATON_H

#include "core/grammar/grammar_ast.h"

/* Goes to `target` on a byte of [low, high]. */
typedef struct llmir_byte_edge {
    uint8_t low;
    uint8_t high;
    uint16_t target;
} llmir_byte_edge_t;

/* Runs a rule from its state `start` and goes on at `target`. */
typedef struct llmir_call_edge {
    uint16_t start;
    uint16_t target;
} llmir_call_edge_t;

typedef struct llmir_grammar_state {
    uint32_t byte_begin; /* edges [begin, end of the next state) */
    uint32_t call_begin;
    uint32_t is_end; /* the rule may end here */
} llmir_grammar_state_t;

typedef struct llmir_automaton {
    llmir_vector_t states; /* llmir_grammar_state_t, one more than there are states */
    llmir_vector_t bytes;  /* llmir_byte_edge_t, ascending and not overlapping within a state */
    llmir_vector_t calls;  /* llmir_call_edge_t */
    uint32_t state_count;
    uint32_t start;
} llmir_automaton_t;

/* States that an automaton may have. */
#define LLMIR_GRAMMAR_MAX_STATES 32768u

/* Builds the automaton; `out` must be freed in any case. Errors: INVALID_ARGUMENT (left recursion,
 * with line and column; too large), OUT_OF_MEMORY. */
llmir_status_t llmir_automaton_build(const llmir_ast_t* ast,
                                     llmir_automaton_t* out,
                                     llmir_error_t* error);
void llmir_automaton_free(llmir_automaton_t* automaton);

#endif /* LLMIR_GRAMMAR_AUTOMATON_H */
