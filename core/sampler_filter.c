/* The sampler's filters. Those that need an order sort no further than they keep: top-k holds the k
 * best so far in a heap while it passes over the others; typical and top-p take from a heap of all
 * until they have their share. */
#include "core/sampler_filter.h"

#include <float.h>
#include <string.h>

#include "core/sampler_math.h"

/* ---- Marks: what is known of recent tokens, by id ---- */

/* Where `id` is among the first `count` marks, which are sorted by id, or belongs. */
static uint32_t find_mark(const llmir_sampler_mark_t* marks, uint32_t count, int32_t id) {
    uint32_t begin = 0;
    while (begin < count) {
        const uint32_t middle = begin + (count - begin) / 2u;
        if (marks[middle].id < id) {
            begin = middle + 1u;
        } else {
            count = middle;
        }
    }
    return begin;
}

/* The mark of `id`, made with value 0 if there is none. */
static llmir_sampler_mark_t* mark_of(llmir_sampler_mark_t* marks,
                                     uint32_t* inout_count,
                                     int32_t id) {
    const uint32_t at = find_mark(marks, *inout_count, id);
    if (at == *inout_count || marks[at].id != id) {
        memmove(&marks[at + 1u], &marks[at], (*inout_count - at) * sizeof(*marks));
        marks[at] = (llmir_sampler_mark_t){id, 0};
        *inout_count += 1u;
    }
    return &marks[at];
}

typedef float (*change_fn)(const llmir_sampler_options_t* options, float logit, uint32_t value);

static void change_item(const llmir_sampler_options_t* options,
                        change_fn change,
                        uint32_t value,
                        float scale,
                        llmir_candidate_t* item) {
    const float logit = llmir_finite(item->value * scale);
    item->value = llmir_finite(llmir_finite(change(options, logit, value)) / scale);
}

/* Changes the logits of the tokens that have marks. */
static void apply_marks(const llmir_sampler_options_t* options,
                        const llmir_sampler_mark_t* marks,
                        uint32_t mark_count,
                        change_fn change,
                        llmir_candidates_t* list) {
    if (list->is_whole) {
        for (uint32_t i = 0; i < mark_count; ++i) {
            change_item(options, change, marks[i].value, list->scale, &list->items[marks[i].id]);
        }
        return;
    }
    for (uint32_t i = 0; i < list->count; ++i) {
        llmir_candidate_t* item = &list->items[i];
        const uint32_t at = find_mark(marks, mark_count, item->id);
        if (at < mark_count && marks[at].id == item->id) {
            change_item(options, change, marks[at].value, list->scale, item);
            list->is_sorted = 0;
        }
    }
}

/* ---- Penalties ---- */

static float penalise(const llmir_sampler_options_t* options, float logit, uint32_t count) {
    const float penalty = options->repetition_penalty;
    if (penalty != 0.0f) {
        logit = logit > 0.0f ? logit / penalty : logit * penalty;
    }
    return logit - ((float)count * options->frequency_penalty + options->presence_penalty);
}

void llmir_filter_penalties(const llmir_sampler_t* sampler,
                            const llmir_sampler_input_t* input,
                            llmir_candidates_t* list) {
    const uint32_t window = sampler->options.repetition_window;
    uint32_t count = 0;
    for (uint32_t i = 0; i < input->recent_count && i < window; ++i) {
        mark_of(input->marks, &count, input->recent[i])->value += 1u;
    }
    apply_marks(&sampler->options, input->marks, count, penalise, list);
}

/* ---- DRY ---- */

static int is_breaker(const llmir_sampler_t* sampler, int32_t token) {
    for (uint32_t i = 0; i < sampler->options.dry_breaker_count; ++i) {
        if (sampler->breakers[i] == token) {
            return 1;
        }
    }
    return 0;
}

/* Leaves in marks[i].value how many tokens before (and at) the one of i tokens ago are the same as
 * the last ones: the Z function (Gusfield 1997) of the tokens from the last one back. */
static void find_matches(const int32_t* recent, uint32_t count, llmir_sampler_mark_t* marks) {
    uint32_t left = 0; /* the match that reaches furthest back, [left, right) */
    uint32_t right = 0;
    for (uint32_t i = 1; i < count; ++i) {
        uint32_t length = 0;
        if (i < right) {
            length = marks[i - left].value < right - i ? marks[i - left].value : right - i;
        }
        while (i + length < count && recent[length] == recent[i + length]) {
            ++length;
        }
        if (i + length > right) {
            left = i;
            right = i + length;
        }
        marks[i].value = length;
    }
}

/* multiplier * base^(length - allowed) less. */
static float lower_repetition(const llmir_sampler_options_t* options,
                              float logit,
                              uint32_t length) {
    float penalty = options->dry_multiplier;
    for (uint32_t i = options->dry_allowed_length; i < length && penalty < FLT_MAX; ++i) {
        penalty = llmir_finite(penalty * options->dry_base);
    }
    return logit - penalty;
}

void llmir_filter_dry(const llmir_sampler_t* sampler,
                      const llmir_sampler_input_t* input,
                      llmir_candidates_t* list) {
    const llmir_sampler_options_t* options = &sampler->options;
    const uint32_t window = options->dry_window;
    const uint32_t recent_count = input->recent_count < window ? input->recent_count : window;
    llmir_sampler_mark_t* marks = input->marks;
    uint32_t longest = 0; /* no match goes over a breaker */
    while (longest < recent_count && !is_breaker(sampler, input->recent[longest])) {
        ++longest;
    }
    if (longest < options->dry_allowed_length) {
        return;
    }
    find_matches(input->recent, recent_count, marks);
    /* The longest match before each token that followed one. Their list grows into the marks that
     * have been read. */
    uint32_t count = 0;
    for (uint32_t i = 1; i < recent_count; ++i) {
        const uint32_t length = marks[i].value < longest ? marks[i].value : longest;
        const int32_t next = input->recent[i - 1u];
        if (length >= options->dry_allowed_length && !is_breaker(sampler, next)) {
            llmir_sampler_mark_t* mark = mark_of(marks, &count, next);
            mark->value = length > mark->value ? length : mark->value;
        }
    }
    apply_marks(options, marks, count, lower_repetition, list);
}

/* ---- Order ---- */

/* By which order a heap is: the best on top is the largest value, the smallest (so that the k
 * largest stay), or the one nearest to `centre`. */
typedef enum order_kind { LARGEST, SMALLEST, NEAREST } order_kind_t;
typedef struct order {
    order_kind_t kind;
    float centre;
} order_t;

static float distance(float a, float b) {
    return a > b ? a - b : b - a;
}

static int is_before(order_t order, llmir_candidate_t a, llmir_candidate_t b) {
    if (order.kind == NEAREST) {
        a.value = -distance(a.value, order.centre);
        b.value = -distance(b.value, order.centre);
    }
    const int is_better = a.value > b.value || (a.value == b.value && a.id < b.id);
    return order.kind == SMALLEST ? !is_better : is_better;
}

static void sift_down(order_t order, llmir_candidate_t* heap, uint32_t count, uint32_t index) {
    const llmir_candidate_t moved = heap[index];
    for (uint32_t child = 2u * index + 1u; child < count; child = 2u * index + 1u) {
        if (child + 1u < count && is_before(order, heap[child + 1u], heap[child])) {
            ++child;
        }
        if (!is_before(order, heap[child], moved)) {
            break;
        }
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = moved;
}

static void make_heap(order_t order, llmir_candidate_t* heap, uint32_t count) {
    for (uint32_t i = count / 2u; i-- > 0;) {
        sift_down(order, heap, count, i);
    }
}

/* Moves the top to the place that becomes free at the end. */
static llmir_candidate_t pop_heap(order_t order, llmir_candidate_t* heap, uint32_t* inout_count) {
    const llmir_candidate_t top = heap[0];
    *inout_count -= 1u;
    heap[0] = heap[*inout_count];
    sift_down(order, heap, *inout_count, 0);
    heap[*inout_count] = top;
    return top;
}

static void reverse(llmir_candidate_t* items, uint32_t count) {
    for (uint32_t i = 0; i < count / 2u; ++i) {
        const llmir_candidate_t item = items[i];
        items[i] = items[count - 1u - i];
        items[count - 1u - i] = item;
    }
}

/* ---- Filters ---- */

void llmir_filter_top_k(llmir_candidates_t* list, uint32_t k) {
    const order_t order = {SMALLEST, 0.0f};
    llmir_candidate_t* heap = list->items;
    k = k < list->count ? k : list->count;
    if (!list->is_sorted) {
        make_heap(order, heap, k);
        for (uint32_t i = k; i < list->count; ++i) {
            /* Equal values: ids may come in any order. */
            if (heap[i].value >= heap[0].value && is_before(order, heap[0], heap[i])) {
                heap[0] = heap[i];
                sift_down(order, heap, k, 0);
            }
        }
        for (uint32_t heap_count = k; heap_count > 1u;) {
            (void)pop_heap(order, heap, &heap_count);
        }
    }
    list->count = k;
    list->is_sorted = 1;
    list->is_whole = 0;
}

float llmir_candidates_largest(const llmir_candidates_t* list) {
    float largest = list->items[0].value;
    for (uint32_t i = 1; !list->is_sorted && i < list->count; ++i) {
        largest = list->items[i].value > largest ? list->items[i].value : largest;
    }
    return largest;
}

void llmir_filter_temperature(llmir_candidates_t* list, float temperature) {
    const float scale = list->scale / temperature;
    list->scale = scale < 1e30f ? scale : 1e30f; /* logits of any model times it are finite */
}

double llmir_candidates_weigh(llmir_candidates_t* list) {
    return llmir_weigh(list->items, list->count, llmir_candidates_largest(list), list->scale);
}

static float weight_of(const llmir_candidates_t* list, float value, float largest) {
    llmir_candidate_t item = {value, 0};
    (void)llmir_weigh(&item, 1, largest, list->scale);
    return item.value;
}

/* The sum of the weights, and that of weights times distances from the largest value. */
static double sum_weights(const llmir_candidates_t* list, float largest, double* out_moment) {
    double sum = 0.0;
    double moment = 0.0;
    for (uint32_t i = 0; i < list->count; i += LLMIR_EXP_BLOCK) {
        llmir_candidate_t block[LLMIR_EXP_BLOCK];
        const uint32_t left = list->count - i;
        const uint32_t count = left < LLMIR_EXP_BLOCK ? left : LLMIR_EXP_BLOCK;
        memcpy(block, list->items + i, count * sizeof(*block));
        sum += llmir_weigh(block, count, largest, list->scale);
        for (uint32_t j = 0; out_moment != NULL && j < count; ++j) {
            if (block[j].value > 0.0f) { /* the distance of others may be infinite */
                moment +=
                    (double)block[j].value * ((double)list->items[i + j].value - (double)largest);
            }
        }
    }
    if (out_moment != NULL) {
        *out_moment = moment;
    }
    return sum;
}

/* Keeps the first in the order whose weights reach `wanted`, at least one. */
static void keep_share(llmir_candidates_t* list, order_t order, float largest, double wanted) {
    uint32_t heap_count = list->count;
    double sum = 0.0;
    make_heap(order, list->items, list->count);
    do {
        const llmir_candidate_t top = pop_heap(order, list->items, &heap_count);
        sum += (double)weight_of(list, top.value, largest);
    } while (heap_count > 0 && sum < wanted);
    list->items += heap_count;
    list->count -= heap_count;
    reverse(list->items, list->count);
    list->is_whole = 0;
}

/* The information -log p of a candidate and the entropy, its mean, differ by what the value and the
 * mean of the values, weighted by p, do: the logarithm of the sum is in both. */
void llmir_filter_typical(llmir_candidates_t* list, float share) {
    const float largest = llmir_candidates_largest(list);
    double moment = 0.0;
    const double sum = sum_weights(list, largest, &moment);
    const order_t order = {NEAREST, (float)((double)largest + moment / sum)};
    keep_share(list, order, largest, (double)share * sum);
    list->is_sorted = 0;
}

/* Keeps what is at least 1/ratio as likely as the largest. */
static void keep_likely(llmir_candidates_t* list, float largest, double ratio) {
    const double least = (double)largest - llmir_log(ratio) / (double)list->scale;
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; ++i) {
        if ((double)list->items[i].value >= least) {
            list->items[count++] = list->items[i];
        }
    }
    list->is_whole = list->is_whole && count == list->count;
    list->count = count;
}

void llmir_filter_top_p(llmir_candidates_t* list, float share) {
    const order_t order = {LARGEST, 0.0f};
    const float largest = llmir_candidates_largest(list);
    const double all = sum_weights(list, largest, NULL);
    const double wanted = (double)share * all;
    if (!list->is_sorted) {
        /* What all n below a weight have together is less than n times it: those below the n-th
         * part of the rest cannot be needed. Half of that is on the safe side of rounding. */
        const double rest = (1.0 - (double)share) * all;
        keep_likely(list, largest, 2.0 * list->count / rest);
        keep_share(list, order, largest, wanted);
        list->is_sorted = 1;
        return;
    }
    uint32_t count = 0;
    double sum = 0.0;
    do {
        sum += (double)weight_of(list, list->items[count++].value, largest);
    } while (count < list->count && sum < wanted);
    list->count = count;
}

void llmir_filter_min_p(llmir_candidates_t* list, float share) {
    keep_likely(list, llmir_candidates_largest(list), 1.0 / (double)share);
}
