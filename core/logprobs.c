/* Passes over the logits: the largest, the likeliest where they are wanted, the softmax's sum. */
#include "core/logprobs.h"

#include "core/sampler_math.h"

llmir_status_t llmir_logprobs_init(llmir_logprobs_t* logprobs,
                                   const llmir_session_options_t* options,
                                   llmir_error_t* error) {
    const int is_on = (options->flags & LLMIR_SESSION_LOGPROBS) != 0;
    if (options->top_logprobs > (is_on ? LLMIR_MAX_TOP_LOGPROBS : 0u)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session options: top_logprobs %u, expected at most %u, and 0 without "
                          "LLMIR_SESSION_LOGPROBS",
                          options->top_logprobs, LLMIR_MAX_TOP_LOGPROBS);
    }
    logprobs->wanted_count = options->top_logprobs;
    return LLMIR_STATUS_OK;
}

/* The likeliest so far, in order; later ids come behind equal ones. Returns the least one that
 * still counts. */
static float insert_top(llmir_logprobs_t* out, int32_t token, float logit) {
    uint32_t at = out->top_count < out->wanted_count ? out->top_count++ : out->wanted_count - 1u;
    for (; at > 0 && out->top[at - 1u].logprob < logit; --at) {
        out->top[at] = out->top[at - 1u];
    }
    out->top[at] = (llmir_token_logprob_t){token, logit};
    return out->top[out->top_count - 1u].logprob;
}

/* log(sum of exp(logit - largest)); the sums of eight lanes first. */
static double log_sum(const float* logits, uint32_t count, float largest) {
    double sums[LLMIR_EXP_BLOCK] = {0};
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i += LLMIR_EXP_BLOCK) {
        float block[LLMIR_EXP_BLOCK];
        for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
            block[j] = i + j < count ? llmir_finite(logits[i + j]) - largest : -FLT_MAX;
        }
        llmir_exp_block(block);
        for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
            sums[j] += (double)block[j];
        }
    }
    for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
        sum += sums[j];
    }
    return llmir_log(sum);
}

static float logprob_of(float logit, float largest, double log_of_sum) {
    const double logprob = ((double)logit - (double)largest) - log_of_sum;
    return logprob > -(double)FLT_MAX ? (float)logprob : -FLT_MAX;
}

void llmir_logprobs_find(const float* logits,
                         uint32_t count,
                         int32_t token,
                         llmir_logprobs_t* inout) {
    const float largest = llmir_largest(logits, count);
    float least = 0.0f;
    inout->top_count = 0;
    for (uint32_t i = 0; inout->wanted_count != 0 && i < count; ++i) {
        const float logit = llmir_finite(logits[i]);
        if (inout->top_count < inout->wanted_count || logit > least) {
            least = insert_top(inout, (int32_t)i, logit);
        }
    }
    const double log_of_sum = log_sum(logits, count, largest);
    inout->logprob = logprob_of(llmir_finite(logits[token]), largest, log_of_sum);
    for (uint32_t i = 0; i < inout->top_count; ++i) {
        inout->top[i].logprob = logprob_of(inout->top[i].logprob, largest, log_of_sum);
    }
}
