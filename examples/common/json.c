/* JSON strings. */
#include "common/json.h"

/* Length of the valid UTF-8 character at the start of `text`, 0 if there is none. */
static size_t character_bytes(const unsigned char* text, size_t bytes) {
    const unsigned char lead = text[0];
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : (lead & 0xF0) == 0xE0       ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    if (length == 0 || length > bytes) {
        return 0;
    }
    for (size_t i = 1; i < length; ++i) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    const unsigned char second = length > 1 ? text[1] : 0x80;
    const int bad = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
                    (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
    return bad ? 0 : length;
}

void json_write_string(FILE* stream, const char* text, size_t bytes) {
    const unsigned char* cursor = (const unsigned char*)text;
    const unsigned char* end = cursor + bytes;
    fputc('"', stream);
    while (cursor < end) {
        const size_t length = character_bytes(cursor, (size_t)(end - cursor));
        if (length == 0) {
            fputs("\\ufffd", stream);
            ++cursor;
        } else if (*cursor == '"' || *cursor == '\\') {
            fprintf(stream, "\\%c", *cursor++);
        } else if (*cursor < 0x20 || *cursor == 0x7F) {
            fprintf(stream, "\\u%04x", *cursor++);
        } else {
            fwrite(cursor, 1, length, stream);
            cursor += length;
        }
    }
    fputc('"', stream);
}
