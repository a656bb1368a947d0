/* Walks over the tree of the vocabulary and the cache of what they find. */
#include "core/grammar/grammar_mask.h"

#define WALK_FRAMES 8192u
#define WALK_PLACES 16384u
#define NODE_ROOT 0u

/* What a walk finds. */
typedef struct mask_walk {
    llmir_masks_t* masks;
    uint32_t* bits;
    uint32_t* escapes; /* NULL: the whole stack is known */
    uint32_t escape_count;
    uint32_t escape_overflow;
} mask_walk_t;

/* ---- Walking ---- */

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static void allow_tokens(const mask_walk_t* walk, uint32_t node) {
    const llmir_vocabulary_t* vocabulary = walk->masks->vocabulary;
    const uint32_t end = vocabulary->nodes[node + 1u].token_begin;
    for (uint32_t i = vocabulary->nodes[node].token_begin; i < end; ++i) {
        const uint32_t id = (uint32_t)vocabulary->tokens[i];
        walk->bits[id / 32u] |= 1u << (id % 32u);
    }
}

static void note_escape(mask_walk_t* walk, uint32_t node) {
    if (walk->escapes == NULL || walk->escape_count == LLMIR_MASK_MAX_ESCAPES) {
        walk->escape_overflow = 1;
        return;
    }
    walk->escapes[walk->escape_count++] = node;
}

/* Goes through the nodes [begin, end), which lie `base` deep, from the places of the space. Levels
 * are counted from there: level 0 are those places, level n what n bytes lead to; no level has more
 * places than a match could keep, which also bounds the time. */
static void walk_nodes(mask_walk_t* walk, uint32_t begin, uint32_t end, uint32_t base) {
    llmir_masks_t* masks = walk->masks;
    llmir_match_space_t* space = &masks->space;
    const llmir_vocabulary_node_t* nodes = masks->vocabulary->nodes;
    masks->place_levels[0] = 0;
    masks->place_levels[1] = space->place_count;
    masks->frame_levels[0] = space->frame_count;
    masks->walk_count += 1u;
    for (uint32_t i = begin; i < end && !space->is_full;) {
        const uint32_t level = nodes[i].depth - base - 1u;
        const uint32_t from = masks->place_levels[level];
        space->place_count = masks->place_levels[level + 1u];
        space->place_capacity =
            smaller(WALK_PLACES, space->place_count + (uint32_t)LLMIR_MATCH_PLACES);
        space->frame_count = masks->frame_levels[level];
        llmir_match_step(space, from, space->place_count - from, nodes[i].byte);
        const int is_alive = space->place_count > masks->place_levels[level + 1u];
        if (is_alive || space->is_ended || space->is_escaped) {
            allow_tokens(walk, i);
        }
        if (space->is_escaped) {
            note_escape(walk, i);
        }
        masks->place_levels[level + 2u] = space->place_count;
        masks->frame_levels[level + 1u] = space->frame_count;
        i = is_alive ? i + 1u : nodes[i].end;
    }
}

/* Puts a place with its whole stack into the space. */
static void enter_with_stack(llmir_masks_t* masks,
                             const llmir_match_t* match,
                             llmir_place_t place) {
    llmir_match_space_t* space = &masks->space;
    memcpy(space->frames, match->frames, match->frame_count * sizeof(*space->frames));
    space->frame_count = match->frame_count;
    space->place_count = 0;
    space->place_capacity = LLMIR_MATCH_PLACES;
    llmir_match_enter(space, place, 0, 0);
}

/* ---- What is kept ---- */

/* The kept result for a pair of states, or the entry to give up for it. */
static llmir_mask_entry_t* find_entry(llmir_masks_t* masks, uint32_t state, uint32_t returns_to) {
    llmir_mask_entry_t* oldest = &masks->entries[0];
    masks->clock += 1u;
    for (uint32_t i = 0; i < masks->entry_count; ++i) {
        llmir_mask_entry_t* entry = &masks->entries[i];
        if (entry->state == state && entry->returns_to == returns_to) {
            entry->last_used = masks->clock;
            return entry;
        }
        if (masks->clock - entry->last_used > masks->clock - oldest->last_used) {
            oldest = entry;
        }
    }
    oldest->state = LLMIR_MASK_EMPTY;
    oldest->last_used = masks->clock;
    return oldest;
}

/* Walks from a state whose rule returns to another, on a stack that is not known below. 0 if there
 * are more escapes than an entry holds. */
static int fill_entry(llmir_masks_t* masks,
                      llmir_mask_entry_t* entry,
                      uint32_t state,
                      uint32_t returns_to) {
    mask_walk_t walk = {masks, entry->bits, entry->escapes, 0, 0};
    llmir_match_space_t* space = &masks->space;
    memset(entry->bits, 0, masks->word_count * sizeof(*entry->bits));
    space->frames[0] = (llmir_frame_t){returns_to, LLMIR_FRAME_UNKNOWN};
    space->frame_count = returns_to != LLMIR_FRAME_BOTTOM ? 1u : 0u;
    space->places[0] =
        (llmir_place_t){state, returns_to != LLMIR_FRAME_BOTTOM ? 0u : LLMIR_FRAME_BOTTOM};
    space->place_count = 1;
    walk_nodes(&walk, NODE_ROOT, masks->vocabulary->node_count, 0);
    if (walk.escape_overflow || space->is_full) {
        return 0;
    }
    entry->escape_count = walk.escape_count;
    entry->state = state;
    entry->returns_to = returns_to;
    return 1;
}

/* ---- A match's mask ---- */

/* Goes on at the prefixes on which the rule that the place returns to has ended: with its caller.
 */
static void follow_escapes(llmir_masks_t* masks,
                           const llmir_match_t* match,
                           const llmir_mask_entry_t* entry,
                           llmir_place_t place,
                           uint32_t* bits) {
    const uint32_t below = match->frames[place.frame].below;
    const llmir_vocabulary_node_t* nodes = masks->vocabulary->nodes;
    mask_walk_t walk = {masks, bits, NULL, 0, 0};
    if (below == LLMIR_FRAME_BOTTOM) {
        return; /* the whole text has ended there */
    }
    const llmir_frame_t caller = match->frames[below];
    for (uint32_t i = 0; i < entry->escape_count; ++i) {
        const uint32_t node = entry->escapes[i];
        if (nodes[node].end != node + 1u) {
            enter_with_stack(masks, match, (llmir_place_t){caller.state, caller.below});
            walk_nodes(&walk, node + 1u, nodes[node].end, nodes[node].depth);
        }
    }
}

static void add_place_tokens(llmir_masks_t* masks,
                             const llmir_match_t* match,
                             llmir_place_t place,
                             uint32_t* bits) {
    const uint32_t returns_to =
        place.frame != LLMIR_FRAME_BOTTOM ? match->frames[place.frame].state : LLMIR_FRAME_BOTTOM;
    llmir_mask_entry_t* entry = find_entry(masks, place.state, returns_to);
    if (entry->state == LLMIR_MASK_EMPTY && !fill_entry(masks, entry, place.state, returns_to)) {
        mask_walk_t walk = {masks, bits, NULL, 0, 0};
        masks->space.is_full = 0; /* with the whole stack known it may fit */
        enter_with_stack(masks, match, place);
        walk_nodes(&walk, NODE_ROOT, masks->vocabulary->node_count, 0);
        return;
    }
    for (uint32_t i = 0; i < masks->word_count; ++i) {
        bits[i] |= entry->bits[i];
    }
    if (entry->escape_count != 0) {
        follow_escapes(masks, match, entry, place, bits);
    }
}

llmir_status_t llmir_masks_find(llmir_masks_t* masks,
                                const llmir_match_t* match,
                                uint32_t* out_bits,
                                llmir_error_t* error) {
    const llmir_grammar_state_t* states = masks->automaton->states.data;
    memset(out_bits, 0, masks->word_count * sizeof(*out_bits));
    masks->space.is_full = 0;
    for (uint32_t i = 0; i < match->place_count; ++i) {
        const uint32_t state = match->places[i].state;
        if (states[state].byte_begin != states[state + 1u].byte_begin) {
            add_place_tokens(masks, match, match->places[i], out_bits);
        }
    }
    return masks->space.is_full ? llmir_fail(error, LLMIR_STATUS_CAPACITY,
                                             "grammar: some token may be read in more than %u ways",
                                             LLMIR_MATCH_PLACES)
                                : LLMIR_STATUS_OK;
}

/* ---- Memory ---- */

llmir_status_t llmir_masks_init(const llmir_automaton_t* automaton,
                                const llmir_vocabulary_t* vocabulary,
                                uint32_t entry_count,
                                llmir_masks_t* out,
                                llmir_error_t* error) {
    const size_t levels = (size_t)vocabulary->max_depth + 3u;
    void* memory = NULL;
    *out = (llmir_masks_t){.allocator = vocabulary->allocator,
                           .automaton = automaton,
                           .vocabulary = vocabulary,
                           .word_count = vocabulary->tokenizer->token_count / 32u + 1u,
                           .entry_count = entry_count};
    const size_t words = out->word_count + (size_t)LLMIR_MASK_MAX_ESCAPES;
    const size_t fixed = entry_count * sizeof(llmir_mask_entry_t) +
                         WALK_FRAMES * sizeof(llmir_frame_t) + WALK_PLACES * sizeof(llmir_place_t) +
                         2u * levels * sizeof(uint32_t);
    const size_t bytes = fixed + entry_count * words * sizeof(uint32_t);
    LLMIR_TRY(llmir_allocate(out->allocator, bytes, 8, "masks of a grammar", &memory, error));
    out->memory = memory;
    out->memory_bytes = bytes;
    out->entries = memory;
    out->space = (llmir_match_space_t){.automaton = automaton,
                                       .frames = (void*)(out->entries + entry_count),
                                       .frame_capacity = WALK_FRAMES,
                                       .place_capacity = WALK_PLACES};
    out->space.places = (void*)(out->space.frames + WALK_FRAMES);
    out->place_levels = (void*)(out->space.places + WALK_PLACES);
    out->frame_levels = out->place_levels + levels;
    uint32_t* lists = out->frame_levels + levels;
    for (uint32_t i = 0; i < entry_count; ++i, lists += words) {
        out->entries[i] = (llmir_mask_entry_t){
            .state = LLMIR_MASK_EMPTY, .bits = lists, .escapes = lists + out->word_count};
    }
    return LLMIR_STATUS_OK;
}

void llmir_masks_free(llmir_masks_t* masks) {
    if (masks->memory != NULL) {
        llmir_free(masks->allocator, masks->memory, masks->memory_bytes, 8);
        masks->memory = NULL;
    }
}
