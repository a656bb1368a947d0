/* The merge engine of both BPE kinds: a linked list of symbols and a binary heap of candidates.
 *
 * A merge adds at most two candidates and removes one, so a word of n symbols costs O(n log n). An
 * entry is not taken out of the heap when its symbols change; it is recognised as stale when its
 * turn comes, because the pair that stands there then makes another token. That test, and not one
 * of the pair's identity, is what the reference implementation (Hugging Face tokenizers) does. */
#include "core/tokenizer_internal.h"

typedef struct llmir_candidate {
    uint32_t rank;
    uint32_t left; /* index of the left symbol */
    uint32_t id;   /* the token that the pair becomes */
} llmir_candidate_t;

typedef struct llmir_candidate_heap {
    llmir_candidate_t* items;
    size_t count;
} llmir_candidate_heap_t;

static int candidate_before(const llmir_candidate_t* a, const llmir_candidate_t* b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(llmir_candidate_heap_t* heap, llmir_candidate_t item) {
    size_t hole = heap->count++;
    while (hole > 0) {
        const size_t parent = (hole - 1) / 2;
        if (!candidate_before(&item, &heap->items[parent])) {
            break;
        }
        heap->items[hole] = heap->items[parent];
        hole = parent;
    }
    heap->items[hole] = item;
}

static llmir_candidate_t heap_pop(llmir_candidate_heap_t* heap) {
    const llmir_candidate_t top = heap->items[0];
    const llmir_candidate_t last = heap->items[--heap->count];
    size_t hole = 0;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            candidate_before(&heap->items[child + 1], &heap->items[child])) {
            ++child;
        }
        if (!candidate_before(&heap->items[child], &last)) {
            break;
        }
        heap->items[hole] = heap->items[child];
        hole = child;
    }
    heap->items[hole] = last;
    return top;
}

static llmir_status_t add_candidate(llmir_merge_run_t* run,
                                    llmir_candidate_heap_t* heap,
                                    uint32_t left) {
    const uint32_t right = run->symbols[left].next;
    llmir_merge_t merge;
    if (right == LLMIR_SYMBOL_NONE || !run->pair(run, left, right, &merge)) {
        return LLMIR_STATUS_OK;
    }
    llmir_work_buffer_t* buffer = &run->work->heap;
    LLMIR_TRY(llmir_work_reserve(run->work, buffer, (heap->count + 1) * sizeof(llmir_candidate_t)));
    heap->items = buffer->data;
    heap_push(heap, (llmir_candidate_t){merge.rank, left, merge.id});
    return LLMIR_STATUS_OK;
}

static int candidate_is_stale(const llmir_merge_run_t* run, const llmir_candidate_t* candidate) {
    const uint32_t right = run->symbols[candidate->left].next;
    llmir_merge_t merge;
    if (right == LLMIR_SYMBOL_DEAD || right == LLMIR_SYMBOL_NONE) {
        return 1;
    }
    return !run->pair(run, candidate->left, right, &merge) || merge.id != candidate->id;
}

llmir_status_t llmir_merge_all(llmir_merge_run_t* run) {
    llmir_symbol_t* symbols = run->symbols;
    llmir_candidate_heap_t heap = {run->work->heap.data, 0};
    for (uint32_t at = 0; at != LLMIR_SYMBOL_NONE; at = symbols[at].next) {
        LLMIR_TRY(add_candidate(run, &heap, at));
    }
    while (heap.count > 0) {
        const llmir_candidate_t top = heap_pop(&heap);
        if (candidate_is_stale(run, &top)) {
            continue;
        }
        llmir_symbol_t* left = &symbols[top.left];
        llmir_symbol_t* right = &symbols[left->next];
        left->id = top.id;
        left->next = right->next;
        if (right->next != LLMIR_SYMBOL_NONE) {
            symbols[right->next].prev = top.left;
        }
        right->next = LLMIR_SYMBOL_DEAD;
        if (left->prev != LLMIR_SYMBOL_NONE) {
            LLMIR_TRY(add_candidate(run, &heap, left->prev));
        }
        LLMIR_TRY(add_candidate(run, &heap, top.left));
    }
    return LLMIR_STATUS_OK;
}
