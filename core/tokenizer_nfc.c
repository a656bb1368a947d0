/* Unicode normalisation form C (UAX #15), for vocabularies whose reference normalises text first.
 *
 * A character without LLMIR_CHAR_NFC is a starter that nothing before it can change, so the text
 * falls into segments that begin with such a character. Segments of one character are copied;
 * others are decomposed, brought into canonical order and composed. Bytes that are not UTF-8 pass
 * through. Linear: marks are ordered by counting when there are many. */
#include "core/tokenizer_internal.h"

#define LLMIR_HANGUL_FIRST 0xac00u
#define LLMIR_HANGUL_COUNT 11172u
#define LLMIR_HANGUL_L 0x1100u
#define LLMIR_HANGUL_V 0x1161u
#define LLMIR_HANGUL_T 0x11a7u /* one before the first trailing consonant */
#define LLMIR_HANGUL_L_COUNT 19u
#define LLMIR_HANGUL_V_COUNT 21u
#define LLMIR_HANGUL_T_COUNT 28u

#define LLMIR_NFC_INSERTION_MAX 32u

typedef struct llmir_nfc_code {
    uint32_t code; /* as llmir_utf8_next() gives it */
    uint32_t combining_class;
} llmir_nfc_code_t;

/* The state of one text. */
typedef struct llmir_nfc_run {
    llmir_tokenizer_work_t* work;
    const uint8_t* text;
    size_t out_bytes; /* written to work->text so far */
    size_t count;     /* codes of the segment in work->codes */
} llmir_nfc_run_t;

static const llmir_nfc_char_t* find_char(const llmir_tokenizer_t* tokenizer, uint32_t code) {
    uint32_t low = 0;
    uint32_t high = tokenizer->nfc_char_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (tokenizer->nfc_chars[middle].code < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const llmir_nfc_char_t* found = tokenizer->nfc_chars + low;
    return low < tokenizer->nfc_char_count && found->code == code ? found : NULL;
}

static uint32_t combining_class(const llmir_tokenizer_t* tokenizer, uint32_t code) {
    const llmir_nfc_char_t* found = find_char(tokenizer, code);
    return found != NULL ? found->combining_class : 0;
}

/* The primary composite of two codes or 0. */
static uint32_t compose_pair(const llmir_tokenizer_t* tokenizer, uint32_t first, uint32_t second) {
    const uint32_t l = first - LLMIR_HANGUL_L;
    const uint32_t v = second - LLMIR_HANGUL_V;
    if (l < LLMIR_HANGUL_L_COUNT && v < LLMIR_HANGUL_V_COUNT) {
        return LLMIR_HANGUL_FIRST + (l * LLMIR_HANGUL_V_COUNT + v) * LLMIR_HANGUL_T_COUNT;
    }
    const uint32_t syllable = first - LLMIR_HANGUL_FIRST;
    const uint32_t t = second - LLMIR_HANGUL_T;
    if (syllable < LLMIR_HANGUL_COUNT && syllable % LLMIR_HANGUL_T_COUNT == 0 && t > 0 &&
        t < LLMIR_HANGUL_T_COUNT) {
        return first + t;
    }
    uint32_t low = 0;
    uint32_t high = tokenizer->nfc_pair_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const llmir_nfc_pair_t* pair = tokenizer->nfc_pairs + middle;
        if (pair->first < first || (pair->first == first && pair->second < second)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const llmir_nfc_pair_t* found = tokenizer->nfc_pairs + low;
    const int equal =
        low < tokenizer->nfc_pair_count && found->first == first && found->second == second;
    return equal ? found->composed : 0;
}

static llmir_status_t append_code(llmir_nfc_run_t* run, uint32_t code, uint32_t ccc) {
    llmir_work_buffer_t* codes = &run->work->codes;
    LLMIR_TRY(llmir_work_reserve(run->work, codes, (run->count + 1) * sizeof(llmir_nfc_code_t)));
    ((llmir_nfc_code_t*)codes->data)[run->count++] = (llmir_nfc_code_t){code, ccc};
    return LLMIR_STATUS_OK;
}

static llmir_status_t decompose(llmir_nfc_run_t* run, uint32_t code) {
    const llmir_tokenizer_t* tokenizer = run->work->tokenizer;
    const uint32_t syllable = code - LLMIR_HANGUL_FIRST;
    if (syllable < LLMIR_HANGUL_COUNT) {
        const uint32_t t = syllable % LLMIR_HANGUL_T_COUNT;
        const uint32_t lv = syllable / LLMIR_HANGUL_T_COUNT;
        LLMIR_TRY(append_code(run, LLMIR_HANGUL_L + lv / LLMIR_HANGUL_V_COUNT, 0));
        LLMIR_TRY(append_code(run, LLMIR_HANGUL_V + lv % LLMIR_HANGUL_V_COUNT, 0));
        return t > 0 ? append_code(run, LLMIR_HANGUL_T + t, 0) : LLMIR_STATUS_OK;
    }
    const llmir_nfc_char_t* found = find_char(tokenizer, code);
    if (found == NULL || found->length == 0) {
        return append_code(run, code, found != NULL ? found->combining_class : 0);
    }
    for (uint32_t i = 0; i < found->length; ++i) {
        const uint32_t part = tokenizer->nfc_pool[found->first + i];
        LLMIR_TRY(append_code(run, part, combining_class(tokenizer, part)));
    }
    return LLMIR_STATUS_OK;
}

/* Sorts marks by combining class, stable. */
static llmir_status_t sort_marks(llmir_nfc_run_t* run, llmir_nfc_code_t* marks, size_t count) {
    if (count <= LLMIR_NFC_INSERTION_MAX) {
        for (size_t i = 1; i < count; ++i) {
            const llmir_nfc_code_t mark = marks[i];
            size_t hole = i;
            for (; hole > 0 && marks[hole - 1].combining_class > mark.combining_class; --hole) {
                marks[hole] = marks[hole - 1];
            }
            marks[hole] = mark;
        }
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_work_reserve(run->work, &run->work->codes_too, count * sizeof(*marks)));
    llmir_nfc_code_t* sorted = run->work->codes_too.data;
    size_t begin[257] = {0}; /* classes are bytes */
    for (size_t i = 0; i < count; ++i) {
        ++begin[marks[i].combining_class + 1];
    }
    for (size_t i = 1; i < 257; ++i) {
        begin[i] += begin[i - 1];
    }
    for (size_t i = 0; i < count; ++i) {
        sorted[begin[marks[i].combining_class]++] = marks[i];
    }
    memcpy(marks, sorted, count * sizeof(*marks));
    return LLMIR_STATUS_OK;
}

static llmir_status_t order(llmir_nfc_run_t* run) {
    llmir_nfc_code_t* codes = run->work->codes.data;
    for (size_t begin = 0; begin < run->count;) {
        size_t end = begin;
        while (end < run->count && codes[end].combining_class != 0) {
            ++end;
        }
        if (end > begin + 1) {
            LLMIR_TRY(sort_marks(run, codes + begin, end - begin));
        }
        begin = end + 1;
    }
    return LLMIR_STATUS_OK;
}

/* Composes in place: a code joins the last starter unless something of its own class or a higher
 * one, or another starter, stands between. */
static void compose(llmir_nfc_run_t* run) {
    llmir_nfc_code_t* codes = run->work->codes.data;
    llmir_nfc_code_t* starter = NULL;
    int64_t last_class = -1; /* of what was kept after the starter */
    size_t kept = 0;
    for (size_t i = 0; i < run->count; ++i) {
        const llmir_nfc_code_t code = codes[i];
        if (starter != NULL && last_class < (int64_t)code.combining_class) {
            const uint32_t composed = compose_pair(run->work->tokenizer, starter->code, code.code);
            if (composed != 0) {
                starter->code = composed;
                continue;
            }
        }
        codes[kept] = code;
        last_class = code.combining_class;
        if (code.combining_class == 0) {
            starter = codes + kept;
            last_class = -1;
        }
        ++kept;
    }
    run->count = kept;
}

static size_t utf8_write(uint32_t code, uint8_t* out) {
    if (code >= LLMIR_CODE_INVALID) { /* an invalid byte as it was */
        out[0] = (uint8_t)(code - LLMIR_CODE_INVALID);
        return 1;
    }
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    const size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; --i) {
        out[i] = (uint8_t)(0x80u | (code & 0x3fu));
        code >>= 6;
    }
    out[0] = (uint8_t)(lead[length] | code);
    return length;
}

/* Writes the segment [begin, end); `changes` if it holds more than one plain starter. */
static llmir_status_t write_segment(llmir_nfc_run_t* run, size_t begin, size_t end, int changes) {
    llmir_work_buffer_t* out = &run->work->text;
    if (!changes) {
        LLMIR_TRY(llmir_work_reserve(run->work, out, run->out_bytes + (end - begin)));
        memcpy((uint8_t*)out->data + run->out_bytes, run->text + begin, end - begin);
        run->out_bytes += end - begin;
        return LLMIR_STATUS_OK;
    }
    run->count = 0;
    while (begin < end) {
        uint32_t code;
        begin += llmir_utf8_next(run->text + begin, end - begin, &code);
        LLMIR_TRY(decompose(run, code));
    }
    LLMIR_TRY(order(run));
    compose(run);
    LLMIR_TRY(llmir_work_reserve(run->work, out, run->out_bytes + 4 * run->count));
    const llmir_nfc_code_t* codes = run->work->codes.data;
    for (size_t i = 0; i < run->count; ++i) {
        run->out_bytes += utf8_write(codes[i].code, (uint8_t*)out->data + run->out_bytes);
    }
    return LLMIR_STATUS_OK;
}

static int may_change(const llmir_tokenizer_t* tokenizer, const uint8_t* text, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        at += llmir_utf8_next(text + at, bytes - at, &code);
        if (llmir_char_flags(tokenizer, code) & LLMIR_CHAR_NFC) {
            return 1;
        }
    }
    return 0;
}

llmir_status_t llmir_nfc_normalise(llmir_tokenizer_work_t* work,
                                   const uint8_t** inout_text,
                                   size_t* inout_bytes) {
    const size_t bytes = *inout_bytes;
    if (!may_change(work->tokenizer, *inout_text, bytes)) {
        return LLMIR_STATUS_OK;
    }
    llmir_nfc_run_t run = {work, *inout_text, 0, 0};
    size_t segment = 0;
    int changes = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        const uint32_t length = llmir_utf8_next(run.text + at, bytes - at, &code);
        if (llmir_char_flags(work->tokenizer, code) & LLMIR_CHAR_NFC) {
            changes = 1;
        } else if (at > segment) {
            LLMIR_TRY(write_segment(&run, segment, at, changes));
            segment = at;
            changes = 0;
        }
        at += length;
    }
    LLMIR_TRY(write_segment(&run, segment, bytes, changes));
    *inout_text = work->text.data;
    *inout_bytes = run.out_bytes;
    return LLMIR_STATUS_OK;
}
