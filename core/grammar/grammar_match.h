/* Where a text stands in a grammar: the states that it may have led to, each with the stack of
 * rules that called. Stacks share their lower parts: a frame names the one below it.
 *
 * A match is plain data of a fixed size, so that a session holds it in its pool's arena and a fork
 * copies it. */
#ifndef LLMIR_GRAMMAR_MATCH_H
#define LLMIR_GRAMMAR_MATCH_H

#include "core/grammar/grammar_automaton.h"

/* Instead of a frame: nothing is below, the end of the whole text; or, in a walk that is kept for
 * any stack, what is below is not known. */
#define LLMIR_FRAME_BOTTOM UINT32_MAX
#define LLMIR_FRAME_UNKNOWN (UINT32_MAX - 1u)

/* Returns to `state` and is on top of `below`. */
typedef struct llmir_frame {
    uint32_t state;
    uint32_t below;
} llmir_frame_t;

typedef struct llmir_place {
    uint32_t state;
    uint32_t frame;
} llmir_place_t;

/* Frames and places in someone's memory. Frames come after those below them. */
typedef struct llmir_match_space {
    const llmir_automaton_t* automaton;
    llmir_frame_t* frames;
    llmir_place_t* places;
    uint32_t frame_count;
    uint32_t frame_capacity;
    uint32_t place_count;
    uint32_t place_capacity;
    uint32_t is_full;    /* something did not fit: the places are not all */
    uint32_t is_ended;   /* the places of the last step include the end of the whole */
    uint32_t is_escaped; /* a rule ended below what is known */
} llmir_match_space_t;

/* Adds a place, and all that follows from it without a byte: rules that are called, rules that
 * end. Frames are shared with those from `frame_begin` on, places with those from `place_begin` on.
 */
void llmir_match_enter(llmir_match_space_t* space,
                       llmir_place_t place,
                       uint32_t frame_begin,
                       uint32_t place_begin);

/* Adds the places that `count` places from `begin` on reach by a byte, behind all others. */
void llmir_match_step(llmir_match_space_t* space, uint32_t begin, uint32_t count, uint8_t byte);

#define LLMIR_MATCH_FRAMES 640u
#define LLMIR_MATCH_PLACES 96u

typedef struct llmir_match {
    uint32_t frame_count;
    uint32_t place_count;
    uint32_t is_ended; /* the text so far is a whole text of the grammar */
    uint32_t reserved;
    llmir_frame_t frames[LLMIR_MATCH_FRAMES];
    llmir_place_t places[LLMIR_MATCH_PLACES];
} llmir_match_t;

/* The empty text. Errors: CAPACITY (the grammar is too ambiguous). */
llmir_status_t llmir_match_begin(const llmir_automaton_t* automaton,
                                 llmir_match_t* out,
                                 llmir_error_t* error);

/* Appends bytes. On failure the match is as before.
 * Errors: INVALID_ARGUMENT (the grammar does not allow them), CAPACITY (nested too deeply, or too
 * ambiguous). */
llmir_status_t llmir_match_append(const llmir_automaton_t* automaton,
                                  llmir_match_t* match,
                                  const uint8_t* bytes,
                                  size_t count,
                                  llmir_error_t* error);

#endif /* LLMIR_GRAMMAR_MATCH_H */
