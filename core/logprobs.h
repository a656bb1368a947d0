/* Log-probabilities of tokens: the logarithm of the softmax of raw logits, of one token and of the
 * likeliest ones. Exponential, logarithm and the order of the sum are our own, so that they are
 * the same on every machine. */
#ifndef LLMIR_LOGPROBS_H
#define LLMIR_LOGPROBS_H

#include "core/base/status.h"

typedef struct llmir_logprobs {
    uint32_t wanted_count; /* of the likeliest ones, as the options say */
    uint32_t top_count;    /* as many, unless the vocabulary is smaller */
    float logprob;         /* of the token asked for */
    llmir_token_logprob_t top[LLMIR_MAX_TOP_LOGPROBS]; /* the likeliest first; lower ids first
                                                          among equals */
} llmir_logprobs_t;

/* Reads flags and top_logprobs of the options. Errors: INVALID_ARGUMENT, UNSUPPORTED (a library
 * built with LLMIR_MINIMAL). */
llmir_status_t llmir_logprobs_init(llmir_logprobs_t* logprobs,
                                   const llmir_session_options_t* options,
                                   llmir_error_t* error);

/* Of `token` and of the likeliest.
 *   logits  f32 [count]; NaN and -infinity count as the lowest, +infinity as the highest. */
void llmir_logprobs_find(const float* logits,
                         uint32_t count,
                         int32_t token,
                         llmir_logprobs_t* inout);

#endif /* LLMIR_LOGPROBS_H */
