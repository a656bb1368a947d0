/* Building the tree: tokens are sorted by their bytes, then each adds the nodes that its
 * predecessor does not share. */
#include "core/grammar/grammar_vocabulary.h"

#include <string.h>

#define MAX_DEPTH UINT16_MAX /* longer tokens are left out */

typedef struct token_text {
    const uint8_t* bytes;
    uint32_t count;
} token_text_t;

static token_text_t text_of(const llmir_vocabulary_t* vocabulary, int32_t id) {
    token_text_t text;
    text.bytes = llmir_tokenizer_token_bytes(vocabulary->tokenizer, id, &text.count, NULL);
    return text;
}

/* Bytes that two texts have in common at their beginning. */
static uint32_t shared_bytes(token_text_t a, token_text_t b) {
    const uint32_t most = a.count < b.count ? a.count : b.count;
    uint32_t count = 0;
    while (count < most && a.bytes[count] == b.bytes[count]) {
        ++count;
    }
    return count;
}

static int is_before(const llmir_vocabulary_t* vocabulary, int32_t left, int32_t right) {
    const token_text_t a = text_of(vocabulary, left);
    const token_text_t b = text_of(vocabulary, right);
    const uint32_t shared = shared_bytes(a, b);
    if (shared == a.count || shared == b.count) {
        return a.count != b.count ? a.count < b.count : left < right;
    }
    return a.bytes[shared] < b.bytes[shared];
}

/* Merges the sorted runs [begin, middle) and [middle, end) of `from` into `to`. */
static void merge_runs(const llmir_vocabulary_t* vocabulary,
                       const int32_t* from,
                       int32_t* to,
                       const uint32_t bounds[3]) {
    uint32_t left = bounds[0];
    uint32_t right = bounds[1];
    for (uint32_t i = bounds[0]; i < bounds[2]; ++i) {
        const int take_left = left < bounds[1] && (right == bounds[2] ||
                                                   is_before(vocabulary, from[left], from[right]));
        to[i] = take_left ? from[left++] : from[right++];
    }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Merge sort from the bottom up; `scratch` holds as many ids. */
static void sort_tokens(llmir_vocabulary_t* vocabulary, int32_t* scratch) {
    const uint32_t count = vocabulary->token_count;
    for (uint32_t run = 1; run < count; run *= 2u) {
        for (uint32_t i = 0; i < count; i += 2u * run) {
            const uint32_t bounds[3] = {i, smaller(i + run, count), smaller(i + 2u * run, count)};
            merge_runs(vocabulary, vocabulary->tokens, scratch, bounds);
        }
        memcpy(vocabulary->tokens, scratch, count * sizeof(*scratch));
    }
}

static void gather_tokens(llmir_vocabulary_t* vocabulary) {
    for (uint32_t i = 0; i < vocabulary->tokenizer->token_count; ++i) {
        const token_text_t text = text_of(vocabulary, (int32_t)i);
        if (text.count != 0 && text.count <= MAX_DEPTH &&
            !llmir_tokenizer_is_special(vocabulary->tokenizer, (int32_t)i)) {
            vocabulary->tokens[vocabulary->token_count++] = (int32_t)i;
            vocabulary->max_depth =
                text.count > vocabulary->max_depth ? text.count : vocabulary->max_depth;
        }
    }
}

static uint32_t count_nodes(const llmir_vocabulary_t* vocabulary) {
    uint32_t count = 0;
    token_text_t before = {NULL, 0};
    for (uint32_t i = 0; i < vocabulary->token_count; ++i) {
        const token_text_t text = text_of(vocabulary, vocabulary->tokens[i]);
        count += text.count - shared_bytes(before, text);
        before = text;
    }
    return count;
}

/* `open` [max_depth]: the node of each depth whose subtree has not ended. */
static void fill_nodes(llmir_vocabulary_t* vocabulary, uint32_t* open) {
    uint32_t depth = 0;
    uint32_t count = 0;
    token_text_t before = {NULL, 0};
    for (uint32_t i = 0; i < vocabulary->token_count; ++i) {
        const token_text_t text = text_of(vocabulary, vocabulary->tokens[i]);
        for (const uint32_t shared = shared_bytes(before, text); depth > shared; --depth) {
            vocabulary->nodes[open[depth - 1u]].end = count;
        }
        for (; depth < text.count; ++depth) {
            open[depth] = count;
            /* All nodes made for a token begin at it; the next node ends a list, so that only the
             * last of them has the token, and those of the same text that follow. */
            vocabulary->nodes[count++] = (llmir_vocabulary_node_t){
                .token_begin = i, .depth = (uint16_t)(depth + 1u), .byte = text.bytes[depth]};
        }
        before = text;
    }
    for (; depth > 0; --depth) {
        vocabulary->nodes[open[depth - 1u]].end = count;
    }
    vocabulary->nodes[count] = (llmir_vocabulary_node_t){.token_begin = vocabulary->token_count};
}

llmir_status_t llmir_vocabulary_build(const llmir_tokenizer_t* tokenizer,
                                      const llmir_allocator_t* allocator,
                                      llmir_vocabulary_t* out,
                                      llmir_error_t* error) {
    const size_t id_bytes = ((size_t)tokenizer->token_count + 1u) * sizeof(int32_t);
    void* memory = NULL;
    *out = (llmir_vocabulary_t){.allocator = allocator, .tokenizer = tokenizer};
    LLMIR_TRY(llmir_allocate(allocator, id_bytes, 8, "vocabulary", &memory, error));
    out->tokens = memory;
    gather_tokens(out);
    LLMIR_TRY(llmir_allocate(allocator, id_bytes, 8, "vocabulary", &memory, error));
    sort_tokens(out, memory);
    llmir_free(allocator, memory, id_bytes, 8);
    out->node_count = count_nodes(out);
    LLMIR_TRY(llmir_allocate(allocator, ((size_t)out->node_count + 1u) * sizeof(*out->nodes), 8,
                             "vocabulary", &memory, error));
    out->nodes = memory;
    const size_t open_bytes = ((size_t)out->max_depth + 1u) * sizeof(uint32_t);
    LLMIR_TRY(llmir_allocate(allocator, open_bytes, 8, "vocabulary", &memory, error));
    fill_nodes(out, memory);
    llmir_free(allocator, memory, open_bytes, 8);
    return LLMIR_STATUS_OK;
}

void llmir_vocabulary_free(llmir_vocabulary_t* vocabulary) {
    if (vocabulary->tokenizer == NULL) {
        return;
    }
    llmir_free(vocabulary->allocator, vocabulary->tokens,
               ((size_t)vocabulary->tokenizer->token_count + 1u) * sizeof(int32_t), 8);
    llmir_free(vocabulary->allocator, vocabulary->nodes,
               ((size_t)vocabulary->node_count + 1u) * sizeof(*vocabulary->nodes), 8);
    *vocabulary = (llmir_vocabulary_t){0};
}
