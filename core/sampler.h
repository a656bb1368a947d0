/* From logits to a token. docs/SAMPLING.md has the formulas and where they come from. The steps, of
 * which those that are set to do something are taken, in this order unless the options name
 * another:
 *
 *   logit bias     added to the logits of some tokens; always first
 *   grammar        only allowed tokens are left; always second
 *   1 penalties    a logit of a recent token is divided by the repetition penalty if positive, else
 *                  multiplied; then frequency times its count and presence are taken off
 *   2 DRY          logits of tokens that would continue a repetition get lower
 *   3 top-k        the k largest stay (the lower id among equals)
 *   4 temperature  logits are divided by it
 *   5 typical      those stay whose information is nearest to the entropy, as many as reach the
 *                  share typical_p
 *   6 top-p        the fewest largest stay that reach the share top_p
 *   7 min-p        what is less than min_p times as likely as the likeliest goes
 *   draw           in proportion to exp(logit); the largest logit where the temperature is 0
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
#define LLMIR_SAMPLER_MAX_STEPS 8u

typedef struct llmir_sampler {
    llmir_sampler_options_t options;        /* checked, defaults resolved, without pointers */
    uint64_t random[4];                     /* state of xoshiro256++ */
    uint8_t steps[LLMIR_SAMPLER_MAX_STEPS]; /* llmir_sampler_step_t that do something; 0 ends */
    int32_t breakers[LLMIR_MAX_DRY_BREAKERS];
    llmir_logit_bias_t bias[LLMIR_MAX_LOGIT_BIAS];
} llmir_sampler_t;

/* Scratch of a draw. */
typedef struct llmir_candidate {
    float value; /* logit, in the end weight */
    int32_t id;
} llmir_candidate_t;

/* Something about a token: how often it occurred, how long a repetition it would continue. */
typedef struct llmir_sampler_mark {
    int32_t id;
    uint32_t value;
} llmir_sampler_mark_t;

typedef struct llmir_sampler_input {
    const float* logits;
    uint32_t count;                /* of logits; at least 1 */
    const int32_t* recent;         /* ids in [0, count) of the last tokens, the last one first */
    uint32_t recent_count;         /* at most the sampler's window */
    llmir_candidate_t* candidates; /* scratch [count] */
    llmir_sampler_mark_t* marks;   /* scratch [recent_count] */
    const uint32_t* allowed;       /* a bit for each id, at least one set; NULL: all are */
} llmir_sampler_input_t;

/* Checks the options (NULL: greedy) and seeds the generator.
 *   vocab_count  ids of tokens in the options must be less. Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_sampler_init(llmir_sampler_t* sampler,
                                  const llmir_sampler_options_t* options,
                                  uint32_t vocab_count,
                                  llmir_error_t* error);

/* Seeds the generator again. */
void llmir_sampler_restart(llmir_sampler_t* sampler);

/* Whether it takes the largest logit as they are: no temperature, penalties, DRY or bias. */
int llmir_sampler_is_plain(const llmir_sampler_t* sampler);

/* How many recent tokens the sampler looks at; 0 without penalties and DRY. */
uint32_t llmir_sampler_window(const llmir_sampler_t* sampler);

int32_t llmir_sampler_draw(llmir_sampler_t* sampler, const llmir_sampler_input_t* input);

#endif /* LLMIR_SAMPLER_H */
