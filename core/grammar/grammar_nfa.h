/* The way from trees to the automaton: which rules are inlined, and a nondeterministic automaton
 * with empty edges for each rule that is not. */
#ifndef LLMIR_GRAMMAR_NFA_H
#define LLMIR_GRAMMAR_NFA_H

#include "core/grammar/grammar_ast.h"

typedef enum llmir_nfa_kind {
    LLMIR_NFA_EMPTY,
    LLMIR_NFA_BYTES, /* a byte of [low, high] */
    LLMIR_NFA_CALL,  /* `rule` */
} llmir_nfa_kind_t;

#define LLMIR_NFA_NONE UINT32_MAX

typedef struct llmir_nfa_edge {
    uint32_t next; /* of the same state */
    uint32_t target;
    uint32_t rule;
    uint8_t kind;
    uint8_t low;
    uint8_t high;
} llmir_nfa_edge_t;

/* What is known of a rule. */
typedef struct llmir_nfa_rule {
    uint32_t size;         /* states that its body takes with all inlined, saturated */
    uint32_t is_recursive; /* calls itself, directly or not */
    uint32_t is_called;    /* has an automaton of its own: is recursive, large or the root */
    uint32_t is_nullable;  /* the empty text is one of its texts */
    uint32_t start;        /* of its automaton; LLMIR_NFA_NONE until it is built */
    uint32_t end;
} llmir_nfa_rule_t;

typedef struct llmir_nfa {
    const llmir_ast_t* ast;
    llmir_vector_t rules;  /* llmir_nfa_rule_t, one a rule of the tree */
    llmir_vector_t states; /* u32: the first edge */
    llmir_vector_t edges;  /* llmir_nfa_edge_t */
} llmir_nfa_t;

static inline llmir_nfa_rule_t* llmir_nfa_rule_at(const llmir_nfa_t* nfa, uint32_t index) {
    return llmir_vector_at(&nfa->rules, index);
}

/* Looks at all rules: sizes, recursion, left recursion. `out` must be freed in any case.
 * Errors: INVALID_ARGUMENT (left recursion), OUT_OF_MEMORY. */
llmir_status_t llmir_nfa_analyse(const llmir_ast_t* ast, llmir_nfa_t* out, llmir_error_t* error);

/* Builds the automaton of one rule. Errors: INVALID_ARGUMENT (too large), OUT_OF_MEMORY. */
llmir_status_t llmir_nfa_build_rule(llmir_nfa_t* nfa, uint32_t rule, llmir_error_t* error);

void llmir_nfa_free(llmir_nfa_t* nfa);

#endif /* LLMIR_GRAMMAR_NFA_H */
