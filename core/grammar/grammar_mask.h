/* Which tokens may follow: a walk over the vocabulary's tree from each place of a match. What a
 * walk finds depends on the place's state and on little of its stack: on the state that its rule
 * returns to, and only for the few prefixes on which that one returns as well, on what is below. So
 * the result is kept for pairs of states, with a list of those prefixes, and a step of generation
 * costs the union of some bit sets. */
#ifndef LLMIR_GRAMMAR_MASK_H
#define LLMIR_GRAMMAR_MASK_H

#include "core/grammar/grammar_match.h"
#include "core/grammar/grammar_vocabulary.h"

typedef struct llmir_mask_entry {
    uint32_t state; /* LLMIR_MASK_EMPTY: nothing is kept here */
    uint32_t returns_to;
    uint32_t last_used;
    uint32_t escape_count;
    uint32_t* bits;    /* [word_count]: tokens that need nothing below */
    uint32_t* escapes; /* nodes of the tree at which the rule that is returned to ends */
} llmir_mask_entry_t;

#define LLMIR_MASK_EMPTY UINT32_MAX
#define LLMIR_MASK_MAX_ESCAPES 4096u

typedef struct llmir_masks {
    const llmir_allocator_t* allocator;
    const llmir_automaton_t* automaton;
    const llmir_vocabulary_t* vocabulary;
    uint32_t word_count; /* u32 of a set of tokens */
    uint32_t entry_count;
    uint32_t clock;
    uint32_t walk_count; /* walks made, for tests: kept results make none */
    llmir_mask_entry_t* entries;
    uint8_t* memory; /* one block for all that follows and for the entries' lists */
    size_t memory_bytes;
    llmir_match_space_t space; /* of a walk: one more level of places and frames for each byte */
    uint32_t* place_levels;    /* [max_depth + 2] */
    uint32_t* frame_levels;
} llmir_masks_t;

/* Takes memory for `entry_count` results. `out` must be freed in any case. Errors: OUT_OF_MEMORY.
 */
llmir_status_t llmir_masks_init(const llmir_automaton_t* automaton,
                                const llmir_vocabulary_t* vocabulary,
                                uint32_t entry_count,
                                llmir_masks_t* out,
                                llmir_error_t* error);
void llmir_masks_free(llmir_masks_t* masks);

/* Sets the bit of each token whose bytes may follow. One thread at a time.
 *   out_bits  u32 [word_count].
 * Memory: allocates nothing. Errors: CAPACITY (too ambiguous). */
llmir_status_t llmir_masks_find(llmir_masks_t* masks,
                                const llmir_match_t* match,
                                uint32_t* out_bits,
                                llmir_error_t* error);

#endif /* LLMIR_GRAMMAR_MASK_H */
