/* The sampler. Without top-k and top-p a draw is three passes over the logits in the order of ids;
 * with them the candidates become a heap, and only as many are sorted as are needed. */
#include "core/sampler.h"

#include <float.h>
#include <string.h>

#include "core/options.h"

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

/* ---- Options ---- */

/* False for NaN. */
static int is_within(float value, float lowest, float highest) {
    return value >= lowest && value <= highest;
}

llmir_status_t llmir_sampler_init(llmir_sampler_t* sampler,
                                  const llmir_sampler_options_t* options,
                                  llmir_error_t* error) {
    llmir_sampler_options_t own;
    LLMIR_TRY(llmir_options_read(&own, sizeof(own), options, "sampler options", error));
    if (!is_within(own.temperature, 0.0f, FLT_MAX) || !is_within(own.top_p, 0.0f, 1.0f) ||
        !is_within(own.min_p, 0.0f, 1.0f) || !is_within(own.repetition_penalty, 0.0f, FLT_MAX)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "sampler options: temperature %g, top_p %g, min_p %g, repetition_penalty "
                          "%g: negative, not finite, or a share above 1",
                          (double)own.temperature, (double)own.top_p, (double)own.min_p,
                          (double)own.repetition_penalty);
    }
    if (own.repetition_window > LLMIR_SAMPLER_MAX_WINDOW) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "sampler options: repetition_window %u, at most %u",
                          own.repetition_window, LLMIR_SAMPLER_MAX_WINDOW);
    }
    if (own.repetition_window == 0) {
        own.repetition_window = LLMIR_SAMPLER_DEFAULT_WINDOW;
    }
    sampler->options = own;
    llmir_sampler_restart(sampler);
    return LLMIR_STATUS_OK;
}

void llmir_sampler_restart(llmir_sampler_t* sampler) {
    uint64_t state = sampler->options.seed;
    for (int i = 0; i < 4; ++i) {
        sampler->random[i] = splitmix(&state);
    }
}

static int has_penalty(const llmir_sampler_t* sampler) {
    return sampler->options.repetition_penalty != 0.0f &&
           sampler->options.repetition_penalty != 1.0f;
}

uint32_t llmir_sampler_window(const llmir_sampler_t* sampler) {
    return has_penalty(sampler) ? sampler->options.repetition_window : 0u;
}

/* ---- Logits to candidates ---- */

/* A finite logit; every comparison is false for NaN. */
static float finite(float logit) {
    if (!(logit > -FLT_MAX)) {
        return -FLT_MAX;
    }
    return logit < FLT_MAX ? logit : FLT_MAX;
}

static int is_allowed(const llmir_sampler_input_t* input, uint32_t id) {
    return input->allowed == NULL || (input->allowed[id / 32u] >> (id % 32u) & 1u) != 0;
}

/* Returns how many candidates there are. */
static uint32_t fill_candidates(const llmir_sampler_t* sampler,
                                const llmir_sampler_input_t* input) {
    uint32_t count = 0;
    const float penalty = sampler->options.repetition_penalty;
    for (uint32_t i = 0; i < input->count; ++i) {
        input->candidates[i] = (llmir_candidate_t){finite(input->logits[i]), (int32_t)i};
    }
    for (uint32_t i = 0; has_penalty(sampler) && i < input->recent_count; ++i) {
        /* From the logit, not the candidate: a token that occurs twice counts once. */
        const int32_t id = input->recent[i];
        const float logit = finite(input->logits[id]);
        input->candidates[id].value = finite(logit > 0.0f ? logit / penalty : logit * penalty);
    }
    for (uint32_t i = 0; i < input->count; ++i) {
        if (is_allowed(input, i)) {
            input->candidates[count++] = input->candidates[i];
        }
    }
    return count;
}

static int32_t greedy(const llmir_candidate_t* candidates, uint32_t count) {
    llmir_candidate_t best = candidates[0];
    for (uint32_t i = 1; i < count; ++i) {
        if (candidates[i].value > best.value) {
            best = candidates[i];
        }
    }
    return best.id;
}

/* The same from the logits, where there is no penalty. */
static int32_t greedy_logits(const llmir_sampler_input_t* input) {
    int32_t best = -1;
    float largest = 0.0f;
    for (uint32_t i = 0; i < input->count; ++i) {
        const float logit = finite(input->logits[i]);
        if ((best < 0 || logit > largest) && is_allowed(input, i)) {
            largest = logit;
            best = (int32_t)i;
        }
    }
    return best;
}

/* ---- Weights ---- */

/* exp(x) for x <= 0 to about 1e-16: 2^n times the Taylor series of the remainder, |r| <= ln(2)/2.
 */
static double exp_nonpositive(double x) {
    if (!(x > -700.0)) {
        return 0.0;
    }
    const int32_t n = (int32_t)(x * 1.4426950408889634 - 0.5);
    const double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
    const uint64_t scale_bits = (uint64_t)(n + 1023) << 52;
    double sum = 1.0;
    double scale;
    for (int i = 13; i >= 1; --i) {
        sum = 1.0 + sum * r / i;
    }
    memcpy(&scale, &scale_bits, sizeof(scale));
    return sum * scale;
}

static float weight_of(const llmir_sampler_t* sampler, float logit, float largest) {
    return (float)exp_nonpositive(((double)logit - largest) / (double)sampler->options.temperature);
}

/* Draws among the first `count` candidates, whose values are weights and sum up to `sum` > 0. */
static int32_t draw_weighted(llmir_sampler_t* sampler,
                             const llmir_candidate_t* candidates,
                             uint32_t count,
                             double sum) {
    double rest = random_unit(sampler->random) * sum;
    int32_t last = candidates[0].id;
    for (uint32_t i = 0; i < count; ++i) {
        if (candidates[i].value > 0.0f) {
            last = candidates[i].id;
            rest -= candidates[i].value;
            if (rest < 0.0) {
                break;
            }
        }
    }
    return last; /* rounding may leave a rest: then the last possible one */
}

/* Draws with temperature and min-p alone: no order is needed. */
static int32_t draw_unsorted(llmir_sampler_t* sampler,
                             llmir_candidate_t* candidates,
                             uint32_t count) {
    float largest = candidates[0].value;
    double sum = 0.0;
    for (uint32_t i = 1; i < count; ++i) {
        largest = candidates[i].value > largest ? candidates[i].value : largest;
    }
    for (uint32_t i = 0; i < count; ++i) {
        const float weight = weight_of(sampler, candidates[i].value, largest);
        candidates[i].value = weight < sampler->options.min_p ? 0.0f : weight;
        sum += candidates[i].value;
    }
    return draw_weighted(sampler, candidates, count, sum);
}

/* ---- Sorting as far as needed: a heap with the largest logit on top ---- */

static int is_before(llmir_candidate_t a, llmir_candidate_t b) {
    return a.value > b.value || (a.value == b.value && a.id < b.id);
}

static void sift_down(llmir_candidate_t* heap, uint32_t count, uint32_t index) {
    const llmir_candidate_t moved = heap[index];
    for (uint32_t child = 2u * index + 1u; child < count; child = 2u * index + 1u) {
        if (child + 1u < count && is_before(heap[child + 1u], heap[child])) {
            ++child;
        }
        if (!is_before(heap[child], moved)) {
            break;
        }
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = moved;
}

static void make_heap(llmir_candidate_t* heap, uint32_t count) {
    for (uint32_t i = count / 2u; i-- > 0;) {
        sift_down(heap, count, i);
    }
}

/* Removes the top into the place that becomes free at the end. */
static llmir_candidate_t pop_heap(llmir_candidate_t* heap, uint32_t* inout_count) {
    const llmir_candidate_t top = heap[0];
    *inout_count -= 1u;
    heap[0] = heap[*inout_count];
    sift_down(heap, *inout_count, 0);
    heap[*inout_count] = top;
    return top;
}

/* Sum of the weights that top-p takes shares of: of the k largest, or of all. */
static double sum_of_weights(const llmir_sampler_t* sampler,
                             const llmir_candidate_t* candidates,
                             uint32_t count,
                             float largest) {
    double sum = 0.0;
    for (uint32_t i = 0; i < count; ++i) {
        sum += weight_of(sampler, candidates[i].value, largest);
    }
    return sum;
}

/* Moves the k largest to the front. */
static void keep_top_k(llmir_candidate_t* candidates, uint32_t count, uint32_t k) {
    uint32_t heap_count = count;
    make_heap(candidates, count);
    for (uint32_t i = 0; i < k; ++i) {
        (void)pop_heap(candidates, &heap_count);
    }
    memmove(candidates, candidates + heap_count, k * sizeof(*candidates));
}

static int32_t draw_sorted(llmir_sampler_t* sampler,
                           llmir_candidate_t* candidates,
                           uint32_t count) {
    const llmir_sampler_options_t* options = &sampler->options;
    if (options->top_k != 0 && options->top_k < count) {
        keep_top_k(candidates, count, options->top_k);
        count = options->top_k;
    }
    make_heap(candidates, count);
    const float largest = candidates[0].value;
    const double share = options->top_p > 0.0f ? (double)options->top_p : 1.0;
    const double wanted = share * sum_of_weights(sampler, candidates, count, largest);
    double sum = 0.0;
    uint32_t heap_count = count;
    while (heap_count > 0 && (sum < wanted || heap_count == count)) {
        const llmir_candidate_t top = pop_heap(candidates, &heap_count);
        const float weight = weight_of(sampler, top.value, largest);
        if (weight < options->min_p) {
            candidates[heap_count].value = 0.0f; /* and so are all that follow */
            break;
        }
        candidates[heap_count].value = weight;
        sum += weight;
    }
    return draw_weighted(sampler, candidates + heap_count, count - heap_count, sum);
}

int32_t llmir_sampler_draw(llmir_sampler_t* sampler, const llmir_sampler_input_t* input) {
    const llmir_sampler_options_t* options = &sampler->options;
    if (options->temperature == 0.0f && !has_penalty(sampler)) {
        return greedy_logits(input);
    }
    const uint32_t count = fill_candidates(sampler, input);
    if (options->temperature == 0.0f) {
        return greedy(input->candidates, count);
    }
    if (options->top_k != 0 || (options->top_p > 0.0f && options->top_p < 1.0f)) {
        return draw_sorted(sampler, input->candidates, count);
    }
    return draw_unsorted(sampler, input->candidates, count);
}
