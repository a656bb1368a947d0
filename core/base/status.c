/* Texts of the status codes, and the one place where error messages are written. A message may
 * quote names from a hostile file, so it leaves here as printable, valid UTF-8. */
#include "core/base/status.h"

#include <stdarg.h>

#include "core/base/format.h"

const char* llmir_status_text(llmir_status_t status) {
    switch (status) {
#define LLMIR_STATUS_CASE(name, value, text) \
    case LLMIR_STATUS_##name:                \
        return text;
        LLMIR_STATUS_LIST(LLMIR_STATUS_CASE)
#undef LLMIR_STATUS_CASE
    }
    return "unknown status";
}

/* Bytes of the UTF-8 sequence that `lead` opens; 0 if it opens none. */
static size_t sequence_bytes(unsigned char lead) {
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead < 0xE0) {
        return 2;
    }
    if (lead >= 0xE0 && lead < 0xF0) {
        return 3;
    }
    return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

/* Whether `text` begins with a whole, valid sequence of `bytes` bytes. The terminator is no
 * continuation byte, so the check ends there. Second bytes that would make an overlong form, a
 * surrogate or a value above U+10FFFF are refused (Unicode 15, table 3-7). */
static int is_sequence(const unsigned char* text, size_t bytes) {
    for (size_t i = 1; i < bytes; ++i) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return !(text[0] == 0xE0 && text[1] < 0xA0) && !(text[0] == 0xED && text[1] > 0x9F) &&
           !(text[0] == 0xF0 && text[1] < 0x90) && !(text[0] == 0xF4 && text[1] > 0x8F);
}

/* Replaces control characters and what is not UTF-8 by '?'. `was_cut`: a sequence left incomplete
 * at the end is dropped instead. */
static void make_printable(char* message, int was_cut) {
    unsigned char* text = (unsigned char*)message;
    while (*text != 0) {
        const size_t bytes = sequence_bytes(*text);
        if (bytes == 1 ? *text >= 0x20 && *text != 0x7F : bytes != 0 && is_sequence(text, bytes)) {
            text += bytes;
            continue;
        }
        size_t tail = 1;
        while (tail < bytes && (text[tail] & 0xC0) == 0x80) {
            ++tail;
        }
        if (was_cut && bytes > 1 && text[tail] == 0) {
            *text = 0;
            return;
        }
        *text++ = '?';
    }
}

#undef llmir_fail /* what analysers see in its place */
llmir_status_t llmir_fail(llmir_error_t* error, llmir_status_t code, const char* format, ...) {
    if (error == NULL) {
        return code;
    }
    error->code = (int32_t)code;
    error->message[0] = 0;
    va_list arguments;
    va_start(arguments, format);
    const int is_whole =
        llmir_format_list(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    make_printable(error->message, !is_whole);
    return code;
}
