/* Reading JSON by recursive descent with a bounded depth. */
#include "core/grammar/json_reader.h"

#include "core/grammar/grammar_ast.h"

#define MAX_DEPTH 64u
#define MAX_BYTES (1u << 20)

typedef struct json_reader {
    llmir_json_t* json;
    const char* text;
    size_t bytes;
    size_t at;
    uint32_t depth;
    llmir_error_t* error;
} json_reader_t;

static llmir_status_t fail_at(const json_reader_t* reader, const char* expected) {
    uint32_t line = 0;
    uint32_t column = 0;
    llmir_ast_position(reader->text, reader->at, &line, &column);
    return llmir_fail(reader->error, LLMIR_STATUS_INVALID_ARGUMENT,
                      "JSON: line %u, column %u: expected %s", line, column, expected);
}

static char peek(const json_reader_t* reader) {
    if (reader->at == reader->bytes) {
        return '\0';
    }
    return reader->text[reader->at];
}

static int take(json_reader_t* reader, char wanted) {
    if (reader->at >= reader->bytes || reader->text[reader->at] != wanted) {
        return 0;
    }
    reader->at += 1u;
    return 1;
}

static void skip_space(json_reader_t* reader) {
    while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n' ||
           peek(reader) == '\r') {
        reader->at += 1u;
    }
}

static llmir_status_t add_node(json_reader_t* reader, uint32_t kind, uint32_t* out) {
    const llmir_json_node_t node = {.kind = kind,
                                    .offset = (uint32_t)reader->at,
                                    .first_child = LLMIR_JSON_NONE,
                                    .next = LLMIR_JSON_NONE};
    *out = (uint32_t)reader->json->nodes.count;
    return llmir_vector_append(&reader->json->nodes, &node, 1, "JSON", reader->error);
}

static llmir_json_node_t* node_at(const json_reader_t* reader, uint32_t index) {
    return llmir_vector_at(&reader->json->nodes, index);
}

/* ---- Strings ---- */

static llmir_status_t append(json_reader_t* reader, const void* bytes, size_t count) {
    return llmir_vector_append(&reader->json->strings, bytes, count, "JSON", reader->error);
}

static llmir_status_t read_hex4(json_reader_t* reader, uint32_t* out) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    *out = 0;
    for (int i = 0; i < 4; ++i) {
        const char* found = memchr(digits, peek(reader), sizeof(digits) - 1u);
        if (found == NULL) {
            return fail_at(reader, "a hexadecimal digit");
        }
        *out = *out << 4 | ((uint32_t)(found - digits) & 15u);
        reader->at += 1u;
    }
    return LLMIR_STATUS_OK;
}

/* The digits behind \u, or two such escapes for a character beyond the first 65536. */
static llmir_status_t read_unicode(json_reader_t* reader) {
    uint8_t utf8[4];
    uint32_t c = 0;
    uint32_t low = 0;
    LLMIR_TRY(read_hex4(reader, &c));
    if (c >= 0xd800 && c <= 0xdbff && take(reader, '\\') && take(reader, 'u')) {
        LLMIR_TRY(read_hex4(reader, &low));
        c = low >= 0xdc00 && low <= 0xdfff ? 0x10000u + ((c - 0xd800u) << 10) + (low - 0xdc00u) : c;
    }
    if (c >= 0xd800 && c <= 0xdfff) {
        return fail_at(reader, "the other half of a surrogate pair");
    }
    return append(reader, utf8, llmir_utf8_put(c, utf8));
}

static llmir_status_t read_escape(json_reader_t* reader) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char* found = memchr(names, peek(reader), sizeof(names) - 1u);
    if (take(reader, 'u')) {
        return read_unicode(reader);
    }
    if (found == NULL) {
        return fail_at(reader, "an escape: \" \\ / b f n r t u");
    }
    reader->at += 1u;
    return append(reader, &values[found - names], 1);
}

static llmir_status_t read_string(json_reader_t* reader, uint32_t* out) {
    LLMIR_TRY(add_node(reader, LLMIR_JSON_STRING, out));
    const uint32_t begin = (uint32_t)reader->json->strings.count;
    if (!take(reader, '"')) {
        return fail_at(reader, "a string");
    }
    while (!take(reader, '"')) {
        const char c = peek(reader);
        if ((uint8_t)c < 0x20) {
            return fail_at(reader, "the string's end on its line");
        }
        reader->at += 1u;
        LLMIR_TRY(c == '\\' ? read_escape(reader) : append(reader, &c, 1));
    }
    llmir_json_node_t* node = node_at(reader, *out);
    node->text_bytes = (uint32_t)reader->at - node->offset;
    node->value_begin = begin;
    node->value_bytes = (uint32_t)reader->json->strings.count - begin;
    return LLMIR_STATUS_OK;
}

/* ---- Values ---- */

static int take_digits(json_reader_t* reader) {
    const size_t begin = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        reader->at += 1u;
    }
    return reader->at != begin;
}

static llmir_status_t read_number(json_reader_t* reader, uint32_t* out) {
    LLMIR_TRY(add_node(reader, LLMIR_JSON_NUMBER, out));
    (void)take(reader, '-');
    int is_valid = take(reader, '0') || take_digits(reader);
    if (is_valid && take(reader, '.')) {
        is_valid = take_digits(reader);
    }
    if (is_valid && (take(reader, 'e') || take(reader, 'E'))) {
        (void)(take(reader, '+') || take(reader, '-'));
        is_valid = take_digits(reader);
    }
    llmir_json_node_t* node = node_at(reader, *out);
    node->text_bytes = (uint32_t)reader->at - node->offset;
    return is_valid ? LLMIR_STATUS_OK : fail_at(reader, "a value");
}

static llmir_status_t read_word(json_reader_t* reader, uint32_t* out) {
    static const struct {
        const char* word;
        uint32_t kind;
    } words[] = {{"null", LLMIR_JSON_NULL}, {"false", LLMIR_JSON_FALSE}, {"true", LLMIR_JSON_TRUE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i) {
        const size_t count = strlen(words[i].word);
        if (reader->bytes - reader->at >= count &&
            memcmp(reader->text + reader->at, words[i].word, count) == 0) {
            LLMIR_TRY(add_node(reader, words[i].kind, out));
            reader->at += count;
            node_at(reader, *out)->text_bytes = (uint32_t)count;
            return LLMIR_STATUS_OK;
        }
    }
    return read_number(reader, out);
}

static llmir_status_t read_value(json_reader_t* reader, uint32_t* out);

static llmir_status_t read_member(json_reader_t* reader, uint32_t* out) {
    uint32_t value = 0;
    LLMIR_TRY(read_string(reader, out));
    skip_space(reader);
    if (!take(reader, ':')) {
        return fail_at(reader, "':'");
    }
    LLMIR_TRY(read_value(reader, &value));
    node_at(reader, *out)->first_child = value;
    return LLMIR_STATUS_OK;
}

/* The elements of an array or the members of an object, behind the opening bracket. */
static llmir_status_t read_children(json_reader_t* reader, uint32_t parent, char end) {
    uint32_t last = LLMIR_JSON_NONE;
    skip_space(reader);
    if (take(reader, end)) {
        return LLMIR_STATUS_OK;
    }
    do {
        uint32_t child = 0;
        skip_space(reader);
        LLMIR_TRY(end == '}' ? read_member(reader, &child) : read_value(reader, &child));
        *(last == LLMIR_JSON_NONE ? &node_at(reader, parent)->first_child
                                  : &node_at(reader, last)->next) = child;
        last = child;
        skip_space(reader);
    } while (take(reader, ','));
    return take(reader, end) ? LLMIR_STATUS_OK
                             : fail_at(reader, end == '}' ? "',' or '}'" : "',' or ']'");
}

static llmir_status_t read_value(json_reader_t* reader, uint32_t* out) {
    skip_space(reader);
    const char c = peek(reader);
    if (c == '"') {
        return read_string(reader, out);
    }
    if (c != '{' && c != '[') {
        return read_word(reader, out);
    }
    if (reader->depth == MAX_DEPTH) {
        return fail_at(reader, "at most 64 values inside each other");
    }
    LLMIR_TRY(add_node(reader, c == '{' ? LLMIR_JSON_OBJECT : LLMIR_JSON_ARRAY, out));
    reader->at += 1u;
    reader->depth += 1u;
    LLMIR_TRY(read_children(reader, *out, c == '{' ? '}' : ']'));
    reader->depth -= 1u;
    node_at(reader, *out)->text_bytes = (uint32_t)reader->at - node_at(reader, *out)->offset;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_json_read(const llmir_allocator_t* allocator,
                               const char* text,
                               size_t bytes,
                               llmir_json_t* out,
                               llmir_error_t* error) {
    json_reader_t reader = {out, text, bytes, 0, 0, error};
    uint32_t root = 0;
    *out = (llmir_json_t){text, llmir_vector_of(allocator, sizeof(llmir_json_node_t)),
                          llmir_vector_of(allocator, 1)};
    if (bytes > MAX_BYTES) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "JSON: %zu bytes, at most %u",
                          bytes, MAX_BYTES);
    }
    LLMIR_TRY(read_value(&reader, &root));
    skip_space(&reader);
    return reader.at == bytes ? LLMIR_STATUS_OK : fail_at(&reader, "nothing behind the value");
}

void llmir_json_free(llmir_json_t* json) {
    llmir_vector_free(&json->nodes);
    llmir_vector_free(&json->strings);
}

/* ---- Questions ---- */

int llmir_json_is(const llmir_json_t* json, uint32_t node, const char* value) {
    const llmir_json_node_t* at = llmir_json_at(json, node);
    const size_t bytes = strlen(value);
    return at->kind == LLMIR_JSON_STRING && at->value_bytes == bytes &&
           (bytes == 0 ||
            memcmp(llmir_vector_at(&json->strings, at->value_begin), value, bytes) == 0);
}

uint32_t llmir_json_member(const llmir_json_t* json, uint32_t object, const char* key) {
    uint32_t found = LLMIR_JSON_NONE;
    if (llmir_json_at(json, object)->kind != LLMIR_JSON_OBJECT) {
        return found;
    }
    for (uint32_t i = llmir_json_at(json, object)->first_child; i != LLMIR_JSON_NONE;
         i = llmir_json_at(json, i)->next) {
        found = llmir_json_is(json, i, key) ? llmir_json_at(json, i)->first_child : found;
    }
    return found;
}

int llmir_json_whole(const llmir_json_t* json, uint32_t node, uint32_t most, uint32_t* out) {
    const llmir_json_node_t* at = llmir_json_at(json, node);
    uint64_t value = 0;
    if (at->kind != LLMIR_JSON_NUMBER) {
        return 0;
    }
    for (uint32_t i = 0; i < at->text_bytes; ++i) {
        const char c = json->text[at->offset + i];
        if (c < '0' || c > '9' || value > most) {
            return 0;
        }
        value = value * 10u + (uint32_t)(c - '0');
    }
    *out = (uint32_t)value;
    return value <= most;
}
