/* Subset construction (Rabin, Scott 1959) over all rules at once. A state of the result is the set
 * of the nondeterministic states that a text may have led to; the call of a rule is a letter like a
 * byte, so that only calls are left to choose among. */
#include "core/grammar/grammar_automaton.h"

#include "core/grammar/grammar_nfa.h"

#define SLOT_COUNT (2u * LLMIR_GRAMMAR_MAX_STATES)
#define NO_SLOT UINT32_MAX
/* Members of all sets together, a bound on memory; steps of the construction (edges looked at and
 * members of sets that were made), a bound on time: half a second. */
#define MAX_MEMBERS (1u << 22)
#define MAX_STEPS (1u << 25)

/* In the set that is being made; the end of a rule. */
#define MARK_MEMBER 1u
#define MARK_END 2u

typedef struct subset {
    uint32_t begin; /* in members */
    uint32_t count;
} subset_t;

typedef struct subset_builder {
    llmir_nfa_t nfa;
    llmir_automaton_t* out;
    llmir_vector_t subsets; /* subset_t, one a state */
    llmir_vector_t members; /* u32: states of the nfa, ascending within a set */
    uint32_t* slots;        /* [SLOT_COUNT]: states by the hash of their set */
    uint8_t* marks;         /* [nfa state]: MARK_* */
    uint32_t mark_count;
    uint32_t steps;
    llmir_error_t* error;
} subset_builder_t;

static const subset_t* subset_at(const subset_builder_t* builder, uint32_t state) {
    return llmir_vector_at(&builder->subsets, state);
}

static const uint32_t* members_of(const subset_builder_t* builder, subset_t subset) {
    return (const uint32_t*)builder->members.data + subset.begin;
}

/* Goes through the edges of one kind of some states: of [index, end) of members, which may grow
 * meanwhile. */
typedef struct edge_walk {
    subset_builder_t* builder;
    uint32_t index;
    uint32_t end;
    uint32_t kind; /* llmir_nfa_kind_t */
    uint32_t next; /* edge of the state before `index`; LLMIR_NFA_NONE: none is left */
} edge_walk_t;

static edge_walk_t edges_of(subset_builder_t* builder, uint32_t state, uint32_t kind) {
    const subset_t subset = *subset_at(builder, state);
    return (edge_walk_t){builder, subset.begin, subset.begin + subset.count, kind, LLMIR_NFA_NONE};
}

/* NULL after the last. */
static const llmir_nfa_edge_t* take_edge(edge_walk_t* walk) {
    const llmir_nfa_t* nfa = &walk->builder->nfa;
    const uint32_t* members = walk->builder->members.data;
    for (;;) {
        if (walk->next == LLMIR_NFA_NONE) {
            if (walk->index == walk->end) {
                return NULL;
            }
            walk->next = *(const uint32_t*)llmir_vector_at(&nfa->states, members[walk->index++]);
            continue;
        }
        const llmir_nfa_edge_t* edge = llmir_vector_at(&nfa->edges, walk->next);
        walk->next = edge->next;
        walk->builder->steps += 1u;
        if (edge->kind == walk->kind) {
            return edge;
        }
    }
}

/* ---- Making a set ---- */

static llmir_status_t too_large(llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                      "grammar: it needs more than %u states: simplify it, or use smaller counts "
                      "of repetition",
                      LLMIR_GRAMMAR_MAX_STATES);
}

static llmir_status_t check_steps(const subset_builder_t* builder) {
    return builder->steps <= MAX_STEPS
               ? LLMIR_STATUS_OK
               : llmir_fail(builder->error, LLMIR_STATUS_INVALID_ARGUMENT,
                            "grammar: too many ways to go on at once: simplify it, or use smaller "
                            "counts of repetition");
}

/* Puts a state into the set at the end of `members`, unless it is there. */
static llmir_status_t add_member(subset_builder_t* builder, uint32_t state) {
    if (builder->marks[state] & MARK_MEMBER) {
        return LLMIR_STATUS_OK;
    }
    if (builder->members.count == MAX_MEMBERS) {
        return too_large(builder->error);
    }
    builder->marks[state] |= MARK_MEMBER;
    return llmir_vector_append(&builder->members, &state, 1, "grammar", builder->error);
}

static void sort_members(uint32_t* members, size_t count) {
    /* Shell's sort: sets are small, and no recursion. */
    for (size_t gap = count / 2u; gap != 0; gap /= 2u) {
        for (size_t i = gap; i < count; ++i) {
            const uint32_t moved = members[i];
            size_t j = i;
            for (; j >= gap && members[j - gap] > moved; j -= gap) {
                members[j] = members[j - gap];
            }
            members[j] = moved;
        }
    }
}

static uint32_t hash_of(const uint32_t* members, size_t count) {
    uint32_t hash = 2166136261u; /* FNV-1a, a word at a time */
    for (size_t i = 0; i < count; ++i) {
        hash = (hash ^ members[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* The state of the set that begins at `begin` of members, after all that empty edges reach has been
 * added; a new one if it is new, else the set is dropped again. */
static llmir_status_t close_set(subset_builder_t* builder, size_t begin, uint32_t* out_state) {
    llmir_vector_t* members = &builder->members;
    for (uint32_t i = (uint32_t)begin; i < members->count; ++i) {
        edge_walk_t walk = {builder, i, i + 1u, LLMIR_NFA_EMPTY, LLMIR_NFA_NONE};
        for (const llmir_nfa_edge_t* edge = take_edge(&walk); edge != NULL;
             edge = take_edge(&walk)) {
            LLMIR_TRY(add_member(builder, edge->target));
        }
    }
    const subset_t made = {(uint32_t)begin, (uint32_t)(members->count - begin)};
    builder->steps += made.count;
    uint32_t* set = llmir_vector_at(members, begin);
    for (uint32_t i = 0; i < made.count; ++i) {
        builder->marks[set[i]] &= (uint8_t)~MARK_MEMBER;
    }
    sort_members(set, made.count);
    uint32_t slot = hash_of(set, made.count) % SLOT_COUNT;
    for (; builder->slots[slot] != NO_SLOT; slot = (slot + 1u) % SLOT_COUNT) {
        const subset_t* known = subset_at(builder, builder->slots[slot]);
        if (known->count == made.count &&
            memcmp(members_of(builder, *known), set, made.count * sizeof(*set)) == 0) {
            members->count = begin;
            *out_state = builder->slots[slot];
            return LLMIR_STATUS_OK;
        }
    }
    *out_state = (uint32_t)builder->subsets.count;
    if (*out_state == LLMIR_GRAMMAR_MAX_STATES) {
        return too_large(builder->error);
    }
    builder->slots[slot] = *out_state;
    return llmir_vector_append(&builder->subsets, &made, 1, "grammar", builder->error);
}

static llmir_status_t start_of_rule(subset_builder_t* builder, uint32_t rule, uint32_t* out_state) {
    const size_t begin = builder->members.count;
    LLMIR_TRY(add_member(builder, llmir_nfa_rule_at(&builder->nfa, rule)->start));
    return close_set(builder, begin, out_state);
}

/* ---- Edges of a state ---- */

/* The set that the state reaches by a byte; *out_is_empty tells that there is none. */
static llmir_status_t step_byte(subset_builder_t* builder,
                                uint32_t state,
                                uint32_t byte,
                                uint32_t* out_state,
                                int* out_is_empty) {
    const size_t begin = builder->members.count;
    edge_walk_t walk = edges_of(builder, state, LLMIR_NFA_BYTES);
    LLMIR_TRY(check_steps(builder));
    for (const llmir_nfa_edge_t* edge = take_edge(&walk); edge != NULL; edge = take_edge(&walk)) {
        if (edge->low <= byte && byte <= edge->high) {
            LLMIR_TRY(add_member(builder, edge->target));
        }
    }
    *out_is_empty = builder->members.count == begin;
    return *out_is_empty ? LLMIR_STATUS_OK : close_set(builder, begin, out_state);
}

/* Marks where the set's byte edges begin and end: between two marks all bytes do the same. */
static void find_cuts(subset_builder_t* builder, uint32_t state, uint8_t cuts[257]) {
    edge_walk_t walk = edges_of(builder, state, LLMIR_NFA_BYTES);
    memset(cuts, 0, 257);
    cuts[256] = 1;
    for (const llmir_nfa_edge_t* edge = take_edge(&walk); edge != NULL; edge = take_edge(&walk)) {
        cuts[edge->low] = 1;
        cuts[edge->high + 1u] = 1;
    }
}

static llmir_status_t add_byte_edges(subset_builder_t* builder, uint32_t state) {
    llmir_vector_t* edges = &builder->out->bytes;
    const size_t begin = edges->count;
    uint8_t cuts[257];
    find_cuts(builder, state, cuts);
    for (uint32_t low = 0; low < 256u;) {
        uint32_t high = low;
        uint32_t target = 0;
        int is_empty = 0;
        while (!cuts[high + 1u]) {
            high += 1u;
        }
        LLMIR_TRY(step_byte(builder, state, low, &target, &is_empty));
        llmir_byte_edge_t* last =
            edges->count > begin ? llmir_vector_at(edges, edges->count - 1u) : NULL;
        if (!is_empty && last != NULL && last->target == target && last->high + 1u == low) {
            last->high = (uint8_t)high;
        } else if (!is_empty) {
            const llmir_byte_edge_t edge = {(uint8_t)low, (uint8_t)high, (uint16_t)target};
            LLMIR_TRY(llmir_vector_append(edges, &edge, 1, "grammar", builder->error));
        }
        low = high + 1u;
    }
    return LLMIR_STATUS_OK;
}

/* The set behind the calls of `rule` from a state: all that any of them goes on with. */
static llmir_status_t state_behind_call(subset_builder_t* builder,
                                        uint32_t state,
                                        uint32_t rule,
                                        uint32_t* out_state) {
    const size_t begin = builder->members.count;
    edge_walk_t walk = edges_of(builder, state, LLMIR_NFA_CALL);
    for (const llmir_nfa_edge_t* edge = take_edge(&walk); edge != NULL; edge = take_edge(&walk)) {
        if (edge->rule == rule) {
            LLMIR_TRY(add_member(builder, edge->target));
        }
    }
    return close_set(builder, begin, out_state);
}

/* Adds the call of a rule, unless the state's edges, from `first` on, have it already. */
static llmir_status_t add_call(subset_builder_t* builder,
                               uint32_t state,
                               uint32_t rule,
                               size_t first) {
    llmir_vector_t* edges = &builder->out->calls;
    uint32_t start = 0;
    uint32_t target = 0;
    LLMIR_TRY(start_of_rule(builder, rule, &start));
    for (size_t i = first; i < edges->count; ++i) {
        if (((const llmir_call_edge_t*)llmir_vector_at(edges, i))->start == start) {
            return LLMIR_STATUS_OK;
        }
    }
    LLMIR_TRY(state_behind_call(builder, state, rule, &target));
    const llmir_call_edge_t call = {(uint16_t)start, (uint16_t)target};
    return llmir_vector_append(edges, &call, 1, "grammar", builder->error);
}

static llmir_status_t add_call_edges(subset_builder_t* builder, uint32_t state) {
    const size_t first = builder->out->calls.count;
    edge_walk_t walk = edges_of(builder, state, LLMIR_NFA_CALL);
    for (const llmir_nfa_edge_t* edge = take_edge(&walk); edge != NULL; edge = take_edge(&walk)) {
        LLMIR_TRY(add_call(builder, state, edge->rule, first));
    }
    return LLMIR_STATUS_OK;
}

static int is_end(const subset_builder_t* builder, uint32_t state) {
    const subset_t subset = *subset_at(builder, state);
    for (uint32_t i = 0; i < subset.count; ++i) {
        if (builder->marks[members_of(builder, subset)[i]] & MARK_END) {
            return 1;
        }
    }
    return 0;
}

static llmir_status_t add_states(subset_builder_t* builder) {
    llmir_automaton_t* out = builder->out;
    for (uint32_t i = 0; i < builder->subsets.count; ++i) {
        const llmir_grammar_state_t state = {(uint32_t)out->bytes.count, (uint32_t)out->calls.count,
                                             is_end(builder, i) ? 1u : 0u};
        LLMIR_TRY(llmir_vector_append(&out->states, &state, 1, "grammar", builder->error));
        LLMIR_TRY(add_byte_edges(builder, i));
        LLMIR_TRY(add_call_edges(builder, i));
    }
    const llmir_grammar_state_t last = {(uint32_t)out->bytes.count, (uint32_t)out->calls.count, 0};
    out->state_count = (uint32_t)out->states.count;
    return llmir_vector_append(&out->states, &last, 1, "grammar", builder->error);
}

/* ---- The whole ---- */

/* Builds the automata of the root and of every rule that is called. */
static llmir_status_t build_rules(llmir_nfa_t* nfa, llmir_error_t* error) {
    LLMIR_TRY(llmir_nfa_build_rule(nfa, nfa->ast->root, error));
    for (size_t i = 0; i < nfa->edges.count; ++i) {
        const llmir_nfa_edge_t edge = *(const llmir_nfa_edge_t*)llmir_vector_at(&nfa->edges, i);
        if (edge.kind == LLMIR_NFA_CALL &&
            llmir_nfa_rule_at(nfa, edge.rule)->start == LLMIR_NFA_NONE) {
            LLMIR_TRY(llmir_nfa_build_rule(nfa, edge.rule, error));
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t build_subsets(subset_builder_t* builder, const llmir_ast_t* ast) {
    const llmir_allocator_t* allocator = ast->rules.allocator;
    const uint32_t slot_bytes = SLOT_COUNT * (uint32_t)sizeof(*builder->slots);
    void* slots = NULL;
    void* marks = NULL;
    LLMIR_TRY(build_rules(&builder->nfa, builder->error));
    builder->mark_count = (uint32_t)builder->nfa.states.count;
    LLMIR_TRY(llmir_allocate(allocator, slot_bytes, 8, "grammar", &slots, builder->error));
    llmir_status_t status =
        llmir_allocate(allocator, builder->mark_count, 8, "grammar", &marks, builder->error);
    builder->slots = slots;
    builder->marks = marks;
    memset(slots, 0xff, slot_bytes);
    for (uint32_t i = 0; status == LLMIR_STATUS_OK && i < builder->nfa.rules.count; ++i) {
        const llmir_nfa_rule_t* rule = llmir_nfa_rule_at(&builder->nfa, i);
        if (rule->end != LLMIR_NFA_NONE) {
            builder->marks[rule->end] = MARK_END;
        }
    }
    if (status == LLMIR_STATUS_OK) {
        status = start_of_rule(builder, ast->root, &builder->out->start);
    }
    if (status == LLMIR_STATUS_OK) {
        status = add_states(builder);
    }
    llmir_free(allocator, slots, slot_bytes, 8);
    llmir_free(allocator, marks, builder->mark_count, 8);
    return status;
}

llmir_status_t llmir_automaton_build(const llmir_ast_t* ast,
                                     llmir_automaton_t* out,
                                     llmir_error_t* error) {
    const llmir_allocator_t* allocator = ast->rules.allocator;
    subset_builder_t builder = {.out = out,
                                .subsets = llmir_vector_of(allocator, sizeof(subset_t)),
                                .members = llmir_vector_of(allocator, sizeof(uint32_t)),
                                .error = error};
    *out = (llmir_automaton_t){.states = llmir_vector_of(allocator, sizeof(llmir_grammar_state_t)),
                               .bytes = llmir_vector_of(allocator, sizeof(llmir_byte_edge_t)),
                               .calls = llmir_vector_of(allocator, sizeof(llmir_call_edge_t))};
    llmir_status_t status = llmir_nfa_analyse(ast, &builder.nfa, error);
    if (status == LLMIR_STATUS_OK) {
        status = build_subsets(&builder, ast);
    }
    llmir_nfa_free(&builder.nfa);
    llmir_vector_free(&builder.subsets);
    llmir_vector_free(&builder.members);
    return status;
}

void llmir_automaton_free(llmir_automaton_t* automaton) {
    llmir_vector_free(&automaton->states);
    llmir_vector_free(&automaton->bytes);
    llmir_vector_free(&automaton->calls);
}
