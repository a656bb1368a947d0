/* The sampler: its options, its random numbers and the order of its steps, which are in
 * sampler_filter.c. What needs no step costs one pass over the logits. */
#include "core/sampler.h"

#include <float.h>
#include <string.h>

#include "core/options.h"
#include "core/sampler_filter.h"
#include "core/sampler_math.h"

/* ---- Random numbers ---- */

/* splitmix64 (Steele, Lea, Flood 2014), which fills the state from a seed. */
static uint64_t splitmix(uint64_t* state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits) {
    return value << bits | value >> (64u - bits);
}

/* xoshiro256++ (Blackman, Vigna 2019): a number in [0, 1) with 53 random bits. */
static double random_unit(uint64_t state[4]) {
    const uint64_t result = rotate_left(state[0] + state[3], 23) + state[0];
    const uint64_t carry = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= carry;
    state[3] = rotate_left(state[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

void llmir_sampler_restart(llmir_sampler_t* sampler) {
    uint64_t state = sampler->options.seed;
    for (int i = 0; i < 4; ++i) {
        sampler->random[i] = splitmix(&state);
    }
}

/* ---- Options ---- */

typedef struct number_rule {
    const char* name;
    float value;
    float lowest;
    float highest;
} number_rule_t;

static llmir_status_t check_numbers(const llmir_sampler_options_t* options, llmir_error_t* error) {
    const number_rule_t rules[] = {
        {"temperature", options->temperature, 0.0f, FLT_MAX},
        {"top_p", options->top_p, 0.0f, 1.0f},
        {"min_p", options->min_p, 0.0f, 1.0f},
        {"typical_p", options->typical_p, 0.0f, 1.0f},
        {"repetition_penalty", options->repetition_penalty, 0.0f, FLT_MAX},
        {"frequency_penalty", options->frequency_penalty, -FLT_MAX, FLT_MAX},
        {"presence_penalty", options->presence_penalty, -FLT_MAX, FLT_MAX},
        {"dry_multiplier", options->dry_multiplier, 0.0f, FLT_MAX},
        {"dry_base", options->dry_base, options->dry_base == 0.0f ? 0.0f : 1.0f, FLT_MAX},
        {"repetition_window", (float)options->repetition_window, 0.0f, LLMIR_SAMPLER_MAX_WINDOW},
        {"dry_window", (float)options->dry_window, 0.0f, LLMIR_SAMPLER_MAX_WINDOW},
        {"dry_breaker_count", (float)options->dry_breaker_count, 0.0f,
         options->dry_breakers != NULL ? LLMIR_MAX_DRY_BREAKERS : 0.0f},
        {"logit_bias_count", (float)options->logit_bias_count, 0.0f,
         options->logit_bias != NULL ? LLMIR_MAX_LOGIT_BIAS : 0.0f},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); ++i) {
        const number_rule_t* rule = &rules[i];
        if (!(rule->value >= rule->lowest && rule->value <= rule->highest)) { /* also NaN */
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "sampler options: %s %g, expected %g to %g", rule->name,
                              (double)rule->value, (double)rule->lowest, (double)rule->highest);
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t copy_tokens(llmir_sampler_t* sampler,
                                  uint32_t vocab_count,
                                  llmir_error_t* error) {
    llmir_sampler_options_t* options = &sampler->options;
    for (uint32_t i = 0; i < options->dry_breaker_count; ++i) {
        sampler->breakers[i] = options->dry_breakers[i];
        if ((uint32_t)sampler->breakers[i] >= vocab_count) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "sampler options: DRY breaker %d, the vocabulary has %u",
                              sampler->breakers[i], vocab_count);
        }
    }
    for (uint32_t i = 0; i < options->logit_bias_count; ++i) {
        sampler->bias[i] = options->logit_bias[i];
        const float bias = sampler->bias[i].bias;
        if ((uint32_t)sampler->bias[i].token >= vocab_count ||
            !(bias >= -FLT_MAX && bias <= FLT_MAX)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "sampler options: logit bias %g of token %d, expected a finite one "
                              "of a token below %u",
                              (double)bias, sampler->bias[i].token, vocab_count);
        }
    }
    options->dry_breakers = NULL;
    options->logit_bias = NULL;
    return LLMIR_STATUS_OK;
}

static int is_active(const llmir_sampler_options_t* options, uint32_t step) {
    const int is_greedy = options->temperature == 0.0f;
    switch (step) {
        case LLMIR_SAMPLER_PENALTIES:
            return (options->repetition_penalty != 0.0f && options->repetition_penalty != 1.0f) ||
                   options->frequency_penalty != 0.0f || options->presence_penalty != 0.0f;
        case LLMIR_SAMPLER_DRY:
            return options->dry_multiplier != 0.0f;
        case LLMIR_SAMPLER_TOP_K:
            return !is_greedy && options->top_k != 0;
        case LLMIR_SAMPLER_TEMPERATURE:
            return !is_greedy && options->temperature != 1.0f;
        case LLMIR_SAMPLER_TYPICAL:
            return !is_greedy && options->typical_p != 0.0f && options->typical_p != 1.0f;
        case LLMIR_SAMPLER_TOP_P:
            return !is_greedy && options->top_p != 0.0f && options->top_p != 1.0f;
        default: /* LLMIR_SAMPLER_MIN_P */
            return !is_greedy && options->min_p != 0.0f;
    }
}

/* Leaves the steps that do something, in the order asked for. */
static llmir_status_t choose_steps(llmir_sampler_t* sampler, llmir_error_t* error) {
    static const uint8_t usual[LLMIR_SAMPLER_MAX_STEPS] = {1, 2, 3, 4, 5, 6, 7, 0};
    static const uint8_t none[LLMIR_SAMPLER_MAX_STEPS] = {0};
    const uint8_t* order =
        memcmp(sampler->options.order, none, sizeof(none)) == 0 ? usual : sampler->options.order;
    uint32_t seen = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < LLMIR_SAMPLER_MAX_STEPS; ++i) {
        const uint32_t step = order[i];
        /* Bit 0: the end has come. */
        if (step > LLMIR_SAMPLER_MIN_P || (step != 0 && (seen & (1u | 1u << step)) != 0)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "sampler options: order[%u] is %u: unknown, there already, or behind "
                              "the end",
                              i, step);
        }
        seen |= 1u << step;
        if (step != 0 && is_active(&sampler->options, step)) {
            sampler->steps[count++] = (uint8_t)step;
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_sampler_init(llmir_sampler_t* sampler,
                                  const llmir_sampler_options_t* options,
                                  uint32_t vocab_count,
                                  llmir_error_t* error) {
    llmir_sampler_options_t* own = &sampler->options;
    memset(sampler, 0, sizeof(*sampler));
    LLMIR_TRY(llmir_options_read(own, sizeof(*own), options, "sampler options", error));
    LLMIR_TRY(check_numbers(own, error));
    LLMIR_TRY(copy_tokens(sampler, vocab_count, error));
    LLMIR_TRY(choose_steps(sampler, error));
    if (own->repetition_window == 0) {
        own->repetition_window = LLMIR_SAMPLER_DEFAULT_WINDOW;
    }
    if (own->dry_window == 0) {
        own->dry_window = LLMIR_SAMPLER_MAX_WINDOW;
    }
    if (own->dry_base == 0.0f) {
        own->dry_base = 1.75f;
    }
    if (own->dry_allowed_length == 0) {
        own->dry_allowed_length = 2;
    }
    llmir_sampler_restart(sampler);
    return LLMIR_STATUS_OK;
}

uint32_t llmir_sampler_window(const llmir_sampler_t* sampler) {
    uint32_t window = 0;
    for (uint32_t i = 0; i < LLMIR_SAMPLER_MAX_STEPS; ++i) {
        const uint32_t step = sampler->steps[i];
        const uint32_t looks_at = step == LLMIR_SAMPLER_PENALTIES
                                      ? sampler->options.repetition_window
                                  : step == LLMIR_SAMPLER_DRY ? sampler->options.dry_window
                                                              : 0u;
        window = looks_at > window ? looks_at : window;
    }
    return window;
}

int llmir_sampler_is_plain(const llmir_sampler_t* sampler) {
    return sampler->options.temperature == 0.0f && sampler->steps[0] == 0 &&
           sampler->options.logit_bias_count == 0;
}

/* ---- Drawing ---- */

static int is_allowed(const llmir_sampler_input_t* input, uint32_t id) {
    return input->allowed == NULL || (input->allowed[id / 32u] >> (id % 32u) & 1u) != 0;
}

static void fill_candidates(const llmir_sampler_t* sampler,
                            const llmir_sampler_input_t* input,
                            llmir_candidates_t* list) {
    for (uint32_t i = 0; i < input->count; ++i) {
        input->candidates[i] = (llmir_candidate_t){llmir_finite(input->logits[i]), (int32_t)i};
    }
    for (uint32_t i = 0; i < sampler->options.logit_bias_count; ++i) {
        llmir_candidate_t* candidate = &input->candidates[sampler->bias[i].token];
        candidate->value = llmir_finite(candidate->value + sampler->bias[i].bias);
    }
    *list = (llmir_candidates_t){input->candidates, input->count, 1, 0, 1.0f};
}

static void keep_allowed(const llmir_sampler_input_t* input, llmir_candidates_t* list) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; ++i) {
        if (is_allowed(input, (uint32_t)list->items[i].id)) {
            list->items[count++] = list->items[i];
        }
    }
    list->is_whole = count == list->count;
    list->count = count;
}

static void run_step(const llmir_sampler_t* sampler,
                     const llmir_sampler_input_t* input,
                     uint32_t step,
                     llmir_candidates_t* list) {
    const llmir_sampler_options_t* options = &sampler->options;
    switch (step) {
        case LLMIR_SAMPLER_PENALTIES:
            llmir_filter_penalties(sampler, input, list);
            break;
        case LLMIR_SAMPLER_DRY:
            llmir_filter_dry(sampler, input, list);
            break;
        case LLMIR_SAMPLER_TOP_K:
            llmir_filter_top_k(list, options->top_k);
            break;
        case LLMIR_SAMPLER_TEMPERATURE:
            llmir_filter_temperature(list, options->temperature);
            break;
        case LLMIR_SAMPLER_TYPICAL:
            llmir_filter_typical(list, options->typical_p);
            break;
        case LLMIR_SAMPLER_TOP_P:
            llmir_filter_top_p(list, options->top_p);
            break;
        default: /* LLMIR_SAMPLER_MIN_P */
            llmir_filter_min_p(list, options->min_p);
            break;
    }
}

/* The largest logit where nothing changes them. */
static int32_t greedy_logits(const llmir_sampler_input_t* input) {
    int32_t best = -1;
    float largest = 0.0f;
    if (input->allowed == NULL) {
        largest = llmir_largest(input->logits, input->count);
        do {
            ++best;
        } while (llmir_finite(input->logits[best]) != largest);
        return best;
    }
    for (uint32_t i = 0; i < input->count; ++i) {
        const float logit = llmir_finite(input->logits[i]);
        if (is_allowed(input, i) && (best < 0 || logit > largest)) {
            largest = logit;
            best = (int32_t)i;
        }
    }
    return best;
}

/* The largest value, the lowest id among equals. */
static int32_t greedy(const llmir_candidates_t* list) {
    llmir_candidate_t best = list->items[0];
    for (uint32_t i = 1; i < list->count; ++i) {
        const llmir_candidate_t other = list->items[i];
        if (other.value > best.value || (other.value == best.value && other.id < best.id)) {
            best = other;
        }
    }
    return best.id;
}

/* Draws in proportion to the weights, which sum up to `sum` > 0. A sorted list is gone through from
 * its end, so that small weights are not lost in a large sum. */
static int32_t draw_weighted(llmir_sampler_t* sampler, const llmir_candidates_t* list, double sum) {
    double rest = random_unit(sampler->random) * sum;
    const llmir_candidate_t* item = list->items;
    const ptrdiff_t step = list->is_sorted ? -1 : 1;
    int32_t last = item->id;
    item += list->is_sorted ? list->count - 1u : 0u;
    for (uint32_t i = 0; i < list->count && rest >= 0.0; ++i, item += step) {
        if (item->value > 0.0f) {
            last = item->id;
            rest -= (double)item->value;
        }
    }
    return last; /* rounding may leave a rest: then the last possible one */
}

int32_t llmir_sampler_draw(llmir_sampler_t* sampler, const llmir_sampler_input_t* input) {
    const llmir_sampler_options_t* options = &sampler->options;
    const int is_greedy = options->temperature == 0.0f;
    llmir_candidates_t list;
    if (llmir_sampler_is_plain(sampler)) {
        return greedy_logits(input);
    }
    fill_candidates(sampler, input, &list);
    /* Penalties and DRY find a token at once as long as all are there. */
    uint32_t i = 0;
    for (; i < LLMIR_SAMPLER_MAX_STEPS &&
           (sampler->steps[i] == LLMIR_SAMPLER_PENALTIES || sampler->steps[i] == LLMIR_SAMPLER_DRY);
         ++i) {
        run_step(sampler, input, sampler->steps[i], &list);
    }
    if (input->allowed != NULL) {
        keep_allowed(input, &list);
    }
    for (; i < LLMIR_SAMPLER_MAX_STEPS && sampler->steps[i] != 0; ++i) {
        run_step(sampler, input, sampler->steps[i], &list);
    }
    return is_greedy ? greedy(&list) : draw_weighted(sampler, &list, llmir_candidates_weigh(&list));
}
