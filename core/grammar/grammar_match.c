/* Steps through the automaton. All lists are short (a JSON text has one or two places), so they are
 * searched from end to end. */
#include "core/grammar/grammar_match.h"

#define NO_STATE UINT32_MAX

static const llmir_grammar_state_t* state_at(const llmir_automaton_t* automaton, uint32_t index) {
    return llmir_vector_at(&automaton->states, index);
}

static uint32_t target_of(const llmir_automaton_t* automaton, uint32_t state, uint8_t byte) {
    const llmir_byte_edge_t* edges = automaton->bytes.data;
    const uint32_t end = state_at(automaton, state + 1u)->byte_begin;
    for (uint32_t i = state_at(automaton, state)->byte_begin; i < end && edges[i].low <= byte;
         ++i) {
        if (byte <= edges[i].high) {
            return edges[i].target;
        }
    }
    return NO_STATE;
}

/* Whether nothing but the end of the rule can follow at a state: a call that goes on there needs no
 * frame, so that rules that end with themselves do not pile frames up. */
static int is_only_end(const llmir_automaton_t* automaton, uint32_t state) {
    const llmir_grammar_state_t* at = state_at(automaton, state);
    const llmir_grammar_state_t* next = state_at(automaton, state + 1u);
    return at->is_end && at->byte_begin == next->byte_begin && at->call_begin == next->call_begin;
}

static uint32_t push(llmir_match_space_t* space,
                     uint32_t state,
                     uint32_t below,
                     uint32_t frame_begin) {
    if (is_only_end(space->automaton, state)) {
        return below;
    }
    for (uint32_t i = frame_begin; i < space->frame_count; ++i) {
        if (space->frames[i].state == state && space->frames[i].below == below) {
            return i;
        }
    }
    if (space->frame_count == space->frame_capacity) {
        space->is_full = 1;
        return below;
    }
    space->frames[space->frame_count] = (llmir_frame_t){state, below};
    return space->frame_count++;
}

static void add_place(llmir_match_space_t* space, llmir_place_t place, uint32_t place_begin) {
    for (uint32_t i = place_begin; i < space->place_count; ++i) {
        if (space->places[i].state == place.state && space->places[i].frame == place.frame) {
            return;
        }
    }
    if (space->place_count == space->place_capacity) {
        space->is_full = 1;
        return;
    }
    space->places[space->place_count++] = place;
}

static void leave_rule(llmir_match_space_t* space, uint32_t frame, uint32_t place_begin) {
    if (frame == LLMIR_FRAME_BOTTOM) {
        space->is_ended = 1;
    } else if (frame == LLMIR_FRAME_UNKNOWN) {
        space->is_escaped = 1;
    } else {
        const llmir_frame_t left = space->frames[frame];
        add_place(space, (llmir_place_t){left.state, left.below}, place_begin);
    }
}

void llmir_match_enter(llmir_match_space_t* space,
                       llmir_place_t place,
                       uint32_t frame_begin,
                       uint32_t place_begin) {
    const llmir_call_edge_t* calls = space->automaton->calls.data;
    uint32_t i = space->place_count;
    add_place(space, place, place_begin);
    for (; i < space->place_count && !space->is_full; ++i) {
        const llmir_place_t at = space->places[i];
        const llmir_grammar_state_t* state = state_at(space->automaton, at.state);
        const uint32_t end = state_at(space->automaton, at.state + 1u)->call_begin;
        for (uint32_t k = state->call_begin; k < end; ++k) {
            const uint32_t frame = push(space, calls[k].target, at.frame, frame_begin);
            add_place(space, (llmir_place_t){calls[k].start, frame}, place_begin);
        }
        if (state->is_end) {
            leave_rule(space, at.frame, place_begin);
        }
    }
}

void llmir_match_step(llmir_match_space_t* space, uint32_t begin, uint32_t count, uint8_t byte) {
    const uint32_t place_begin = space->place_count;
    const uint32_t frame_begin = space->frame_count;
    space->is_ended = 0;
    space->is_escaped = 0;
    for (uint32_t i = begin; i < begin + count; ++i) {
        const uint32_t target = target_of(space->automaton, space->places[i].state, byte);
        if (target != NO_STATE) {
            llmir_match_enter(space, (llmir_place_t){target, space->places[i].frame}, frame_begin,
                              place_begin);
        }
    }
}

/* ---- A text's match ---- */

static llmir_match_space_t space_of(const llmir_automaton_t* automaton, llmir_match_t* match) {
    return (llmir_match_space_t){.automaton = automaton,
                                 .frames = match->frames,
                                 .places = match->places,
                                 .frame_count = match->frame_count,
                                 .frame_capacity = LLMIR_MATCH_FRAMES,
                                 .place_count = match->place_count,
                                 .place_capacity = LLMIR_MATCH_PLACES};
}

static llmir_status_t too_deep(llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                      "grammar: the text is nested more than %u rules deep, or may go on in more "
                      "than %u ways",
                      LLMIR_MATCH_FRAMES, LLMIR_MATCH_PLACES / 2u);
}

/* Drops the places before `begin` and the frames that none of the others needs. */
static void compact(llmir_match_space_t* space, uint32_t begin) {
    uint32_t moved[LLMIR_MATCH_FRAMES];
    uint8_t is_used[LLMIR_MATCH_FRAMES] = {0};
    uint32_t count = 0;
    space->place_count -= begin;
    memmove(space->places, space->places + begin, space->place_count * sizeof(*space->places));
    for (uint32_t i = 0; i < space->place_count; ++i) {
        for (uint32_t f = space->places[i].frame; f != LLMIR_FRAME_BOTTOM && !is_used[f];
             f = space->frames[f].below) {
            is_used[f] = 1;
        }
    }
    for (uint32_t i = 0; i < space->frame_count; ++i) {
        if (is_used[i]) {
            const llmir_frame_t frame = space->frames[i];
            moved[i] = count;
            space->frames[count++] = (llmir_frame_t){
                frame.state, frame.below != LLMIR_FRAME_BOTTOM ? moved[frame.below] : frame.below};
        }
    }
    space->frame_count = count;
    for (uint32_t i = 0; i < space->place_count; ++i) {
        uint32_t* frame = &space->places[i].frame;
        *frame = *frame != LLMIR_FRAME_BOTTOM ? moved[*frame] : *frame;
    }
}

static void keep(llmir_match_t* match, const llmir_match_space_t* space) {
    match->frame_count = space->frame_count;
    match->place_count = space->place_count;
    match->is_ended = space->is_ended;
}

llmir_status_t llmir_match_begin(const llmir_automaton_t* automaton,
                                 llmir_match_t* out,
                                 llmir_error_t* error) {
    out->frame_count = 0;
    out->place_count = 0;
    llmir_match_space_t space = space_of(automaton, out);
    llmir_match_enter(&space, (llmir_place_t){automaton->start, LLMIR_FRAME_BOTTOM}, 0, 0);
    keep(out, &space);
    return space.is_full ? too_deep(error) : LLMIR_STATUS_OK;
}

llmir_status_t llmir_match_append(const llmir_automaton_t* automaton,
                                  llmir_match_t* match,
                                  const uint8_t* bytes,
                                  size_t count,
                                  llmir_error_t* error) {
    llmir_match_t next = *match;
    llmir_match_space_t space = space_of(automaton, &next);
    space.is_ended = match->is_ended;
    for (size_t i = 0; i < count; ++i) {
        const uint32_t before = space.place_count;
        llmir_match_step(&space, 0, before, bytes[i]);
        if (space.is_full) {
            return too_deep(error);
        }
        compact(&space, before);
        if (space.place_count == 0 && !space.is_ended) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "grammar: it does not allow byte 0x%02x here", bytes[i]);
        }
    }
    keep(&next, &space);
    *match = next;
    return LLMIR_STATUS_OK;
}
