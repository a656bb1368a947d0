/* A stream of LZMA is bits, coded by an adaptive binary range coder, that say: a byte follows, or
 * `length` bytes as they were `distance` bytes ago.
 *
 *   0          a byte: 8 bits, guessed from its place and, after a match, from the byte that the
 *              match would have gone on with
 *   1 0        a match: length, distance; the distance 2^32 ends the stream
 *   1 1 0 0    the byte that the last distance gives
 *   1 1 ...    a match at one of the last four distances: length
 *
 * Every kind of bit has a probability of its own, which follows what is seen. `state` is what the
 * last symbols were: 0 .. 6 ended in a byte, 7 .. 11 in a match.
 *
 * Reference: I. Pavlov, "LZMA specification" (draft of 2015, with the LZMA SDK). */
#include "targets/gpu/lzma.h"

#include <string.h>

#include "llmir_bundle.h"

#define STATES 12u
#define PLACES (1u << LLMIR_LZMA_PB)
#define LITERAL_PLACES (1u << LLMIR_LZMA_LP)
#define EVEN 1024u /* a probability of one half */
#define LENGTH_MIN 2u
#define FIRST_MATCH_STATE 7u
#define MODELED_SLOT 4u   /* slots below are distances */
#define DIRECT_SLOT 14u   /* distances of slots from here on have bits without probabilities */
#define MODELED_BITS 115u /* of the distances of slots 4 .. 13: their trees lie in one another */

typedef uint16_t probability_t; /* that the bit is 0, of 2048 */

typedef struct length_model {
    probability_t is_long, is_longest;
    probability_t low[PLACES][8], middle[PLACES][8], high[256];
} length_model_t;

typedef struct model {
    probability_t is_match[STATES][PLACES], is_repeat[STATES], is_older[STATES], is_third[STATES],
        is_fourth[STATES], is_repeat_long[STATES][PLACES];
    probability_t slot[4][64], distance[MODELED_BITS], align[16];
    length_model_t match_length, repeat_length;
    probability_t literal[LITERAL_PLACES][0x300];
} model_t;

typedef char scratch_holds_the_model[sizeof(model_t) <= LLMIR_LZMA_SCRATCH_BYTES ? 1 : -1];

typedef struct lzma {
    const uint8_t* next;
    const uint8_t* end;
    uint32_t range, code;
    int is_short; /* asked for bytes behind the end */
    model_t* model;
    uint32_t state;
    uint32_t distances[4]; /* less one, the last one first */
    uint8_t* out;
    size_t at, out_bytes;
} lzma_t;

/* ---- Bits ---- */

static void next_byte(lzma_t* z) {
    z->code <<= 8;
    if (z->next == z->end) {
        z->is_short = 1;
    } else {
        z->code |= *z->next++;
    }
}

static void keep_range_wide(lzma_t* z) {
    if (z->range < 1u << 24) {
        z->range <<= 8;
        next_byte(z);
    }
}

static uint32_t bit(lzma_t* z, probability_t* probability) {
    const uint32_t p = *probability;
    const uint32_t bound = (z->range >> 11) * p;
    const uint32_t value = z->code >= bound;
    if (value != 0) {
        z->range -= bound;
        z->code -= bound;
        *probability = (probability_t)(p - (p >> 5));
    } else {
        z->range = bound;
        *probability = (probability_t)(p + ((2048u - p) >> 5));
    }
    keep_range_wide(z);
    return value;
}

/* Bits that are 0 as often as 1, the highest first. */
static uint32_t plain_bits(lzma_t* z, uint32_t count) {
    uint32_t value = 0;
    for (; count > 0; --count) {
        z->range >>= 1;
        const uint32_t one = z->code >= z->range;
        z->code -= one ? z->range : 0;
        value = value << 1 | one;
        keep_range_wide(z);
    }
    return value;
}

/* `count` bits, the highest first: each has a probability for all that came before. */
static uint32_t tree(lzma_t* z, probability_t* probabilities, uint32_t count) {
    uint32_t node = 1;
    for (uint32_t i = 0; i < count; ++i) {
        node = node << 1 | bit(z, &probabilities[node]);
    }
    return node - (1u << count);
}

/* The same, the lowest first. */
static uint32_t tree_reversed(lzma_t* z, probability_t* probabilities, uint32_t count) {
    uint32_t node = 1;
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t one = bit(z, &probabilities[node]);
        node = node << 1 | one;
        value |= one << i;
    }
    return value;
}

/* ---- Symbols ---- */

static uint32_t read_length(lzma_t* z, length_model_t* model, uint32_t place) {
    if (bit(z, &model->is_long) == 0) {
        return LENGTH_MIN + tree(z, model->low[place], 3);
    }
    if (bit(z, &model->is_longest) == 0) {
        return LENGTH_MIN + 8u + tree(z, model->middle[place], 3);
    }
    return LENGTH_MIN + 16u + tree(z, model->high, 8);
}

/* Less one. The slot says how many bits the distance has, and its second one. */
static uint32_t read_distance(lzma_t* z, uint32_t length) {
    const uint32_t kind = length - LENGTH_MIN < 3u ? length - LENGTH_MIN : 3u;
    const uint32_t slot = tree(z, z->model->slot[kind], 6);
    if (slot < MODELED_SLOT) {
        return slot;
    }
    const uint32_t low_bits = (slot >> 1) - 1u;
    const uint32_t high = (2u | (slot & 1u)) << low_bits;
    if (slot < DIRECT_SLOT) {
        return high + tree_reversed(z, z->model->distance + (high - slot), low_bits);
    }
    const uint32_t middle = plain_bits(z, low_bits - 4u) << 4;
    return high + middle + tree_reversed(z, z->model->align, 4);
}

static void read_literal(lzma_t* z) {
    probability_t* probabilities = z->model->literal[z->at & (LITERAL_PLACES - 1u)];
    uint32_t node = 1;
    if (z->state >= FIRST_MATCH_STATE) {
        uint32_t expected = z->out[z->at - z->distances[0] - 1u];
        for (uint32_t same = 1; same != 0 && node < 0x100;) {
            const uint32_t guess = expected >> 7 & 1u;
            const uint32_t one = bit(z, &probabilities[((1u + guess) << 8) + node]);
            expected <<= 1;
            node = node << 1 | one;
            same = one == guess;
        }
    }
    while (node < 0x100) {
        node = node << 1 | bit(z, &probabilities[node]);
    }
    z->out[z->at++] = (uint8_t)node;
    z->state = z->state < 4u ? 0 : z->state < 10u ? z->state - 3u : z->state - 6u;
}

/* Which of the last four distances; it becomes the last one. Returns whether a length follows. */
static int read_repeat(lzma_t* z, uint32_t place) {
    model_t* model = z->model;
    if (bit(z, &model->is_older[z->state]) == 0) {
        return bit(z, &model->is_repeat_long[z->state][place]) != 0;
    }
    uint32_t which = 1;
    if (bit(z, &model->is_third[z->state]) != 0) {
        which = 2u + bit(z, &model->is_fourth[z->state]);
    }
    const uint32_t distance = z->distances[which];
    memmove(z->distances + 1, z->distances, which * sizeof *z->distances);
    z->distances[0] = distance;
    return 1;
}

/* Length of what is to be copied from distances[0]. */
static uint32_t read_match(lzma_t* z, uint32_t place) {
    const int after_match = z->state >= FIRST_MATCH_STATE;
    uint32_t length = 1;
    if (bit(z, &z->model->is_repeat[z->state]) == 0) {
        length = read_length(z, &z->model->match_length, place);
        memmove(z->distances + 1, z->distances, 3 * sizeof *z->distances);
        z->distances[0] = read_distance(z, length);
        z->state = after_match ? 10 : 7;
    } else if (read_repeat(z, place)) {
        length = read_length(z, &z->model->repeat_length, place);
        z->state = after_match ? 11 : 8;
    } else {
        z->state = after_match ? 11 : 9;
    }
    return length;
}

static int copy(lzma_t* z, uint32_t length) {
    if (z->distances[0] >= z->at || length > z->out_bytes - z->at) {
        return 0;
    }
    for (; length > 0; --length, ++z->at) { /* what is copied may be what this copy wrote */
        z->out[z->at] = z->out[z->at - z->distances[0] - 1u];
    }
    return 1;
}

/* ---- The stream ---- */

static int begin(lzma_t* z) {
    probability_t* probabilities = (probability_t*)(void*)z->model;
    for (size_t i = 0; i < sizeof *z->model / sizeof *probabilities; ++i) {
        probabilities[i] = EVEN;
    }
    const int is_stream = z->next != z->end && *z->next == 0;
    for (uint32_t i = 0; i < 5u; ++i) {
        next_byte(z);
    }
    return is_stream;
}

int llmir_lzma_unpack(
    const uint8_t* packed, size_t packed_bytes, void* scratch, uint8_t* out, size_t out_bytes) {
    lzma_t z = {.next = packed,
                .end = packed + packed_bytes,
                .range = UINT32_MAX,
                .model = scratch,
                .out = out,
                .out_bytes = out_bytes};
    if (!begin(&z)) {
        return 0;
    }
    while (!z.is_short) {
        const uint32_t place = (uint32_t)z.at & (PLACES - 1u);
        if (bit(&z, &z.model->is_match[z.state][place]) == 0) {
            if (z.at == out_bytes) {
                return 0;
            }
            read_literal(&z);
            continue;
        }
        const uint32_t length = read_match(&z, place);
        if (z.distances[0] == UINT32_MAX) {
            return z.at == out_bytes && z.code == 0 && z.next == z.end && !z.is_short;
        }
        if (!copy(&z, length)) {
            return 0;
        }
    }
    return 0;
}
