/* Pre-tokenizers: where words end. Each is a hand-written matcher of the regular expression that
 * the reference uses; the alternatives are tried in the order of the expression. \s is White_Space,
 * L and N the general categories. A byte that is not UTF-8 is a character of no category.
 *
 * A call looks past the end that it returns only within one run of white space, and such a run is
 * cut at most twice, so that splitting a text is linear. */
#include "core/tokenizer_internal.h"

#define LLMIR_CHAR_WORD (LLMIR_CHAR_LETTER | LLMIR_CHAR_NUMBER | LLMIR_CHAR_SPACE)

typedef struct llmir_scan {
    const llmir_tokenizer_t* tokenizer;
    const uint8_t* text;
    size_t bytes;
} llmir_scan_t;

/* A character in place: what it is and where the next one begins. At the end of the text: nothing,
 * with flags that no run accepts. */
typedef struct llmir_scan_char {
    uint32_t flags;
    size_t end;
} llmir_scan_char_t;
#define LLMIR_SCAN_END 0x80000000u

static llmir_scan_char_t char_at(const llmir_scan_t* scan, size_t at) {
    llmir_scan_char_t c = {LLMIR_SCAN_END, at};
    if (at < scan->bytes) {
        uint32_t code;
        c.end = at + llmir_utf8_next(scan->text + at, scan->bytes - at, &code);
        c.flags = llmir_char_flags(scan->tokenizer, code) & LLMIR_CHAR_WORD;
    }
    return c;
}

/* The end of the run of characters that begins at `at` and whose flags equal `flags` (0: neither
 * letter nor number nor space); at most `limit` characters. */
static size_t run_end(const llmir_scan_t* scan, size_t at, uint32_t flags, size_t limit) {
    for (; limit > 0; --limit) {
        const llmir_scan_char_t c = char_at(scan, at);
        if (c.flags != flags) {
            break;
        }
        at = c.end;
    }
    return at;
}

static int is_newline(uint8_t byte) {
    return byte == '\n' || byte == '\r';
}

/* A run of white space: its end, where its last character begins, and the end of its last CR or LF
 * (or where the run begins). */
typedef struct llmir_space_run {
    size_t end;
    size_t last;
    size_t newline_end;
} llmir_space_run_t;

static llmir_space_run_t space_run(const llmir_scan_t* scan, size_t at) {
    llmir_space_run_t run = {at, at, at};
    for (;;) {
        const llmir_scan_char_t c = char_at(scan, run.end);
        if (c.flags != LLMIR_CHAR_SPACE) {
            return run;
        }
        run.last = run.end;
        run.end = c.end;
        if (is_newline(scan->text[run.last])) {
            run.newline_end = run.end;
        }
    }
}

/* \s+(?!\S)|\s+ : the run, less its last character if a word follows and others are left. */
static size_t trailing_space_end(const llmir_space_run_t* run, size_t at, int at_text_end) {
    return at_text_end || run->last == at ? run->end : run->last;
}

/* 's|'t|'re|'ve|'m|'ll|'d at an apostrophe: the length or 0. Without regard to case, U+017F (long
 * s, 0xc5 0xbf) is an s too: simple case folding takes it there. */
static size_t contraction(const llmir_scan_t* scan, size_t at, int ignore_case) {
    const uint8_t fold = ignore_case ? 0x20 : 0;
    const size_t left = scan->bytes - at;
    if (left < 2) {
        return 0;
    }
    const uint8_t a = scan->text[at + 1] | fold;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
        return 2;
    }
    if (left < 3) {
        return 0;
    }
    if (ignore_case && scan->text[at + 1] == 0xc5 && scan->text[at + 2] == 0xbf) {
        return 3;
    }
    const uint8_t b = scan->text[at + 2] | fold;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * With digits_alone, every \p{N} is cut out first and the expression sees the parts between. */
static size_t gpt2_next(const llmir_scan_t* scan, size_t at, int digits_alone) {
    if (scan->text[at] == '\'') {
        const size_t length = contraction(scan, at, 0);
        if (length > 0) {
            return at + length;
        }
    }
    llmir_scan_char_t c = char_at(scan, at);
    size_t begin = at;
    if (scan->text[at] == ' ') {
        const llmir_scan_char_t next = char_at(scan, at + 1);
        const int joins = digits_alone ? next.flags != LLMIR_CHAR_NUMBER : 1;
        if (joins && next.flags != LLMIR_CHAR_SPACE && next.flags != LLMIR_SCAN_END) {
            begin = at + 1;
            c = next;
        }
    }
    if (c.flags != LLMIR_CHAR_SPACE) {
        const size_t limit = digits_alone && c.flags == LLMIR_CHAR_NUMBER ? 1 : SIZE_MAX;
        return run_end(scan, begin, c.flags, limit);
    }
    const llmir_space_run_t run = space_run(scan, at);
    const uint32_t after = char_at(scan, run.end).flags;
    const int ends = after == LLMIR_SCAN_END || (digits_alone && after == LLMIR_CHAR_NUMBER);
    return trailing_space_end(&run, at, ends);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|
 * \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t llama3_next(const llmir_scan_t* scan, size_t at, size_t digits) {
    if (scan->text[at] == '\'') {
        const size_t length = contraction(scan, at, 1);
        if (length > 0) {
            return at + length;
        }
    }
    const llmir_scan_char_t c = char_at(scan, at);
    if (c.flags == LLMIR_CHAR_LETTER) {
        return run_end(scan, at, LLMIR_CHAR_LETTER, SIZE_MAX);
    }
    if (c.flags == LLMIR_CHAR_NUMBER) {
        return run_end(scan, at, LLMIR_CHAR_NUMBER, digits);
    }
    const uint32_t next = char_at(scan, c.end).flags;
    if (next == LLMIR_CHAR_LETTER && !is_newline(scan->text[at])) {
        return run_end(scan, c.end, LLMIR_CHAR_LETTER, SIZE_MAX);
    }
    if (c.flags == 0 || (scan->text[at] == ' ' && next == 0)) {
        size_t end = run_end(scan, c.end, 0, SIZE_MAX);
        while (end < scan->bytes && is_newline(scan->text[end])) {
            ++end;
        }
        return end;
    }
    const llmir_space_run_t run = space_run(scan, at);
    if (run.newline_end > at) {
        return run.newline_end;
    }
    return trailing_space_end(&run, at, run.end == scan->bytes);
}

size_t llmir_pretokenizer_next(const llmir_tokenizer_t* tokenizer,
                               const uint8_t* text,
                               size_t bytes,
                               size_t at) {
    const llmir_scan_t scan = {tokenizer, text, bytes};
    switch (tokenizer->pretokenizer) {
        case LLMIR_PRETOKENIZER_GPT2:
            return gpt2_next(&scan, at, 0);
        case LLMIR_PRETOKENIZER_SMOLLM:
            return gpt2_next(&scan, at, 1);
        case LLMIR_PRETOKENIZER_LLAMA3:
            return llama3_next(&scan, at, 3);
        case LLMIR_PRETOKENIZER_QWEN2:
            return llama3_next(&scan, at, 1);
        default:
            return bytes;
    }
}
