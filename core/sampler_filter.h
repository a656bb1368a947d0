/* The steps of the sampler that change or choose among candidates, each one function over a list of
 * them. */
#ifndef LLMIR_SAMPLER_FILTER_H
#define LLMIR_SAMPLER_FILTER_H

#include "core/sampler.h"

typedef struct llmir_candidates {
    llmir_candidate_t* items; /* [count], at least 1; values are logits before the temperature */
    uint32_t count;
    uint32_t is_whole;  /* items[id].id == id */
    uint32_t is_sorted; /* the largest first, the lower id first among equals */
    float scale;        /* 1 / temperature, once it has been applied; else 1 */
} llmir_candidates_t;

/* Logits of recent tokens: repetition, frequency, presence. */
void llmir_filter_penalties(const llmir_sampler_t* sampler,
                            const llmir_sampler_input_t* input,
                            llmir_candidates_t* list);

/* Logits of tokens that would continue a repetition. */
void llmir_filter_dry(const llmir_sampler_t* sampler,
                      const llmir_sampler_input_t* input,
                      llmir_candidates_t* list);

/* Each leaves at least one candidate. k >= 1; shares in (0, 1). */
void llmir_filter_top_k(llmir_candidates_t* list, uint32_t k);
void llmir_filter_temperature(llmir_candidates_t* list, float temperature);
void llmir_filter_typical(llmir_candidates_t* list, float share);
void llmir_filter_top_p(llmir_candidates_t* list, float share);
void llmir_filter_min_p(llmir_candidates_t* list, float share);

/* The largest value of the list. */
float llmir_candidates_largest(const llmir_candidates_t* list);

/* Replaces the values by their weights, exp((value - largest) * scale); returns the sum. */
double llmir_candidates_weigh(llmir_candidates_t* list);

#endif /* LLMIR_SAMPLER_FILTER_H */
