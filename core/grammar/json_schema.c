/* JSON schema to GBNF: a rule s<node> for each schema that is reached. What a schema allows is
 * never widened, but for oneOf, which is read as anyOf; what is left out (other orders of
 * properties, undeclared ones, long white space) narrows it. A keyword that would narrow it in a
 * way that is not supported is an error, and so are keywords side by side that would have to be
 * joined. */
#include <stdio.h>

#include "core/grammar/grammar.h"
#include "core/grammar/json_schema.h"
#include "core/text_stream.h"

#define MAX_COUNT 10000u

/* Rules that all schemas share. Numbers and white space have bounds, so that output ends. An escape
 * of half a surrogate pair is followed by that of the other half: alone it is no character, and
 * readers of JSON, ours too, refuse it. */
static const char common_rules[] =
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n"
    "char ::= [^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" code)\n"
    "code ::= ([0-9a-ce-fA-CE-F] [0-9a-fA-F] | [dD] [0-7]) [0-9a-fA-F]{2} | [dD] [89abAB] "
    "[0-9a-fA-F]{2} \"\\\\u\" [dD] [c-fC-F] [0-9a-fA-F]{2}\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15})\n"
    "number ::= integer (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?\n"
    "boolean ::= \"true\" | \"false\"\n"
    "null ::= \"null\"\n"
    "value ::= object | array | string | number | boolean | null\n"
    "object ::= \"{\" ws (member (\",\" ws member)*)? \"}\"\n"
    "member ::= string \":\" ws value ws\n"
    "plain ::= [^\"\\\\\\x00-\\x1f]\n"
    "array ::= \"[\" ws (value ws (\",\" ws value ws)*)? \"]\"\n"
    "date ::= [0-9]{4} \"-\" (\"0\" [1-9] | \"1\" [0-2]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" "
    "[01])\n"
    "time ::= ([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9] \":\" [0-5] [0-9] (\".\" [0-9]{3})? "
    "(\"Z\" "
    "| [-+] ([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9])\n"
    "uuid ::= [0-9a-f]{8} \"-\" [0-9a-f]{4} \"-\" [0-9a-f]{4} \"-\" [0-9a-f]{4} \"-\" "
    "[0-9a-f]{12}\n";

/* Keywords that are understood, and those that say nothing about what is allowed. */
static const char* const known_keywords[] = {"$ref",
                                             "const",
                                             "enum",
                                             "anyOf",
                                             "oneOf",
                                             "allOf",
                                             "type",
                                             "format",
                                             "properties",
                                             "required",
                                             "additionalProperties",
                                             "items",
                                             "minItems",
                                             "maxItems",
                                             "minLength",
                                             "maxLength",
                                             "title",
                                             "description",
                                             "default",
                                             "examples",
                                             "$schema",
                                             "$id",
                                             "$comment",
                                             "$defs",
                                             "definitions",
                                             "deprecated",
                                             "readOnly",
                                             "writeOnly"};

/* ---- Errors and text ---- */

llmir_status_t llmir_schema_fail(const llmir_schema_writer_t* writer,
                                 llmir_status_t status,
                                 uint32_t node,
                                 const char* message) {
    uint32_t line = 0;
    uint32_t column = 0;
    llmir_ast_position(writer->json.text, llmir_json_at(&writer->json, node)->offset, &line,
                       &column);
    return llmir_fail(writer->error, status, "JSON schema: line %u, column %u: %s", line, column,
                      message);
}

llmir_status_t llmir_schema_put(llmir_schema_writer_t* writer, const char* text) {
    return llmir_vector_append(writer->text, text, strlen(text), "JSON schema", writer->error);
}

/* `prefix` and two numbers, the second one only if it is not LLMIR_JSON_NONE. */
llmir_status_t llmir_schema_put_name(llmir_schema_writer_t* writer,
                                     const char* prefix,
                                     uint32_t node,
                                     uint32_t part) {
    char name[48];
    (void)snprintf(name, sizeof(name), part != LLMIR_JSON_NONE ? "%s%u-%u" : "%s%u", prefix,
                   (unsigned)node, (unsigned)part);
    return llmir_schema_put(writer, name);
}

/* The JSON text of a node as a literal. */
llmir_status_t llmir_schema_put_literal(llmir_schema_writer_t* writer, uint32_t node) {
    const llmir_json_node_t* at = llmir_json_at(&writer->json, node);
    LLMIR_TRY(llmir_schema_put(writer, "\""));
    for (uint32_t i = 0; i < at->text_bytes; ++i) {
        const char c = writer->json.text[at->offset + i];
        char escaped[3] = {c, '\0', '\0'};
        if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
            escaped[0] = '\\';
            escaped[1] = (char)(c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
        }
        LLMIR_TRY(llmir_schema_put(writer, escaped));
    }
    return llmir_schema_put(writer, "\"");
}

/* The name of a schema's rule, which is written sooner or later. */
llmir_status_t llmir_schema_put_schema(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t* pending = writer->pending.data;
    LLMIR_TRY(llmir_schema_put_name(writer, "s", node, LLMIR_JSON_NONE));
    for (size_t i = 0; i < writer->pending.count; ++i) {
        if (pending[i] == node) {
            return LLMIR_STATUS_OK;
        }
    }
    if (writer->pending.count == LLMIR_GRAMMAR_MAX_RULES) {
        return llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED, node, "more than 4096 schemas");
    }
    return llmir_vector_append(&writer->pending, &node, 1, "JSON schema", writer->error);
}

uint32_t llmir_schema_member(const llmir_schema_writer_t* writer, uint32_t node, const char* key) {
    return llmir_json_member(&writer->json, node, key);
}

/* ---- Parts ---- */

/* The first element or member of a keyword's value; LLMIR_JSON_NONE if there is none. */
uint32_t llmir_schema_first_of(const llmir_schema_writer_t* writer,
                               uint32_t node,
                               const char* key) {
    const uint32_t value = llmir_schema_member(writer, node, key);
    return value != LLMIR_JSON_NONE ? llmir_json_at(&writer->json, value)->first_child
                                    : LLMIR_JSON_NONE;
}

static llmir_status_t check_keywords(const llmir_schema_writer_t* writer, uint32_t node) {
    for (uint32_t i = llmir_json_at(&writer->json, node)->first_child; i != LLMIR_JSON_NONE;
         i = llmir_json_at(&writer->json, i)->next) {
        int is_known = 0;
        for (size_t k = 0; k < sizeof(known_keywords) / sizeof(known_keywords[0]); ++k) {
            is_known |= llmir_json_is(&writer->json, i, known_keywords[k]);
        }
        if (!is_known) {
            return llmir_schema_fail(
                writer, LLMIR_STATUS_UNSUPPORTED, i,
                "this keyword is not supported; known are $ref const enum anyOf oneOf "
                "type format properties required additionalProperties items "
                "min/maxItems min/maxLength");
        }
    }
    return LLMIR_STATUS_OK;
}

/* Keywords that say all there is to say, of which a schema may have one, and those of a type. */
static const char* const whole_keywords[] = {"$ref", "const", "enum", "anyOf", "oneOf", "allOf"};
static const struct {
    const char* keyword;
    const char* type; /* that is meant where none is given */
} typed_keywords[] = {
    {"properties", "object"}, {"required", "object"},  {"additionalProperties", "object"},
    {"items", "array"},       {"minItems", "array"},   {"maxItems", "array"},
    {"minLength", "string"},  {"maxLength", "string"}, {"format", "string"}};

/* The type that the schema's keywords are of; NULL if it has none of them. */
static const char* implied_type(const llmir_schema_writer_t* writer, uint32_t node) {
    for (size_t i = 0; i < sizeof(typed_keywords) / sizeof(typed_keywords[0]); ++i) {
        if (llmir_schema_member(writer, node, typed_keywords[i].keyword) != LLMIR_JSON_NONE) {
            return typed_keywords[i].type;
        }
    }
    return NULL;
}

/* Nothing stands beside a keyword that says all, but for a type beside values. */
static llmir_status_t check_siblings(const llmir_schema_writer_t* writer, uint32_t node) {
    const int has_type = llmir_schema_member(writer, node, "type") != LLMIR_JSON_NONE;
    const int has_values = llmir_schema_member(writer, node, "const") != LLMIR_JSON_NONE ||
                           llmir_schema_member(writer, node, "enum") != LLMIR_JSON_NONE;
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(whole_keywords) / sizeof(whole_keywords[0]); ++i) {
        count += llmir_schema_member(writer, node, whole_keywords[i]) != LLMIR_JSON_NONE ? 1u : 0u;
    }
    if (count == 0 ||
        (count == 1 && implied_type(writer, node) == NULL && (!has_type || has_values))) {
        return LLMIR_STATUS_OK;
    }
    return llmir_schema_fail(
        writer, LLMIR_STATUS_UNSUPPORTED, node,
        "$ref, const, enum, anyOf, oneOf or allOf stands beside another keyword");
}

/* A keyword's value, if it has one, is of this kind. */
llmir_status_t llmir_schema_check_kind(const llmir_schema_writer_t* writer,
                                       uint32_t node,
                                       const char* key,
                                       uint32_t kind,
                                       const char* message) {
    const uint32_t value = llmir_schema_member(writer, node, key);
    return value == LLMIR_JSON_NONE || llmir_json_at(&writer->json, value)->kind == kind
               ? LLMIR_STATUS_OK
               : llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, value, message);
}

/* The value of a count; `fallback` where the schema has none. */
static llmir_status_t read_count(const llmir_schema_writer_t* writer,
                                 uint32_t node,
                                 const char* key,
                                 uint32_t fallback,
                                 uint32_t* out) {
    const uint32_t value = llmir_schema_member(writer, node, key);
    *out = fallback;
    if (value == LLMIR_JSON_NONE || llmir_json_whole(&writer->json, value, MAX_COUNT, out)) {
        return LLMIR_STATUS_OK;
    }
    return llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED, value,
                             "expected a whole number from 0 to 10000");
}

static llmir_status_t put_counts(llmir_schema_writer_t* writer, uint32_t least, uint32_t most) {
    char text[48];
    (void)snprintf(text, sizeof(text), most == LLMIR_AST_UNBOUNDED ? "{%u,}" : "{%u,%u}",
                   (unsigned)least, (unsigned)most);
    return llmir_schema_put(writer, text);
}

static llmir_status_t put_string(llmir_schema_writer_t* writer, uint32_t node) {
    static const struct {
        const char* format;
        const char* rule;
    } formats[] = {{"date", "\"\\\"\" date \"\\\"\""},
                   {"time", "\"\\\"\" time \"\\\"\""},
                   {"date-time", "\"\\\"\" date \"T\" time \"\\\"\""},
                   {"uuid", "\"\\\"\" uuid \"\\\"\""}};
    const uint32_t format = llmir_schema_member(writer, node, "format");
    uint32_t least = 0;
    uint32_t most = 0;
    LLMIR_TRY(read_count(writer, node, "minLength", 0, &least));
    LLMIR_TRY(read_count(writer, node, "maxLength", LLMIR_AST_UNBOUNDED, &most));
    if (least > most) {
        return llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, node,
                                 "minLength above maxLength");
    }
    for (size_t i = 0; format != LLMIR_JSON_NONE && i < sizeof(formats) / sizeof(formats[0]); ++i) {
        if (llmir_json_is(&writer->json, format, formats[i].format)) {
            return least == 0 && most == LLMIR_AST_UNBOUNDED
                       ? llmir_schema_put(writer, formats[i].rule)
                       : llmir_schema_fail(
                             writer, LLMIR_STATUS_UNSUPPORTED, format,
                             "it has a length of its own; leave out minLength and maxLength");
        }
    }
    if (least == 0 && most == LLMIR_AST_UNBOUNDED) {
        return llmir_schema_put(writer, "string");
    }
    LLMIR_TRY(llmir_schema_put(writer, "\"\\\"\" char"));
    LLMIR_TRY(put_counts(writer, least, most));
    return llmir_schema_put(writer, " \"\\\"\"");
}

static llmir_status_t put_array(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t items = llmir_schema_member(writer, node, "items");
    uint32_t least = 0;
    uint32_t most = 0;
    LLMIR_TRY(read_count(writer, node, "minItems", 0, &least));
    LLMIR_TRY(read_count(writer, node, "maxItems", LLMIR_AST_UNBOUNDED, &most));
    if (least > most) {
        return llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, node,
                                 "minItems above maxItems");
    }
    LLMIR_TRY(llmir_schema_put(writer, "\"[\" ws"));
    if (most != 0) {
        LLMIR_TRY(llmir_schema_put(writer, " ("));
        LLMIR_TRY(items != LLMIR_JSON_NONE ? llmir_schema_put_schema(writer, items)
                                           : llmir_schema_put(writer, "value"));
        LLMIR_TRY(llmir_schema_put(writer, " ws (\",\" ws "));
        LLMIR_TRY(items != LLMIR_JSON_NONE ? llmir_schema_put_schema(writer, items)
                                           : llmir_schema_put(writer, "value"));
        LLMIR_TRY(llmir_schema_put(writer, " ws)"));
        LLMIR_TRY(put_counts(writer, least != 0 ? least - 1u : 0u,
                             most != LLMIR_AST_UNBOUNDED ? most - 1u : most));
        LLMIR_TRY(llmir_schema_put(writer, least == 0 ? ")?" : ")"));
    }
    return llmir_schema_put(writer, " \"]\"");
}

/* ---- Schemas ---- */

/* One of a list's elements: schemas of anyOf, values of enum, names of types. */
typedef llmir_status_t (*put_fn)(llmir_schema_writer_t* writer, uint32_t node, uint32_t element);

static llmir_status_t put_choice(llmir_schema_writer_t* writer,
                                 uint32_t node,
                                 uint32_t list,
                                 put_fn fn) {
    const uint32_t first = llmir_json_at(&writer->json, list)->first_child;
    if (llmir_json_at(&writer->json, list)->kind != LLMIR_JSON_ARRAY || first == LLMIR_JSON_NONE) {
        return llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, list,
                                 "expected a list with elements");
    }
    for (uint32_t i = first; i != LLMIR_JSON_NONE; i = llmir_json_at(&writer->json, i)->next) {
        LLMIR_TRY(llmir_schema_put(writer, i == first ? "" : " | "));
        LLMIR_TRY(fn(writer, node, i));
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t put_element_schema(llmir_schema_writer_t* writer,
                                         uint32_t node,
                                         uint32_t element) {
    (void)node;
    return llmir_schema_put_schema(writer, element);
}

static llmir_status_t put_type(llmir_schema_writer_t* writer, uint32_t node, uint32_t type) {
    static const char* const plain[] = {"integer", "number", "boolean", "null"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); ++i) {
        if (llmir_json_is(&writer->json, type, plain[i])) {
            return llmir_schema_put(writer, plain[i]);
        }
    }
    if (llmir_json_is(&writer->json, type, "string")) {
        return put_string(writer, node);
    }
    if (llmir_json_is(&writer->json, type, "array")) {
        return put_array(writer, node);
    }
    if (llmir_json_is(&writer->json, type, "object")) {
        return llmir_schema_put_object(writer, node);
    }
    return llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, type,
                             "expected a type: string integer number boolean null array object");
}

/* A schema that has no type. */
static llmir_status_t put_implied_type(llmir_schema_writer_t* writer, uint32_t node) {
    const char* type = implied_type(writer, node);
    if (type == NULL) {
        return llmir_schema_put(writer, "value");
    }
    return type[0] == 'o'   ? llmir_schema_put_object(writer, node)
           : type[0] == 'a' ? put_array(writer, node)
                            : put_string(writer, node);
}

/* Whether a number is written as a whole one. */
static int is_whole(const llmir_schema_writer_t* writer, const llmir_json_node_t* number) {
    int is_plain = 1;
    for (uint32_t i = 0; i < number->text_bytes; ++i) {
        const char c = writer->json.text[number->offset + i];
        is_plain &= (c >= '0' && c <= '9') || c == '-';
    }
    return is_plain;
}

/* Whether a value is of the type that a name stands for. */
static int is_of_type(const llmir_schema_writer_t* writer, uint32_t name, uint32_t value) {
    static const char* const names[] = {"null",   "boolean", "boolean", "number",
                                        "string", "array",   "object"};
    const llmir_json_node_t* at = llmir_json_at(&writer->json, value);
    return llmir_json_is(&writer->json, name, names[at->kind]) ||
           (llmir_json_is(&writer->json, name, "integer") && at->kind == LLMIR_JSON_NUMBER &&
            is_whole(writer, at));
}

/* A value of enum or const; it must be of the schema's type or of one of its types. */
static llmir_status_t put_value(llmir_schema_writer_t* writer, uint32_t node, uint32_t value) {
    const uint32_t type = llmir_schema_member(writer, node, "type");
    int is_fit = type == LLMIR_JSON_NONE || is_of_type(writer, type, value);
    if (!is_fit && llmir_json_at(&writer->json, type)->kind == LLMIR_JSON_ARRAY) {
        for (uint32_t i = llmir_schema_first_of(writer, node, "type"); i != LLMIR_JSON_NONE;
             i = llmir_json_at(&writer->json, i)->next) {
            is_fit |= is_of_type(writer, i, value);
        }
    }
    return is_fit ? llmir_schema_put_literal(writer, value)
                  : llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, value,
                                      "the value is not of the schema's type");
}

/* The schema that "#", "#/$defs/NAME" or another path of keys names. */
static llmir_status_t resolve(const llmir_schema_writer_t* writer,
                              uint32_t reference,
                              uint32_t* out) {
    const llmir_json_node_t* at = llmir_json_at(&writer->json, reference);
    const char* path =
        at->value_bytes != 0 ? llmir_vector_at(&writer->json.strings, at->value_begin) : "";
    char key[64];
    uint32_t i = 1;
    *out = 0;
    int is_found = at->kind == LLMIR_JSON_STRING && at->value_bytes != 0 && path[0] == '#';
    while (is_found && i < at->value_bytes) {
        uint32_t count = 0;
        is_found = path[i++] == '/';
        for (; is_found && i < at->value_bytes && path[i] != '/'; ++i) {
            is_found = count + 1u < sizeof(key) && path[i] != '~' && path[i] != '%';
            key[is_found ? count++ : 0u] = path[i];
        }
        key[count] = '\0';
        *out = is_found ? llmir_json_member(&writer->json, *out, key) : LLMIR_JSON_NONE;
        is_found = *out != LLMIR_JSON_NONE;
    }
    return is_found ? LLMIR_STATUS_OK
                    : llmir_schema_fail(
                          writer, LLMIR_STATUS_UNSUPPORTED, reference,
                          "expected '#' or '#/...' with the keys of a schema of this text");
}

/* The schema's right side. */
static llmir_status_t put_body(llmir_schema_writer_t* writer, uint32_t node) {
    static const char* const choices[] = {"anyOf", "oneOf", "allOf"};
    const uint32_t reference = llmir_schema_member(writer, node, "$ref");
    const uint32_t constant = llmir_schema_member(writer, node, "const");
    const uint32_t values = llmir_schema_member(writer, node, "enum");
    const uint32_t type = llmir_schema_member(writer, node, "type");
    uint32_t target = 0;
    if (reference != LLMIR_JSON_NONE) {
        LLMIR_TRY(resolve(writer, reference, &target));
        return llmir_schema_put_schema(writer, target);
    }
    if (constant != LLMIR_JSON_NONE) {
        return put_value(writer, node, constant);
    }
    if (values != LLMIR_JSON_NONE) {
        return put_choice(writer, node, values, put_value);
    }
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); ++i) {
        const uint32_t list = llmir_schema_member(writer, node, choices[i]);
        if (list != LLMIR_JSON_NONE && i == 2 &&
            llmir_json_at(&writer->json, list)->first_child != LLMIR_JSON_NONE &&
            llmir_json_at(&writer->json, llmir_json_at(&writer->json, list)->first_child)->next !=
                LLMIR_JSON_NONE) {
            return llmir_schema_fail(writer, LLMIR_STATUS_UNSUPPORTED, list,
                                     "allOf is supported with one schema");
        }
        if (list != LLMIR_JSON_NONE) {
            return put_choice(writer, node, list, put_element_schema);
        }
    }
    if (type != LLMIR_JSON_NONE) {
        return llmir_json_at(&writer->json, type)->kind == LLMIR_JSON_ARRAY
                   ? put_choice(writer, node, type, put_type)
                   : put_type(writer, node, type);
    }
    return put_implied_type(writer, node);
}

static llmir_status_t put_rule(llmir_schema_writer_t* writer, uint32_t node) {
    const uint32_t kind = llmir_json_at(&writer->json, node)->kind;
    LLMIR_TRY(llmir_schema_put_name(writer, "s", node, LLMIR_JSON_NONE));
    LLMIR_TRY(llmir_schema_put(writer, " ::= "));
    if (kind == LLMIR_JSON_TRUE) {
        return llmir_schema_put(writer, "value\n");
    }
    if (kind != LLMIR_JSON_OBJECT) {
        return llmir_schema_fail(writer, LLMIR_STATUS_INVALID_ARGUMENT, node,
                                 "expected a schema: an object or true");
    }
    LLMIR_TRY(check_keywords(writer, node));
    LLMIR_TRY(check_siblings(writer, node));
    LLMIR_TRY(put_body(writer, node));
    LLMIR_TRY(llmir_schema_put(writer, "\n"));
    return llmir_schema_put_object_rules(writer, node);
}

llmir_status_t llmir_schema_to_gbnf(const llmir_allocator_t* allocator,
                                    const char* schema,
                                    size_t bytes,
                                    llmir_vector_t* out_text,
                                    llmir_error_t* error) {
    llmir_schema_writer_t writer = {
        .text = out_text, .pending = llmir_vector_of(allocator, sizeof(uint32_t)), .error = error};
    *out_text = llmir_vector_of(allocator, 1);
    llmir_status_t status = llmir_json_read(allocator, schema, bytes, &writer.json, error);
    if (status == LLMIR_STATUS_OK && !llmir_utf8_is_valid(schema, bytes)) {
        status = llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "JSON schema: it is not UTF-8");
    }
    status = status == LLMIR_STATUS_OK ? llmir_schema_put(&writer, "root ::= ") : status;
    status = status == LLMIR_STATUS_OK ? llmir_schema_put_schema(&writer, 0) : status;
    status = status == LLMIR_STATUS_OK ? llmir_schema_put(&writer, "\n") : status;
    for (size_t i = 0; status == LLMIR_STATUS_OK && i < writer.pending.count; ++i) {
        status = put_rule(&writer, ((const uint32_t*)writer.pending.data)[i]);
    }
    status = status == LLMIR_STATUS_OK ? llmir_schema_put(&writer, common_rules) : status;
    llmir_vector_free(&writer.pending);
    llmir_json_free(&writer.json);
    return status;
}
