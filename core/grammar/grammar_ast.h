/* A grammar as it was written: rules whose bodies are trees of nodes. The parser of GBNF makes it,
 * grammar_automaton.c turns it into an automaton. */
#ifndef LLMIR_GRAMMAR_AST_H
#define LLMIR_GRAMMAR_AST_H

#include "core/base/vector.h"

#define LLMIR_AST_NONE UINT32_MAX

typedef enum llmir_ast_kind {
    LLMIR_AST_BYTES,       /* a literal: `begin`, `count` in bytes */
    LLMIR_AST_CHARACTERS,  /* one character of a class: `begin`, `count` in ranges */
    LLMIR_AST_RULE,        /* a rule's name: `rule` */
    LLMIR_AST_SEQUENCE,    /* children one after the other; none: the empty text */
    LLMIR_AST_ALTERNATIVE, /* one of the children */
    LLMIR_AST_REPEAT,      /* the child `least` to `most` times */
} llmir_ast_kind_t;

#define LLMIR_AST_UNBOUNDED UINT32_MAX

typedef struct llmir_ast_node {
    uint32_t kind;
    uint32_t begin;
    uint32_t count;
    uint32_t rule;
    uint32_t least;
    uint32_t most;
    uint32_t first_child; /* LLMIR_AST_NONE: none, as next */
    uint32_t next;        /* sibling */
} llmir_ast_node_t;

/* Code points, both ends included. */
typedef struct llmir_char_range {
    uint32_t low;
    uint32_t high;
} llmir_char_range_t;

typedef struct llmir_ast_rule {
    uint32_t name_begin; /* in the text: of the definition, or of the first use before it */
    uint32_t name_bytes;
    uint32_t body; /* LLMIR_AST_NONE: used but not defined */
} llmir_ast_rule_t;

typedef struct llmir_ast {
    const char* text;
    llmir_vector_t nodes;  /* llmir_ast_node_t */
    llmir_vector_t rules;  /* llmir_ast_rule_t */
    llmir_vector_t bytes;  /* uint8_t: of literals */
    llmir_vector_t ranges; /* llmir_char_range_t: of classes; ascending, not overlapping */
    uint32_t root;
} llmir_ast_t;

static inline llmir_ast_node_t* llmir_ast_node_at(const llmir_ast_t* ast, uint32_t index) {
    return llmir_vector_at(&ast->nodes, index);
}
static inline llmir_ast_rule_t* llmir_ast_rule_at(const llmir_ast_t* ast, uint32_t index) {
    return llmir_vector_at(&ast->rules, index);
}

#define LLMIR_GRAMMAR_MAX_BYTES (1u << 20)
#define LLMIR_GRAMMAR_MAX_RULES 4096u
#define LLMIR_GRAMMAR_MAX_NODES 65536u

/* UTF-8 of a code point; returns its 1 to 4 bytes. */
static inline size_t llmir_utf8_put(uint32_t c, uint8_t out[4]) {
    const uint32_t more = c < 0x80 ? 0u : c < 0x800 ? 1u : c < 0x10000 ? 2u : 3u;
    out[0] = (uint8_t)(more == 0 ? c : (0xf0u << (3u - more) | c >> (6u * more)));
    for (uint32_t i = 1; i <= more; ++i) {
        out[i] = (uint8_t)(0x80u | (c >> (6u * (more - i)) & 0x3fu));
    }
    return more + 1u;
}

/* Line and character of an offset in the text, from 1. */
void llmir_ast_position(const char* text, size_t offset, uint32_t* out_line, uint32_t* out_column);

/* Reads GBNF; llmir.h describes what is understood. `text` must outlive `out_ast`, which must be
 * freed in any case. Errors: INVALID_ARGUMENT with line and column, OUT_OF_MEMORY. */
llmir_status_t llmir_gbnf_parse(const llmir_allocator_t* allocator,
                                const char* text,
                                size_t bytes,
                                llmir_ast_t* out_ast,
                                llmir_error_t* error);

void llmir_ast_free(llmir_ast_t* ast);

#endif /* LLMIR_GRAMMAR_AST_H */
