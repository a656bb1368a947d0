/* SentencePiece BPE: characters as first symbols; any two neighbours whose text is a token merge,
 * the best score first.
 *
 * Tokens are stored with U+2581 turned into the space that it stands for, so text is matched as it
 * is and only a U+2581 in the text itself needs replacing: SentencePiece cannot tell the two apart
 * either. Text is cut where a space follows a byte that precedes a space in no token; no merge can
 * cross such a place, and the heap stays as small as a word. */
#include "core/tokenizer_internal.h"

#define LLMIR_SPACE_ESCAPE_BYTES 3u

static int is_space_escape(const uint8_t* text, size_t left) {
    return left >= LLMIR_SPACE_ESCAPE_BYTES && text[0] == 0xe2 && text[1] == 0x96 &&
           text[2] == 0x81;
}

llmir_status_t llmir_spm_normalise(llmir_tokenizer_work_t* work,
                                   const uint8_t* text,
                                   size_t bytes,
                                   size_t* out_bytes) {
    const uint32_t flags = work->tokenizer->flags;
    const int trim = (flags & LLMIR_TOKENIZER_TRIM_SPACES) != 0;
    LLMIR_TRY(llmir_work_reserve(work, &work->text, bytes + 1));
    uint8_t* const begin = work->text.data;
    uint8_t* out = begin;
    if (flags & LLMIR_TOKENIZER_SPACE_PREFIX) {
        *out++ = ' ';
    }
    const uint8_t* const first = out;
    int drops_space = trim; /* a space here would be leading, or follow another */
    for (size_t i = 0; i < bytes;) {
        const int escape = is_space_escape(text + i, bytes - i);
        const int is_space = text[i] == ' ';
        if (!is_space || !drops_space) {
            *out++ = escape ? ' ' : text[i];
        }
        drops_space = trim && is_space;
        i += escape ? LLMIR_SPACE_ESCAPE_BYTES : 1u;
    }
    while (trim && out > first && out[-1] == ' ') {
        --out;
    }
    *out_bytes = out == first ? 0 : (size_t)(out - begin); /* nothing needs no prefix */
    return LLMIR_STATUS_OK;
}

size_t llmir_spm_next(const llmir_tokenizer_t* tokenizer,
                      const uint8_t* text,
                      size_t bytes,
                      size_t at) {
    for (size_t i = at + 1; i < bytes; ++i) {
        if (text[i] == ' ' && !llmir_bit_is_set(tokenizer->space_joins, text[i - 1])) {
            return i;
        }
    }
    return bytes;
}

static int spm_pair(const llmir_merge_run_t* run,
                    uint32_t left,
                    uint32_t right,
                    llmir_merge_t* out) {
    const llmir_tokenizer_t* tokenizer = run->work->tokenizer;
    const uint32_t after = run->symbols[right].next;
    const uint32_t end = after == LLMIR_SYMBOL_NONE ? run->bytes : after;
    const uint32_t id = llmir_tokenizer_find(tokenizer, run->text + left, end - left);
    if (id == LLMIR_NO_TOKEN) {
        return 0;
    }
    *out = (llmir_merge_t){tokenizer->token_ranks[id], id};
    return 1;
}

static void make_symbols(llmir_symbol_t* symbols, const uint8_t* text, size_t bytes) {
    uint32_t prev = LLMIR_SYMBOL_NONE;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        const size_t next = at + llmir_utf8_next(text + at, bytes - at, &code);
        const uint32_t link = next < bytes ? (uint32_t)next : LLMIR_SYMBOL_NONE;
        symbols[at] = (llmir_symbol_t){LLMIR_NO_TOKEN, prev, link};
        prev = (uint32_t)at;
        at = next;
    }
}

static llmir_status_t encode_piece(llmir_tokenizer_work_t* work,
                                   const uint8_t* text,
                                   size_t bytes) {
    const uint32_t whole = llmir_tokenizer_find_word(work->tokenizer, text, bytes);
    if (whole != LLMIR_NO_TOKEN) {
        llmir_work_emit(work, whole);
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_work_reserve(work, &work->symbols, bytes * sizeof(llmir_symbol_t)));
    llmir_merge_run_t run = {work, work->symbols.data, text, (uint32_t)bytes, spm_pair};
    make_symbols(run.symbols, text, bytes);
    LLMIR_TRY(llmir_merge_all(&run));
    for (uint32_t at = 0; at != LLMIR_SYMBOL_NONE; at = run.symbols[at].next) {
        const uint32_t after = run.symbols[at].next;
        const size_t end = after == LLMIR_SYMBOL_NONE ? bytes : after;
        uint32_t id = run.symbols[at].id;
        if (id == LLMIR_NO_TOKEN) { /* a character that took part in no merge */
            id = llmir_tokenizer_find(work->tokenizer, text + at, end - at);
        }
        if (id == LLMIR_NO_TOKEN) {
            llmir_work_emit_fallback(work, text + at, end - at);
        } else {
            llmir_work_emit(work, id);
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_spm_encode(llmir_tokenizer_work_t* work, const uint8_t* text, size_t bytes) {
    LLMIR_TRY(llmir_spm_normalise(work, text, bytes, &bytes));
    text = work->text.data;
    for (size_t at = 0; at < bytes;) {
        const size_t end = llmir_spm_next(work->tokenizer, text, bytes, at);
        LLMIR_TRY(encode_piece(work, text + at, end - at));
        at = end;
    }
    return LLMIR_STATUS_OK;
}
