/* SentencePiece unigram: the path of tokens with the largest sum of log-probabilities (Viterbi).
 *
 * Tokens have a bounded length, so the search is linear. Ties go to the path found first, from the
 * left and then by length, as in the reference; sums are doubles for the same reason. */
#include "core/tokenizer_internal.h"

/* The best way to reach a byte position. */
typedef struct llmir_lattice_node {
    double score;
    uint32_t id;   /* of the last token, LLMIR_NO_TOKEN for a character without one */
    uint32_t from; /* where that token begins; LLMIR_LATTICE_UNREACHED */
} llmir_lattice_node_t;
#define LLMIR_LATTICE_UNREACHED UINT32_MAX

static void reach(llmir_lattice_node_t* node, double score, uint32_t id, uint32_t from) {
    if (node->from == LLMIR_LATTICE_UNREACHED || score > node->score) {
        *node = (llmir_lattice_node_t){score, id, from};
    }
}

/* Enters all tokens that begin at `at`, and a step of one character if no token is just that. */
static void extend(const llmir_tokenizer_t* tokenizer,
                   const uint8_t* text,
                   size_t bytes,
                   uint32_t at,
                   llmir_lattice_node_t* lattice) {
    const size_t left = bytes - at;
    const size_t longest = left < tokenizer->max_token_bytes ? left : tokenizer->max_token_bytes;
    const double score = lattice[at].score;
    uint32_t code;
    const uint32_t char_bytes = llmir_utf8_next(text + at, left, &code);
    int char_is_token = 0;
    uint32_t node = 0;
    for (uint32_t length = 1; length <= longest; ++length) {
        node = llmir_trie_step(tokenizer->vocab_nodes, tokenizer->vocab_node_count, node,
                               text[at + length - 1]);
        if (node == 0) {
            break;
        }
        const uint32_t id = tokenizer->vocab_nodes[node].token;
        if (id < tokenizer->token_count) {
            reach(&lattice[at + length], score + (double)tokenizer->token_scores[id], id, at);
            char_is_token |= length == char_bytes;
        }
    }
    if (!char_is_token) {
        const double unknown = score + (double)tokenizer->unknown_score;
        reach(&lattice[at + char_bytes], unknown, LLMIR_NO_TOKEN, at);
    }
}

/* Turns the links of the best path around and emits it from the left. */
static void emit_path(llmir_tokenizer_work_t* work,
                      const uint8_t* text,
                      size_t bytes,
                      llmir_lattice_node_t* lattice) {
    uint32_t next = LLMIR_LATTICE_UNREACHED;
    for (uint32_t at = (uint32_t)bytes; at != LLMIR_LATTICE_UNREACHED;) {
        const uint32_t from = at == 0 ? LLMIR_LATTICE_UNREACHED : lattice[at].from;
        lattice[at].from = next;
        next = at;
        at = from;
    }
    for (uint32_t at = 0; lattice[at].from != LLMIR_LATTICE_UNREACHED;) {
        const uint32_t end = lattice[at].from;
        if (lattice[end].id == LLMIR_NO_TOKEN) {
            llmir_work_emit_fallback(work, text + at, end - at);
        } else {
            llmir_work_emit(work, lattice[end].id);
        }
        at = end;
    }
}

static llmir_status_t encode_piece(llmir_tokenizer_work_t* work,
                                   const uint8_t* text,
                                   size_t bytes) {
    LLMIR_TRY(llmir_work_reserve(work, &work->symbols, (bytes + 1) * sizeof(llmir_lattice_node_t)));
    llmir_lattice_node_t* lattice = work->symbols.data;
    for (size_t i = 0; i <= bytes; ++i) {
        lattice[i] = (llmir_lattice_node_t){0.0, LLMIR_NO_TOKEN, LLMIR_LATTICE_UNREACHED};
    }
    lattice[0].from = 0;
    for (size_t at = 0; at < bytes; ++at) {
        if (lattice[at].from != LLMIR_LATTICE_UNREACHED) {
            extend(work->tokenizer, text, bytes, (uint32_t)at, lattice);
        }
    }
    emit_path(work, text, bytes, lattice);
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_unigram_encode(llmir_tokenizer_work_t* work,
                                    const uint8_t* text,
                                    size_t bytes) {
    LLMIR_TRY(llmir_spm_normalise(work, text, bytes, &bytes));
    text = work->text.data;
    for (size_t at = 0; at < bytes;) {
        const size_t end = llmir_spm_next(work->tokenizer, text, bytes, at);
        LLMIR_TRY(encode_piece(work, text + at, end - at));
        at = end;
    }
    return LLMIR_STATUS_OK;
}
