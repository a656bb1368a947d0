/* Byte-level BPE: words of the pre-tokenizer, bytes as first symbols, merges by rank.
 *
 * The result depends on the word alone. The compiler has marked the tokens whose own bytes merge
 * into just that token (nearly all; all of them where the vocabulary takes whole words first), so
 * that most words cost one look-up. */
#include "core/tokenizer_internal.h"

/* Looks the pair of two tokens up in merge_slots. */
static int find_merge(const llmir_tokenizer_t* tokenizer,
                      uint32_t left,
                      uint32_t right,
                      llmir_merge_t* out) {
    const uint32_t slot_count = tokenizer->merge_slot_count;
    if (slot_count == 0) {
        return 0;
    }
    const uint64_t key =
        ((uint64_t)left << LLMIR_MERGE_LEFT_SHIFT) | ((uint64_t)right << LLMIR_MERGE_RANK_BITS);
    uint32_t slot = llmir_tokenizer_slot(llmir_tokenizer_hash_pair(left, right), slot_count);
    for (uint32_t probe = 0; probe < tokenizer->merge_probes; ++probe) {
        const uint64_t entry = tokenizer->merge_slots[slot];
        if (entry == LLMIR_MERGE_SLOT_EMPTY) {
            return 0;
        }
        if ((entry & ~(uint64_t)LLMIR_MERGE_RANK_MASK) == key) {
            out->rank = (uint32_t)entry & LLMIR_MERGE_RANK_MASK;
            if (out->rank >= tokenizer->merge_count) {
                return 0;
            }
            out->id = tokenizer->merge_ids[out->rank];
            return out->id < tokenizer->token_count;
        }
        slot = slot + 1 < slot_count ? slot + 1 : 0;
    }
    return 0;
}

static int bpe_pair(const llmir_merge_run_t* run,
                    uint32_t left,
                    uint32_t right,
                    llmir_merge_t* out) {
    return find_merge(run->work->tokenizer, run->symbols[left].id, run->symbols[right].id, out);
}

/* Bytes that the vocabulary lacks are left out, as the reference does without an unknown token. */
static uint32_t make_symbols(const llmir_tokenizer_t* tokenizer,
                             const uint8_t* word,
                             size_t bytes,
                             llmir_symbol_t* symbols) {
    uint32_t count = 0;
    for (size_t i = 0; i < bytes; ++i) {
        const int32_t id = tokenizer->byte_ids[word[i]];
        if (id >= 0) {
            symbols[count] = (llmir_symbol_t){(uint32_t)id, count - 1, count + 1};
            ++count;
        }
    }
    if (count > 0) {
        symbols[0].prev = LLMIR_SYMBOL_NONE;
        symbols[count - 1].next = LLMIR_SYMBOL_NONE;
    }
    return count;
}

static llmir_status_t encode_word(llmir_tokenizer_work_t* work, const uint8_t* word, size_t bytes) {
    const uint32_t whole = llmir_tokenizer_find_word(work->tokenizer, word, bytes);
    if (whole != LLMIR_NO_TOKEN) {
        llmir_work_emit(work, whole);
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_work_reserve(work, &work->symbols, bytes * sizeof(llmir_symbol_t)));
    llmir_merge_run_t run = {work, work->symbols.data, NULL, 0, bpe_pair};
    if (make_symbols(work->tokenizer, word, bytes, run.symbols) == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_merge_all(&run));
    for (uint32_t at = 0; at != LLMIR_SYMBOL_NONE; at = run.symbols[at].next) {
        llmir_work_emit(work, run.symbols[at].id);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_bpe_encode(llmir_tokenizer_work_t* work, const uint8_t* text, size_t bytes) {
    if (work->tokenizer->flags & LLMIR_TOKENIZER_NFC) {
        LLMIR_TRY(llmir_nfc_normalise(work, &text, &bytes));
    }
    for (size_t at = 0; at < bytes;) {
        const size_t end = llmir_pretokenizer_next(work->tokenizer, text, bytes, at);
        LLMIR_TRY(encode_word(work, text + at, end - at));
        at = end;
    }
    return LLMIR_STATUS_OK;
}
