/* Objects of JSON schemas: properties in their order, and behind them undeclared ones, whose names
 * are none of the declared. */
#include "core/grammar/json_schema.h"

#include <stdio.h>
#include <string.h>

static int is_required(const llmir_schema_writer_t* writer, uint32_t node, uint32_t key) {
    const llmir_json_node_t* name = llmir_json_at(&writer->json, key);
    for (uint32_t i = llmir_schema_first_of(writer, node, "required"); i != LLMIR_JSON_NONE;
         i = llmir_json_at(&writer->json, i)->next) {
        const llmir_json_node_t* at = llmir_json_at(&writer->json, i);
        const char* strings = writer->json.strings.data;
        if (at->kind == LLMIR_JSON_STRING && at->value_bytes == name->value_bytes &&
            (at->value_bytes == 0 || memcmp(strings + at->value_begin, strings + name->value_begin,
                                            at->value_bytes) == 0)) {
            return 1;
        }
    }
    return 0;
}

/* Every name in `required` is a property. */
static llmir_status_t check_required(const llmir_schema_writer_t* writer,
                                     uint32_t node,
                                     uint32_t first) {
    uint32_t wanted = 0;
    uint32_t found = 0;
    for (uint32_t i = llmir_schema_first_of(writer, node, "required"); i != LLMIR_JSON_NONE;
         i = llmir_json_at(&writer->json, i)->next) {
        wanted += 1u;
    }
    for (uint32_t i = first; i != LLMIR_JSON_NONE; i = llmir_json_at(&writer->json, i)->next) {
        found += is_required(writer, node, i) ? 1u : 0u;
    }
    return wanted == found ? LLMIR_STATUS_OK
                           : llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED,
                                               llmir_schema_member(writer, node, "required"),
                                               "expected each name in 'properties', once");
}

/* Whether names that are not declared may follow those that are. */
static int is_open(const llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t more = llmir_schema_member(writer, node, "additionalProperties");
    return more != LLMIR_JSON_NONE && llmir_json_at(&writer->json, more)->kind != LLMIR_JSON_FALSE;
}

/* ---- Declared properties ---- */

static llmir_status_t put_property(llmir_schema_writer_t* writer, uint32_t key) {
    LLMIR_TRY(llmir_schema_put_literal(writer, key));
    LLMIR_TRY(llmir_schema_put(writer, " \":\" ws "));
    LLMIR_TRY(llmir_schema_put_schema(writer, llmir_json_at(&writer->json, key)->first_child));
    return llmir_schema_put(writer, " ws");
}

/* What may follow from the property `key` on: s<node>-<key> where none has come yet, r<node>-<key>
 * where one has; behind the last one u<node> and t<node>, if there may be others. */
static llmir_status_t put_rest(llmir_schema_writer_t* writer,
                               uint32_t node,
                               uint32_t key,
                               const char* prefix) {
    if (key != LLMIR_JSON_NONE) {
        return llmir_schema_put_name(writer, prefix, node, key);
    }
    return is_open(writer, node)
               ? llmir_schema_put_name(writer, prefix[0] == 'r' ? "t" : "u", node, LLMIR_JSON_NONE)
               : llmir_schema_put(writer, "\"\"");
}

static llmir_status_t put_property_rule(llmir_schema_writer_t* writer,
                                        uint32_t node,
                                        uint32_t key,
                                        const char* prefix) {
    const uint32_t next = llmir_json_at(&writer->json, key)->next;
    LLMIR_TRY(llmir_schema_put_name(writer, prefix, node, key));
    LLMIR_TRY(llmir_schema_put(writer, prefix[0] == 'r' ? " ::= \",\" ws " : " ::= "));
    LLMIR_TRY(put_property(writer, key));
    LLMIR_TRY(llmir_schema_put(writer, " "));
    LLMIR_TRY(put_rest(writer, node, next, "r"));
    if (!is_required(writer, node, key)) {
        LLMIR_TRY(llmir_schema_put(writer, " | "));
        LLMIR_TRY(put_rest(writer, node, next, prefix));
    }
    return llmir_schema_put(writer, "\n");
}

/* ---- Other names ---- */

/* The keys from `begin` to `end` of a sorted list, which all begin with the same `length` bytes. */
typedef struct key_range {
    uint32_t begin;
    uint32_t end;
    uint32_t length;
} key_range_t;

typedef struct key_text {
    const uint8_t* bytes;
    uint32_t count;
} key_text_t;

static key_text_t text_of(const llmir_schema_writer_t* writer, const uint32_t* keys, uint32_t i) {
    const llmir_json_node_t* at = llmir_json_at(&writer->json, keys[i]);
    const uint8_t* bytes = llmir_vector_at(&writer->json.strings, at->value_begin);
    return (key_text_t){bytes, at->value_bytes};
}

static int is_before(key_text_t a, key_text_t b) {
    const uint32_t count = a.count < b.count ? a.count : b.count;
    const int order = count != 0 ? memcmp(a.bytes, b.bytes, count) : 0;
    return order != 0 ? order < 0 : a.count < b.count;
}

/* The declared names, sorted by their bytes, in `out` (u32). */
static llmir_status_t sort_keys(const llmir_schema_writer_t* writer,
                                uint32_t node,
                                llmir_vector_t* out) {
    for (uint32_t key = llmir_schema_first_of(writer, node, "properties"); key != LLMIR_JSON_NONE;
         key = llmir_json_at(&writer->json, key)->next) {
        if (out->count == LLMIR_GRAMMAR_MAX_RULES) {
            return llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED, key,
                                     "more than 4096 properties");
        }
        LLMIR_TRY(llmir_vector_append(out, &key, 1, "JSON schema", writer->error));
        uint32_t* keys = out->data;
        for (uint32_t i = (uint32_t)out->count - 1u;
             i > 0 && is_before(text_of(writer, keys, i), text_of(writer, keys, i - 1u)); --i) {
            keys[i] = keys[i - 1u];
            keys[i - 1u] = key;
        }
    }
    return LLMIR_STATUS_OK;
}

/* Bytes of the UTF-8 character that begins with `lead`. */
static uint32_t bytes_of(uint8_t lead) {
    return lead < 0x80u ? 1u : lead < 0xe0u ? 2u : lead < 0xf0u ? 3u : 4u;
}

/* A character as it is written in a class or a literal. */
static llmir_status_t put_character(llmir_schema_writer_t* writer, const uint8_t* bytes) {
    const uint32_t count = bytes_of(bytes[0]);
    uint32_t character = count == 1u ? bytes[0] : bytes[0] & (0xffu >> (count + 1u));
    char text[16];
    for (uint32_t i = 1; i < count; ++i) {
        character = character << 6 | (bytes[i] & 0x3fu);
    }
    (void)snprintf(text, sizeof(text), "\\U%08x", (unsigned)character);
    return llmir_schema_put(writer, text);
}

static llmir_status_t put_range_name(llmir_schema_writer_t* writer,
                                     uint32_t node,
                                     key_range_t range) {
    char name[48];
    (void)snprintf(name, sizeof(name), "k%u-%u-%u", (unsigned)node, (unsigned)range.begin,
                   (unsigned)range.length);
    return llmir_schema_put(writer, name);
}

/* The part of the range, from `begin` on, whose names have the same next character. */
static key_range_t next_part(const llmir_schema_writer_t* writer,
                             const uint32_t* keys,
                             key_range_t range,
                             uint32_t begin) {
    const key_text_t first = text_of(writer, keys, begin);
    const uint32_t count = bytes_of(first.bytes[range.length]);
    uint32_t end = begin + 1u;
    while (end < range.end && memcmp(text_of(writer, keys, end).bytes + range.length,
                                     first.bytes + range.length, count) == 0) {
        ++end;
    }
    return (key_range_t){begin, end, range.length + count};
}

/* What may follow the names' common beginning in a name that is none of them: the end, if none ends
 * here; another character, and then any; or a character of theirs, and what may follow it. Escapes
 * are left out, which could write a declared name in another way. */
static llmir_status_t put_range_rule(llmir_schema_writer_t* writer,
                                     uint32_t node,
                                     const uint32_t* keys,
                                     key_range_t range,
                                     llmir_vector_t* pending) {
    uint32_t begin = range.begin;
    while (begin < range.end && text_of(writer, keys, begin).count == range.length) {
        ++begin; /* it ends here */
    }
    LLMIR_TRY(put_range_name(writer, node, range));
    LLMIR_TRY(llmir_schema_put(writer, begin == range.begin ? " ::= \"\" | [^" : " ::= [^"));
    LLMIR_TRY(llmir_schema_put(writer, "\"\\\\\\x00-\\x1f"));
    for (uint32_t i = begin; i < range.end;) {
        const key_range_t part = next_part(writer, keys, range, i);
        LLMIR_TRY(put_character(writer, text_of(writer, keys, i).bytes + range.length));
        i = part.end;
    }
    LLMIR_TRY(llmir_schema_put(writer, "] plain*"));
    for (uint32_t i = begin; i < range.end;) {
        const key_range_t part = next_part(writer, keys, range, i);
        const uint8_t* next = text_of(writer, keys, i).bytes + range.length;
        i = part.end;
        if (*next < 0x20u || *next == '"' || *next == '\\') {
            continue; /* only an escape could write it */
        }
        LLMIR_TRY(llmir_schema_put(writer, " | \""));
        LLMIR_TRY(put_character(writer, next));
        LLMIR_TRY(llmir_schema_put(writer, "\" "));
        LLMIR_TRY(put_range_name(writer, node, part));
        LLMIR_TRY(llmir_vector_append(pending, &part, 1, "JSON schema", writer->error));
    }
    return llmir_schema_put(writer, "\n");
}

/* k<node>-0-0 and the rules that it needs: a name that is not declared. */
static llmir_status_t put_other_names(llmir_schema_writer_t* writer,
                                      uint32_t node,
                                      llmir_vector_t* keys,
                                      llmir_vector_t* pending) {
    LLMIR_TRY(sort_keys(writer, node, keys));
    const key_range_t all = {0, (uint32_t)keys->count, 0};
    LLMIR_TRY(llmir_vector_append(pending, &all, 1, "JSON schema", writer->error));
    for (size_t i = 0; i < pending->count; ++i) {
        if (i == LLMIR_GRAMMAR_MAX_RULES) {
            return llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED, node,
                                     "the names of its properties are too long together for "
                                     "additionalProperties");
        }
        const key_range_t range = ((const key_range_t*)pending->data)[i];
        LLMIR_TRY(put_range_rule(writer, node, keys->data, range, pending));
    }
    return LLMIR_STATUS_OK;
}

/* What additionalProperties says of a value. */
static llmir_status_t put_other_value(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t more = llmir_schema_member(writer, node, "additionalProperties");
    return llmir_json_at(&writer->json, more)->kind == LLMIR_JSON_TRUE
               ? llmir_schema_put(writer, "value")
               : llmir_schema_put_schema(writer, more);
}

/* e<node>: an undeclared property; t<node>: more of them; u<node>: any number of them. */
static llmir_status_t put_other_rules(llmir_schema_writer_t* writer, uint32_t node) {
    static const struct {
        const char* prefix;
        const char* text;
    } lists[] = {{"t", " ::= (\",\" ws "}, {"u", " ::= ("}};
    llmir_vector_t keys = llmir_vector_of(writer->text->allocator, sizeof(uint32_t));
    llmir_vector_t pending = llmir_vector_of(writer->text->allocator, sizeof(key_range_t));
    LLMIR_TRY(llmir_schema_put_name(writer, "e", node, LLMIR_JSON_NONE));
    LLMIR_TRY(llmir_schema_put(writer, " ::= \"\\\"\" "));
    LLMIR_TRY(put_range_name(writer, node, (key_range_t){0, 0, 0}));
    LLMIR_TRY(llmir_schema_put(writer, " \"\\\":\" ws "));
    LLMIR_TRY(put_other_value(writer, node));
    LLMIR_TRY(llmir_schema_put(writer, " ws\n"));
    for (uint32_t i = 0; i < 2; ++i) {
        LLMIR_TRY(llmir_schema_put_name(writer, lists[i].prefix, node, LLMIR_JSON_NONE));
        LLMIR_TRY(llmir_schema_put(writer, lists[i].text));
        LLMIR_TRY(llmir_schema_put_name(writer, "e", node, LLMIR_JSON_NONE));
        if (i == 1) {
            LLMIR_TRY(llmir_schema_put(writer, " "));
            LLMIR_TRY(llmir_schema_put_name(writer, "t", node, LLMIR_JSON_NONE));
        }
        LLMIR_TRY(llmir_schema_put(writer, i == 0 ? ")*\n" : ")?\n"));
    }
    const llmir_status_t status = put_other_names(writer, node, &keys, &pending);
    llmir_vector_free(&keys);
    llmir_vector_free(&pending);
    return status;
}

/* ---- The object ---- */

llmir_status_t llmir_schema_put_object_rules(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t first = llmir_schema_first_of(writer, node, "properties");
    for (uint32_t key = first; key != LLMIR_JSON_NONE;
         key = llmir_json_at(&writer->json, key)->next) {
        LLMIR_TRY(put_property_rule(writer, node, key, "s"));
        LLMIR_TRY(put_property_rule(writer, node, key, "r"));
    }
    return first != LLMIR_JSON_NONE && is_open(writer, node) ? put_other_rules(writer, node)
                                                             : LLMIR_STATUS_OK;
}

llmir_status_t llmir_schema_put_object(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t first = llmir_schema_first_of(writer, node, "properties");
    const uint32_t more = llmir_schema_member(writer, node, "additionalProperties");
    LLMIR_TRY(llmir_schema_check_kind(writer, node, "properties", LLMIR_JSON_OBJECT,
                                      "expected an object"));
    LLMIR_TRY(llmir_schema_check_kind(writer, node, "required", LLMIR_JSON_ARRAY,
                                      "expected a list of names"));
    LLMIR_TRY(check_required(writer, node, first));
    if (first != LLMIR_JSON_NONE) {
        LLMIR_TRY(llmir_schema_put(writer, "\"{\" ws "));
        LLMIR_TRY(llmir_schema_put_name(writer, "s", node, first));
        return llmir_schema_put(writer, " \"}\"");
    }
    if (more == LLMIR_JSON_NONE || llmir_json_at(&writer->json, more)->kind == LLMIR_JSON_TRUE) {
        return llmir_schema_put(writer, "object");
    }
    if (!is_open(writer, node)) {
        return llmir_schema_put(writer, "\"{\" ws \"}\"");
    }
    LLMIR_TRY(llmir_schema_put(writer, "\"{\" ws (string \":\" ws "));
    LLMIR_TRY(llmir_schema_put_schema(writer, more));
    LLMIR_TRY(llmir_schema_put(writer, " ws (\",\" ws string \":\" ws "));
    LLMIR_TRY(llmir_schema_put_schema(writer, more));
    return llmir_schema_put(writer, " ws)*)? \"}\"");
}
