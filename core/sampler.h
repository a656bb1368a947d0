/* From logits to a token. The steps, in this order:
 *
 *   0. grammar             only allowed tokens are left
 *   1. repetition penalty  a logit of a recent token is divided by the penalty if positive, else
 *                          multiplied
 *   2. greedy              temperature 0: the largest logit, the lowest id among equals
 *   3. top-k               the k largest stay (the lower id among equals)
 *   4. temperature         weight = exp((logit - largest) / temperature)
 *   5. top-p               the fewest largest stay whose weights reach p of the sum
 *   6. min-p               weights below min_p of the largest go
 *   7. draw                in proportion to the weights
 *
 * Equal logits, options and draws before give the same token on every machine: the exponential and
 * all sums are our own, in a fixed order. NaN and -infinity count as the lowest logit, +infinity as
 * the highest. Nothing is allocated. */
#ifndef LLMIR_SAMPLER_H
#define LLMIR_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "llmir.h"

#define LLMIR_SAMPLER_MAX_WINDOW 1024u
#define LLMIR_SAMPLER_DEFAULT_WINDOW 64u

typedef struct llmir_sampler {
    llmir_sampler_options_t options; /* checked; window never 0 */
    uint64_t random[4];              /* state of xoshiro256++ */
} llmir_sampler_t;

/* Scratch of a draw. */
typedef struct llmir_candidate {
    float value; /* logit, later weight */
    int32_t id;
} llmir_candidate_t;

typedef struct llmir_sampler_input {
    const float* logits;
    uint32_t count;                /* of logits; at least 1 */
    const int32_t* recent;         /* ids in [0, count) that the penalty looks at */
    uint32_t recent_count;         /* at most the sampler's window */
    llmir_candidate_t* candidates; /* scratch [count] */
    const uint32_t* allowed;       /* a bit for each id, at least one set; NULL: all are */
} llmir_sampler_input_t;

/* Checks the options (NULL: greedy) and seeds the generator. Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_sampler_init(llmir_sampler_t* sampler,
                                  const llmir_sampler_options_t* options,
                                  llmir_error_t* error);

/* Seeds the generator again. */
void llmir_sampler_restart(llmir_sampler_t* sampler);

/* How many recent tokens the sampler looks at; 0 without a penalty. */
uint32_t llmir_sampler_window(const llmir_sampler_t* sampler);

int32_t llmir_sampler_draw(llmir_sampler_t* sampler, const llmir_sampler_input_t* input);

#endif /* LLMIR_SAMPLER_H */
