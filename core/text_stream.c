/* Streaming of generated text. A byte passes two stages: the UTF-8 decoder, which turns each
 * maximal part of an invalid sequence into one U+FFFD (Unicode, "substitution of maximal subparts",
 * as WHATWG's decoder does), and the search for stop strings, which looks at the end of the text
 * after every byte. */
#include "core/text_stream.h"

#include <string.h>

/* ---- UTF-8 ---- */

typedef enum utf8_result {
    UTF8_MORE = 0,    /* the byte was taken, the character is not complete */
    UTF8_CHARACTER,   /* the byte completed the character in `bytes` */
    UTF8_INVALID,     /* the byte begins no character */
    UTF8_INTERRUPTED, /* what was read is cut; the byte was not taken */
} utf8_result_t;

static utf8_result_t utf8_begin(llmir_utf8_state_t* state, uint8_t byte) {
    *state = (llmir_utf8_state_t){.bytes = {byte}, .have = 1, .lower = 0x80, .upper = 0xbf};
    if (byte < 0x80) {
        state->have = 0;
        return UTF8_CHARACTER;
    }
    if (byte >= 0xc2 && byte <= 0xdf) {
        state->need = 2;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        state->need = 3;
        state->lower = byte == 0xe0 ? 0xa0 : 0x80; /* no overlong forms */
        state->upper = byte == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        state->need = 4;
        state->lower = byte == 0xf0 ? 0x90 : 0x80;
        state->upper = byte == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
    } else {
        *state = (llmir_utf8_state_t){0};
        return UTF8_INVALID;
    }
    return UTF8_MORE;
}

/* After UTF8_CHARACTER `bytes` holds it: need bytes, or 1 if need is 0. */
static utf8_result_t utf8_step(llmir_utf8_state_t* state, uint8_t byte) {
    if (state->have == 0) {
        return utf8_begin(state, byte);
    }
    if (byte < state->lower || byte > state->upper) {
        state->have = 0;
        return UTF8_INTERRUPTED;
    }
    state->bytes[state->have++] = byte;
    state->lower = 0x80;
    state->upper = 0xbf;
    if (state->have < state->need) {
        return UTF8_MORE;
    }
    state->have = 0;
    return UTF8_CHARACTER;
}

int llmir_utf8_is_valid(const char* bytes, size_t count) {
    llmir_utf8_state_t state = {0};
    for (size_t i = 0; i < count; ++i) {
        const utf8_result_t result = utf8_step(&state, (uint8_t)bytes[i]);
        if (result == UTF8_INVALID || result == UTF8_INTERRUPTED) {
            return 0;
        }
    }
    return state.have == 0;
}

/* ---- Stop strings ---- */

llmir_status_t llmir_stop_set_init(llmir_stop_set_t* stops,
                                   const char* const* strings,
                                   uint32_t count,
                                   llmir_error_t* error) {
    memset(stops, 0, sizeof(*stops));
    if (count > LLMIR_MAX_STOP_STRINGS || (count != 0 && strings == NULL)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "stop strings: %u, at most %u (or the array is NULL)", count,
                          LLMIR_MAX_STOP_STRINGS);
    }
    for (uint32_t i = 0; i < count; ++i) {
        const char* end =
            strings[i] != NULL ? memchr(strings[i], 0, LLMIR_MAX_STOP_BYTES + 1u) : NULL;
        const size_t bytes = end != NULL ? (size_t)(end - strings[i]) : 0;
        if (bytes == 0 || !llmir_utf8_is_valid(strings[i], bytes)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "stop string %u: expected 1 to %u bytes of UTF-8", i,
                              LLMIR_MAX_STOP_BYTES);
        }
        memcpy(stops->text[i], strings[i], bytes);
        stops->bytes[i] = (uint8_t)bytes;
    }
    stops->count = count;
    return LLMIR_STATUS_OK;
}

/* Bytes of the longest stop string that ends the held text; 0 if none does. */
static size_t completed_stop(const llmir_text_stream_t* stream) {
    const llmir_stop_set_t* stops = stream->stops;
    size_t longest = 0;
    for (uint32_t i = 0; i < stops->count; ++i) {
        const size_t bytes = stops->bytes[i];
        if (bytes > longest && bytes <= stream->end - stream->taken &&
            memcmp(stream->buffer + stream->end - bytes, stops->text[i], bytes) == 0) {
            longest = bytes;
        }
    }
    return longest;
}

/* Bytes at the end of the text that begin a stop string: the longest such end. */
static size_t unfinished_stop(const llmir_text_stream_t* stream) {
    const llmir_stop_set_t* stops = stream->stops;
    size_t longest = 0;
    for (uint32_t i = 0; i < stops->count; ++i) {
        const size_t held = stream->end - stream->taken;
        size_t bytes = stops->bytes[i] - 1u < held ? stops->bytes[i] - 1u : held;
        for (; bytes > longest; --bytes) {
            if (memcmp(stream->buffer + stream->end - bytes, stops->text[i], bytes) == 0) {
                longest = bytes;
            }
        }
    }
    return longest;
}

/* ---- The stream ---- */

void llmir_text_stream_init(llmir_text_stream_t* stream,
                            const llmir_stop_set_t* stops,
                            char* buffer,
                            size_t capacity) {
    *stream = (llmir_text_stream_t){.stops = stops, .buffer = buffer, .capacity = capacity};
}

void llmir_text_stream_reset(llmir_text_stream_t* stream) {
    llmir_text_stream_init(stream, stream->stops, stream->buffer, stream->capacity);
}

/* Appends bytes of whole characters; the first completed stop string ends the stream. */
static void append(llmir_text_stream_t* stream, const char* bytes, size_t count) {
    for (size_t i = 0; i < count && !stream->stopped && stream->end < stream->capacity; ++i) {
        stream->buffer[stream->end++] = bytes[i];
        const size_t stop = completed_stop(stream);
        if (stop != 0) {
            stream->end -= stop;
            stream->stopped = 1;
        }
    }
}

static void append_replacement(llmir_text_stream_t* stream) {
    append(stream, "\xef\xbf\xbd", 3);
}

static void append_byte(llmir_text_stream_t* stream, uint8_t byte) {
    llmir_utf8_state_t* utf8 = &stream->utf8;
    utf8_result_t result = utf8_step(utf8, byte);
    if (result == UTF8_INTERRUPTED) {
        append_replacement(stream);
        result = utf8_step(utf8, byte);
    }
    if (result == UTF8_INVALID) {
        append_replacement(stream);
    } else if (result == UTF8_CHARACTER) {
        append(stream, (const char*)utf8->bytes, utf8->need != 0 ? utf8->need : 1u);
    }
}

static void drop_taken(llmir_text_stream_t* stream) {
    memmove(stream->buffer, stream->buffer + stream->taken, stream->end - stream->taken);
    stream->end -= stream->taken;
    stream->ready -= stream->taken;
    stream->taken = 0;
}

int llmir_text_stream_push(llmir_text_stream_t* stream, const uint8_t* bytes, size_t count) {
    drop_taken(stream);
    for (size_t i = 0; i < count && !stream->stopped; ++i) {
        append_byte(stream, bytes[i]);
    }
    stream->ready = stream->stopped ? stream->end : stream->end - unfinished_stop(stream);
    return stream->stopped;
}

void llmir_text_stream_flush(llmir_text_stream_t* stream) {
    drop_taken(stream);
    if (stream->utf8.have != 0) {
        stream->utf8.have = 0;
        append_replacement(stream);
    }
    stream->ready = stream->end;
}

const char* llmir_text_stream_take(llmir_text_stream_t* stream, size_t* out_bytes) {
    const char* text = stream->buffer != NULL ? stream->buffer + stream->taken : "";
    *out_bytes = stream->ready - stream->taken;
    stream->taken = stream->ready;
    return text;
}
