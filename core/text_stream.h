/* The text of a generation as a stream of valid UTF-8. Bytes of tokens go in; out comes what is
 * certain: whole characters that cannot become part of a stop string any more. The result depends
 * on the bytes alone, not on how tokens cut them. Nothing is allocated. */
#ifndef LLMIR_TEXT_STREAM_H
#define LLMIR_TEXT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "llmir.h"

/* Stop strings, copied. Valid UTF-8, 1 .. LLMIR_MAX_STOP_BYTES bytes each. */
typedef struct llmir_stop_set {
    uint32_t count;
    uint8_t bytes[LLMIR_MAX_STOP_STRINGS];
    char text[LLMIR_MAX_STOP_STRINGS][LLMIR_MAX_STOP_BYTES];
} llmir_stop_set_t;

/* A character that is being read: WHATWG's UTF-8 decoder. */
typedef struct llmir_utf8_state {
    uint8_t bytes[4];
    uint8_t have;  /* bytes read of the character */
    uint8_t need;  /* bytes of the whole character; 0 between characters */
    uint8_t lower; /* bounds of the next byte */
    uint8_t upper;
} llmir_utf8_state_t;

typedef struct llmir_text_stream {
    const llmir_stop_set_t* stops;
    char* buffer; /* [0, taken) was given out, [taken, ready) is certain, [ready, end) held back */
    size_t capacity;
    size_t taken;
    size_t ready;
    size_t end;
    llmir_utf8_state_t utf8;
    int32_t stopped; /* a stop string was met; no more bytes are taken in */
} llmir_text_stream_t;

/* Bytes of buffer that a stream needs whose pushes bring at most `push_bytes` bytes each: every
 * byte may become a U+FFFD of three, beside what is held back. */
#define LLMIR_TEXT_STREAM_BYTES(push_bytes) (3u * (push_bytes) + LLMIR_MAX_STOP_BYTES + 8u)

/* Copies and checks stop strings. Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_stop_set_init(llmir_stop_set_t* stops,
                                   const char* const* strings,
                                   uint32_t count,
                                   llmir_error_t* error);

/* Begins an empty stream over the caller's buffer; `stops` and `buffer` must outlive it. */
void llmir_text_stream_init(llmir_text_stream_t* stream,
                            const llmir_stop_set_t* stops,
                            char* buffer,
                            size_t capacity);

/* Forgets all text. */
void llmir_text_stream_reset(llmir_text_stream_t* stream);

/* Appends bytes of any kind. Returns 1 if a stop string was completed: the text before it is ready,
 * the rest is gone. Text taken before becomes invalid. */
int llmir_text_stream_push(llmir_text_stream_t* stream, const uint8_t* bytes, size_t count);

/* No more bytes will come: everything held back becomes ready, a cut character as U+FFFD. */
void llmir_text_stream_flush(llmir_text_stream_t* stream);

/* Gives out the ready text; never NULL, valid until the next push, flush or reset. */
const char* llmir_text_stream_take(llmir_text_stream_t* stream, size_t* out_bytes);

/* Whether the bytes are valid UTF-8. */
int llmir_utf8_is_valid(const char* bytes, size_t count);

#endif /* LLMIR_TEXT_STREAM_H */
