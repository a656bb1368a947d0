/* From trees to nondeterministic automata by Thompson's construction ("Regular expression search
 * algorithm", CACM 1968): each node becomes edges between a state that is given and one that is
 * returned. Characters become the byte sequences of their UTF-8. */
#include "core/grammar/grammar_nfa.h"

/* A rule of at most this many states is put into its callers. */
#define INLINE_STATES 2048u
/* Of all rules together; a bound on time and memory. */
#define MAX_STATES (1u << 18)
#define SATURATED (1u << 24)
/* Inlined rules inside each other: bounds the depth of recursion here. */
#define MAX_INLINE_DEPTH 24u

/* ---- What is known of rules ---- */

static uint32_t saturate(uint64_t size) {
    return size < SATURATED ? (uint32_t)size : SATURATED;
}

/* States of a node, with the rules' sizes as far as they are known. */
static uint32_t size_of(const llmir_nfa_t* nfa, uint32_t index) {
    const llmir_ast_node_t* node = llmir_ast_node_at(nfa->ast, index);
    uint64_t size = 1;
    switch (node->kind) {
        case LLMIR_AST_BYTES:
            return node->count + 1u;
        case LLMIR_AST_CHARACTERS:
            return saturate(1u + 4u * (uint64_t)node->count);
        case LLMIR_AST_RULE:
            return llmir_nfa_rule_at(nfa, node->rule)->size;
        case LLMIR_AST_REPEAT: {
            const uint64_t copies =
                node->most == LLMIR_AST_UNBOUNDED ? (uint64_t)node->least + 1u : node->most;
            return saturate(1u + copies * (1u + (uint64_t)size_of(nfa, node->first_child)));
        }
        default:
            for (uint32_t i = node->first_child; i != LLMIR_AST_NONE;
                 i = llmir_ast_node_at(nfa->ast, i)->next) {
                size += size_of(nfa, i);
            }
            return saturate(size);
    }
}

/* Whether the node has the empty text, with the rules as far as they are known. */
static int is_nullable(const llmir_nfa_t* nfa, uint32_t index) {
    const llmir_ast_node_t* node = llmir_ast_node_at(nfa->ast, index);
    const int is_any = node->kind == LLMIR_AST_ALTERNATIVE;
    switch (node->kind) {
        case LLMIR_AST_BYTES:
            return node->count == 0;
        case LLMIR_AST_CHARACTERS:
            return 0;
        case LLMIR_AST_RULE:
            return llmir_nfa_rule_at(nfa, node->rule)->is_nullable != 0;
        case LLMIR_AST_REPEAT:
            return node->least == 0 || is_nullable(nfa, node->first_child);
        default:
            for (uint32_t i = node->first_child; i != LLMIR_AST_NONE;
                 i = llmir_ast_node_at(nfa->ast, i)->next) {
                if (is_nullable(nfa, i) == is_any) {
                    return is_any;
                }
            }
            return !is_any;
    }
}

/* Repeats until nothing changes: at most once for each rule. */
static void find_nullable(llmir_nfa_t* nfa) {
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < nfa->rules.count; ++i) {
            llmir_nfa_rule_t* rule = llmir_nfa_rule_at(nfa, i);
            if (!rule->is_nullable && is_nullable(nfa, llmir_ast_rule_at(nfa->ast, i)->body)) {
                rule->is_nullable = 1;
                changed = 1;
            }
        }
    }
}

/* ---- Recursion ---- */

/* A walk over the rules that a rule can reach: through any use, or through uses at its beginning
 * alone. */
typedef struct reach_walk {
    const llmir_nfa_t* nfa;
    int beginning;
    uint8_t* seen;     /* [rule] */
    uint32_t* pending; /* [rule] */
    uint32_t pending_count;
} reach_walk_t;

static void visit_uses(reach_walk_t* walk, uint32_t index) {
    const llmir_ast_node_t* node = llmir_ast_node_at(walk->nfa->ast, index);
    if (node->kind == LLMIR_AST_RULE) {
        if (!walk->seen[node->rule]) {
            walk->seen[node->rule] = 1;
            walk->pending[walk->pending_count++] = node->rule;
        }
        return;
    }
    if (node->kind < LLMIR_AST_SEQUENCE) {
        return;
    }
    for (uint32_t i = node->first_child; i != LLMIR_AST_NONE;
         i = llmir_ast_node_at(walk->nfa->ast, i)->next) {
        visit_uses(walk, i);
        if (walk->beginning && node->kind == LLMIR_AST_SEQUENCE && !is_nullable(walk->nfa, i)) {
            break;
        }
    }
}

/* Whether the rule reaches itself. */
static int reaches_itself(reach_walk_t* walk, uint32_t rule) {
    memset(walk->seen, 0, walk->nfa->rules.count);
    walk->pending_count = 0;
    visit_uses(walk, llmir_ast_rule_at(walk->nfa->ast, rule)->body);
    while (walk->pending_count != 0 && !walk->seen[rule]) {
        walk->pending_count -= 1u;
        visit_uses(walk,
                   llmir_ast_rule_at(walk->nfa->ast, walk->pending[walk->pending_count])->body);
    }
    return walk->seen[rule] != 0;
}

static llmir_status_t check_recursion(llmir_nfa_t* nfa, reach_walk_t* walk, llmir_error_t* error) {
    for (uint32_t i = 0; i < nfa->rules.count; ++i) {
        const llmir_ast_rule_t* rule = llmir_ast_rule_at(nfa->ast, i);
        walk->beginning = 1;
        if (reaches_itself(walk, i)) {
            uint32_t line = 0;
            uint32_t column = 0;
            llmir_ast_position(nfa->ast->text, rule->name_begin, &line, &column);
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "grammar: line %u, column %u: rule '%.*s' is left-recursive: it can "
                              "begin with itself",
                              line, column, (int)(rule->name_bytes < 60 ? rule->name_bytes : 60),
                              nfa->ast->text + rule->name_begin);
        }
        walk->beginning = 0;
        llmir_nfa_rule_at(nfa, i)->is_recursive = reaches_itself(walk, i) ? 1u : 0u;
    }
    return LLMIR_STATUS_OK;
}

/* Sizes of rules that are not recursive, inner ones first; a chain of n rules takes n rounds. */
static void find_sizes(llmir_nfa_t* nfa) {
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < nfa->rules.count; ++i) {
            llmir_nfa_rule_t* rule = llmir_nfa_rule_at(nfa, i);
            const uint32_t size =
                rule->is_called ? 1u : size_of(nfa, llmir_ast_rule_at(nfa->ast, i)->body);
            rule->is_called |= size > INLINE_STATES ? 1u : 0u;
            changed |= size != rule->size && !rule->is_called;
            rule->size = rule->is_called ? 1u : size;
        }
    }
}

llmir_status_t llmir_nfa_analyse(const llmir_ast_t* ast, llmir_nfa_t* out, llmir_error_t* error) {
    const llmir_allocator_t* allocator = ast->rules.allocator;
    const size_t count = ast->rules.count;
    reach_walk_t walk = {.nfa = out};
    void* scratch = NULL;
    *out = (llmir_nfa_t){.ast = ast,
                         .rules = llmir_vector_of(allocator, sizeof(llmir_nfa_rule_t)),
                         .states = llmir_vector_of(allocator, sizeof(uint32_t)),
                         .edges = llmir_vector_of(allocator, sizeof(llmir_nfa_edge_t))};
    for (size_t i = 0; i < count; ++i) {
        const llmir_nfa_rule_t rule = {.start = LLMIR_NFA_NONE, .end = LLMIR_NFA_NONE};
        LLMIR_TRY(llmir_vector_append(&out->rules, &rule, 1, "grammar", error));
    }
    find_nullable(out);
    const size_t bytes = count * (sizeof(uint32_t) + 1u);
    LLMIR_TRY(llmir_allocate(allocator, bytes, 8, "grammar", &scratch, error));
    walk.pending = scratch;
    walk.seen = (uint8_t*)scratch + count * sizeof(uint32_t);
    const llmir_status_t status = check_recursion(out, &walk, error);
    llmir_free(allocator, scratch, bytes, 8);
    LLMIR_TRY(status);
    for (uint32_t i = 0; i < count; ++i) {
        llmir_nfa_rule_t* rule = llmir_nfa_rule_at(out, i);
        rule->is_called = rule->is_recursive || i == ast->root ? 1u : 0u;
    }
    find_sizes(out);
    return LLMIR_STATUS_OK;
}

/* ---- Building ---- */

typedef struct nfa_builder {
    llmir_nfa_t* nfa;
    uint32_t depth; /* of inlined rules */
    llmir_error_t* error;
} nfa_builder_t;

static llmir_status_t add_state(nfa_builder_t* builder, uint32_t* out) {
    const uint32_t none = LLMIR_NFA_NONE;
    *out = (uint32_t)builder->nfa->states.count;
    if (*out == MAX_STATES) {
        return llmir_fail(builder->error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "grammar: it needs more than %u states; large counts of repetition take "
                          "one for each",
                          MAX_STATES);
    }
    return llmir_vector_append(&builder->nfa->states, &none, 1, "grammar", builder->error);
}

static llmir_status_t add_edge(nfa_builder_t* builder, uint32_t from, llmir_nfa_edge_t edge) {
    uint32_t* first = llmir_vector_at(&builder->nfa->states, from);
    edge.next = *first;
    *first = (uint32_t)builder->nfa->edges.count;
    return llmir_vector_append(&builder->nfa->edges, &edge, 1, "grammar", builder->error);
}

static llmir_status_t add_empty(nfa_builder_t* builder, uint32_t from, uint32_t to) {
    return add_edge(builder, from, (llmir_nfa_edge_t){.kind = LLMIR_NFA_EMPTY, .target = to});
}

static llmir_status_t add_byte(
    nfa_builder_t* builder, uint32_t from, uint32_t low, uint32_t high, uint32_t to) {
    return add_edge(
        builder, from,
        (llmir_nfa_edge_t){
            .kind = LLMIR_NFA_BYTES, .low = (uint8_t)low, .high = (uint8_t)high, .target = to});
}

/* Values that are written in `more` + 1 bytes, the first of which is `mark` with the top bits. */
typedef struct utf8_span {
    uint32_t mark;
    uint32_t more;
    uint32_t low;
    uint32_t high;
} utf8_span_t;

/* Adds the byte sequences of a span. First bytes with the same tails share an edge; only the first
 * and the last of them may have fewer tails than all. Recursion is as deep as the sequence long. */
static llmir_status_t add_span(nfa_builder_t* builder,
                               uint32_t from,
                               utf8_span_t span,
                               uint32_t to) {
    const uint32_t shift = 6u * span.more;
    const uint32_t all = (1u << shift) - 1u;
    const uint32_t last = span.high >> shift;
    if (span.more == 0) {
        return add_byte(builder, from, span.mark | span.low, span.mark | span.high, to);
    }
    for (uint32_t first = span.low >> shift; first <= last;) {
        utf8_span_t tail = {0x80u, span.more - 1u, first == span.low >> shift ? span.low & all : 0u,
                            first == last ? span.high & all : all};
        uint32_t same = first;
        uint32_t middle = 0;
        if (tail.low == 0 && tail.high == all) {
            same = (span.high & all) == all ? last : last - 1u;
        }
        LLMIR_TRY(add_state(builder, &middle));
        LLMIR_TRY(add_byte(builder, from, span.mark | first, span.mark | same, middle));
        LLMIR_TRY(add_span(builder, middle, tail, to));
        first = same + 1u;
    }
    return LLMIR_STATUS_OK;
}

/* Adds a range of code points as UTF-8, surrogates left out. */
static llmir_status_t add_range(nfa_builder_t* builder,
                                uint32_t from,
                                llmir_char_range_t range,
                                uint32_t to) {
    static const utf8_span_t spans[] = {{0x00, 0, 0x0, 0x7f},
                                        {0xc0, 1, 0x80, 0x7ff},
                                        {0xe0, 2, 0x800, 0xd7ff},
                                        {0xe0, 2, 0xe000, 0xffff},
                                        {0xf0, 3, 0x10000, 0x10ffff}};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); ++i) {
        utf8_span_t span = spans[i];
        span.low = range.low > span.low ? range.low : span.low;
        span.high = range.high < span.high ? range.high : span.high;
        if (span.low <= span.high) {
            LLMIR_TRY(add_span(builder, from, span, to));
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t build(nfa_builder_t* builder, uint32_t node, uint32_t from, uint32_t* out_to);

static llmir_status_t build_bytes(nfa_builder_t* builder,
                                  const llmir_ast_node_t* node,
                                  uint32_t from,
                                  uint32_t* out_to) {
    const uint8_t* bytes = llmir_vector_at(&builder->nfa->ast->bytes, node->begin);
    *out_to = from;
    for (uint32_t i = 0; i < node->count; ++i) {
        from = *out_to;
        LLMIR_TRY(add_state(builder, out_to));
        LLMIR_TRY(add_byte(builder, from, bytes[i], bytes[i], *out_to));
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t build_characters(nfa_builder_t* builder,
                                       const llmir_ast_node_t* node,
                                       uint32_t from,
                                       uint32_t* out_to) {
    LLMIR_TRY(add_state(builder, out_to));
    for (uint32_t i = 0; i < node->count; ++i) {
        const llmir_char_range_t* range =
            llmir_vector_at(&builder->nfa->ast->ranges, node->begin + i);
        LLMIR_TRY(add_range(builder, from, *range, *out_to));
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t build_use(nfa_builder_t* builder,
                                uint32_t rule,
                                uint32_t from,
                                uint32_t* out_to) {
    llmir_nfa_rule_t* known = llmir_nfa_rule_at(builder->nfa, rule);
    if (!known->is_called && builder->depth < MAX_INLINE_DEPTH) {
        builder->depth += 1u;
        LLMIR_TRY(build(builder, llmir_ast_rule_at(builder->nfa->ast, rule)->body, from, out_to));
        builder->depth -= 1u;
        return LLMIR_STATUS_OK;
    }
    known->is_called = 1;
    LLMIR_TRY(add_state(builder, out_to));
    return add_edge(builder, from,
                    (llmir_nfa_edge_t){.kind = LLMIR_NFA_CALL, .rule = rule, .target = *out_to});
}

/* `least` copies, then a loop, or copies that may each be the last. */
static llmir_status_t build_repeat(nfa_builder_t* builder,
                                   const llmir_ast_node_t* node,
                                   uint32_t from,
                                   uint32_t* out_to) {
    const uint32_t child = node->first_child;
    const uint32_t least = node->least;
    const uint32_t most = node->most;
    uint32_t at = from;
    uint32_t end = 0;
    for (uint32_t i = 0; i < least; ++i) {
        LLMIR_TRY(build(builder, child, at, &at));
    }
    LLMIR_TRY(add_state(builder, out_to));
    if (most == LLMIR_AST_UNBOUNDED) {
        LLMIR_TRY(add_empty(builder, at, *out_to));
        LLMIR_TRY(build(builder, child, *out_to, &end));
        return add_empty(builder, end, *out_to);
    }
    for (uint32_t i = least; i < most; ++i) {
        LLMIR_TRY(add_empty(builder, at, *out_to));
        LLMIR_TRY(build(builder, child, at, &at));
    }
    return add_empty(builder, at, *out_to);
}

/* Each alternative begins with a state of its own: loops of one must not lead into another. */
static llmir_status_t build_alternatives(nfa_builder_t* builder,
                                         const llmir_ast_node_t* node,
                                         uint32_t from,
                                         uint32_t* out_to) {
    const llmir_ast_t* ast = builder->nfa->ast;
    const uint32_t first = node->first_child;
    LLMIR_TRY(add_state(builder, out_to));
    for (uint32_t i = first; i != LLMIR_AST_NONE; i = llmir_ast_node_at(ast, i)->next) {
        uint32_t begin = 0;
        uint32_t end = 0;
        LLMIR_TRY(add_state(builder, &begin));
        LLMIR_TRY(add_empty(builder, from, begin));
        LLMIR_TRY(build(builder, i, begin, &end));
        LLMIR_TRY(add_empty(builder, end, *out_to));
    }
    return LLMIR_STATUS_OK;
}

/* Adds what leads from `from` through the node to the state *out_to. */
static llmir_status_t build(nfa_builder_t* builder,
                            uint32_t index,
                            uint32_t from,
                            uint32_t* out_to) {
    const llmir_ast_t* ast = builder->nfa->ast;
    const llmir_ast_node_t* node = llmir_ast_node_at(ast, index);
    switch (node->kind) {
        case LLMIR_AST_BYTES:
            return build_bytes(builder, node, from, out_to);
        case LLMIR_AST_CHARACTERS:
            return build_characters(builder, node, from, out_to);
        case LLMIR_AST_RULE:
            return build_use(builder, node->rule, from, out_to);
        case LLMIR_AST_REPEAT:
            return build_repeat(builder, node, from, out_to);
        case LLMIR_AST_ALTERNATIVE:
            return build_alternatives(builder, node, from, out_to);
        default:
            *out_to = from;
            for (uint32_t i = node->first_child; i != LLMIR_AST_NONE;
                 i = llmir_ast_node_at(ast, i)->next) {
                LLMIR_TRY(build(builder, i, *out_to, out_to));
            }
            return LLMIR_STATUS_OK;
    }
}

llmir_status_t llmir_nfa_build_rule(llmir_nfa_t* nfa, uint32_t rule, llmir_error_t* error) {
    nfa_builder_t builder = {nfa, 0, error};
    uint32_t start = 0;
    uint32_t end = 0;
    LLMIR_TRY(add_state(&builder, &start));
    LLMIR_TRY(build(&builder, llmir_ast_rule_at(nfa->ast, rule)->body, start, &end));
    llmir_nfa_rule_at(nfa, rule)->start = start;
    llmir_nfa_rule_at(nfa, rule)->end = end;
    return LLMIR_STATUS_OK;
}

void llmir_nfa_free(llmir_nfa_t* nfa) {
    llmir_vector_free(&nfa->rules);
    llmir_vector_free(&nfa->states);
    llmir_vector_free(&nfa->edges);
}
