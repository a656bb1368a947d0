/* The parser of GBNF, by recursive descent with a bounded depth. Positions of errors are counted in
 * lines and characters from 1. */
#include "core/grammar/grammar_ast.h"

#define MAX_DEPTH 100u
#define MAX_REPEAT 10000u
#define MAX_CLASS_RANGES 1000u
#define LAST_CODE_POINT 0x10ffffu

typedef struct gbnf_parser {
    llmir_ast_t* ast;
    const char* text;
    size_t bytes;
    size_t at;
    uint32_t depth; /* of parentheses */
    llmir_error_t* error;
} gbnf_parser_t;

/* ---- Positions and single characters ---- */

void llmir_ast_position(const char* text, size_t offset, uint32_t* out_line, uint32_t* out_column) {
    *out_line = 1;
    *out_column = 1;
    for (size_t i = 0; i < offset; ++i) {
        if (text[i] == '\n') {
            *out_line += 1u;
            *out_column = 1;
        } else if (((uint8_t)text[i] & 0xc0u) != 0x80u) {
            *out_column += 1u;
        }
    }
}

static llmir_status_t fail_at(const gbnf_parser_t* parser, size_t at, const char* expected) {
    uint32_t line = 0;
    uint32_t column = 0;
    llmir_ast_position(parser->text, at, &line, &column);
    if (at >= parser->bytes) {
        return llmir_fail(parser->error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "grammar: line %u, column %u: the text ends, expected %s", line, column,
                          expected);
    }
    const uint8_t found = (uint8_t)parser->text[at];
    return llmir_fail(parser->error, LLMIR_STATUS_INVALID_ARGUMENT,
                      found >= 0x20 && found < 0x7f
                          ? "grammar: line %u, column %u: found '%c', expected %s"
                          : "grammar: line %u, column %u: found byte 0x%02x, expected %s",
                      line, column, found, expected);
}

/* The byte at the cursor; 0 at the end, which no grammar contains. */
static char peek(const gbnf_parser_t* parser) {
    if (parser->at == parser->bytes) {
        return '\0';
    }
    return parser->text[parser->at];
}

static int take(gbnf_parser_t* parser, char wanted) {
    if (peek(parser) != wanted || parser->at >= parser->bytes) {
        return 0;
    }
    parser->at += 1u;
    return 1;
}

static int is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Skips blanks and comments, and line ends too if asked. */
static void skip_space(gbnf_parser_t* parser, int lines) {
    for (;;) {
        const char c = peek(parser);
        if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
            parser->at += 1u;
        } else if (c == '#') {
            while (parser->at < parser->bytes && peek(parser) != '\n') {
                parser->at += 1u;
            }
        } else {
            return;
        }
    }
}

/* Inside parentheses lines may end anywhere; outside, only before or after a bar. */
static void skip_between(gbnf_parser_t* parser) {
    skip_space(parser, parser->depth != 0);
    const size_t before = parser->at;
    skip_space(parser, 1);
    if (peek(parser) != '|') {
        parser->at = before;
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static llmir_status_t parse_hex(gbnf_parser_t* parser, uint32_t digits, uint32_t* out) {
    *out = 0;
    for (uint32_t i = 0; i < digits; ++i) {
        const int value = hex_value(peek(parser));
        if (value < 0) {
            return fail_at(parser, parser->at, "a hexadecimal digit");
        }
        *out = *out << 4 | (uint32_t)value;
        parser->at += 1u;
    }
    return LLMIR_STATUS_OK;
}

/* A character of UTF-8 at the cursor. */
static llmir_status_t parse_utf8(gbnf_parser_t* parser, uint32_t* out) {
    const uint8_t first = (uint8_t)peek(parser);
    const uint32_t more = first < 0x80 ? 0u : first < 0xe0 ? 1u : first < 0xf0 ? 2u : 3u;
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    uint32_t value = more == 0 ? first : first & (0x3fu >> more);
    int valid =
        (first < 0x80 || (first >= 0xc2 && first <= 0xf4)) && parser->bytes - parser->at > more;
    for (uint32_t i = 1; valid && i <= more; ++i) {
        const uint8_t next = (uint8_t)parser->text[parser->at + i];
        valid = (next & 0xc0u) == 0x80u;
        value = value << 6 | (next & 0x3fu);
    }
    if (!valid || value < smallest[more] || value > LAST_CODE_POINT ||
        (value >= 0xd800 && value <= 0xdfff)) {
        return fail_at(parser, parser->at, "UTF-8");
    }
    parser->at += more + 1u;
    *out = value;
    return LLMIR_STATUS_OK;
}

/* One character of a literal or class, escapes resolved. */
static llmir_status_t parse_character(gbnf_parser_t* parser, uint32_t* out) {
    static const char names[] = "nrt\\\"[]^-'/";
    static const char values[] = "\n\r\t\\\"[]^-'/";
    if (parser->at >= parser->bytes || peek(parser) == '\n') {
        return fail_at(parser, parser->at, "the end of the literal or class on its line");
    }
    if (!take(parser, '\\')) {
        return parse_utf8(parser, out);
    }
    const size_t at = parser->at;
    const char name = peek(parser);
    parser->at += 1u;
    if (name == 'x' || name == 'u' || name == 'U') {
        LLMIR_TRY(parse_hex(parser, name == 'x' ? 2u : name == 'u' ? 4u : 8u, out));
        return *out <= LAST_CODE_POINT && (*out < 0xd800 || *out > 0xdfff)
                   ? LLMIR_STATUS_OK
                   : fail_at(parser, at, "a code point of Unicode");
    }
    const char* found = at < parser->bytes ? memchr(names, name, sizeof(names) - 1u) : NULL;
    if (found == NULL) {
        return fail_at(parser, at, "an escape: n r t x u U \\ \" [ ] ^ - ' /");
    }
    *out = (uint8_t)values[found - names];
    return LLMIR_STATUS_OK;
}

/* ---- Nodes ---- */

static llmir_status_t add_node(gbnf_parser_t* parser, llmir_ast_node_t node, uint32_t* out) {
    node.next = LLMIR_AST_NONE;
    *out = (uint32_t)parser->ast->nodes.count;
    if (*out == LLMIR_GRAMMAR_MAX_NODES) {
        return fail_at(parser, parser->at, "a smaller grammar, of at most 65536 elements");
    }
    return llmir_vector_append(&parser->ast->nodes, &node, 1, "grammar", parser->error);
}

static llmir_status_t parse_literal(gbnf_parser_t* parser, uint32_t* out) {
    llmir_ast_node_t node = {.kind = LLMIR_AST_BYTES, .first_child = LLMIR_AST_NONE};
    node.begin = (uint32_t)parser->ast->bytes.count;
    while (!take(parser, '"')) {
        uint8_t utf8[4];
        uint32_t c = 0;
        LLMIR_TRY(parse_character(parser, &c));
        const size_t count = llmir_utf8_put(c, utf8);
        LLMIR_TRY(llmir_vector_append(&parser->ast->bytes, utf8, count, "grammar", parser->error));
    }
    node.count = (uint32_t)parser->ast->bytes.count - node.begin;
    return add_node(parser, node, out);
}

/* Sorts the ranges from `begin` on and joins those that touch. */
static void normalise(llmir_vector_t* ranges, size_t begin) {
    llmir_char_range_t* all = ranges->data;
    size_t end = begin;
    for (size_t i = begin + 1u; i < ranges->count; ++i) {
        const llmir_char_range_t moved = all[i];
        size_t j = i;
        for (; j > begin && all[j - 1u].low > moved.low; --j) {
            all[j] = all[j - 1u];
        }
        all[j] = moved;
    }
    for (size_t i = begin; i < ranges->count; ++i) {
        if (end > begin && all[i].low <= all[end - 1u].high + 1u) {
            all[end - 1u].high =
                all[i].high > all[end - 1u].high ? all[i].high : all[end - 1u].high;
        } else {
            all[end++] = all[i];
        }
    }
    ranges->count = end;
}

/* Replaces the normalised ranges from `begin` on by what they leave out. */
static llmir_status_t complement(gbnf_parser_t* parser, size_t begin) {
    llmir_vector_t* ranges = &parser->ast->ranges;
    uint32_t low = 0;
    const llmir_char_range_t room = {0, 0};
    LLMIR_TRY(llmir_vector_append(ranges, &room, 1, "grammar", parser->error));
    llmir_char_range_t* all = ranges->data;
    size_t end = begin;
    for (size_t i = begin; i + 1u < ranges->count; ++i) {
        const llmir_char_range_t range = all[i];
        if (range.low > low) {
            all[end++] = (llmir_char_range_t){low, range.low - 1u};
        }
        low = range.high + 1u;
    }
    if (low <= LAST_CODE_POINT) {
        all[end++] = (llmir_char_range_t){low, LAST_CODE_POINT};
    }
    ranges->count = end;
    return LLMIR_STATUS_OK;
}

static llmir_status_t parse_class(gbnf_parser_t* parser, uint32_t* out) {
    llmir_vector_t* ranges = &parser->ast->ranges;
    llmir_ast_node_t node = {.kind = LLMIR_AST_CHARACTERS, .first_child = LLMIR_AST_NONE};
    const size_t begin = ranges->count;
    const int negated = take(parser, '^');
    while (!take(parser, ']')) {
        llmir_char_range_t range = {0, 0};
        LLMIR_TRY(parse_character(parser, &range.low));
        range.high = range.low;
        if (peek(parser) == '-' && parser->at + 1u < parser->bytes &&
            parser->text[parser->at + 1u] != ']') {
            const size_t at = ++parser->at;
            LLMIR_TRY(parse_character(parser, &range.high));
            if (range.high < range.low) {
                return fail_at(parser, at, "a range's end that is not before its beginning");
            }
        }
        if (ranges->count - begin == MAX_CLASS_RANGES) {
            return fail_at(parser, parser->at, "at most 1000 characters and ranges in a class");
        }
        LLMIR_TRY(llmir_vector_append(ranges, &range, 1, "grammar", parser->error));
    }
    normalise(ranges, begin);
    if (negated) {
        LLMIR_TRY(complement(parser, begin));
    }
    node.begin = (uint32_t)begin;
    node.count = (uint32_t)(ranges->count - begin);
    return add_node(parser, node, out);
}

static llmir_status_t parse_any(gbnf_parser_t* parser, uint32_t* out) {
    const llmir_char_range_t all = {0, LAST_CODE_POINT};
    const llmir_ast_node_t node = {.kind = LLMIR_AST_CHARACTERS,
                                   .first_child = LLMIR_AST_NONE,
                                   .begin = (uint32_t)parser->ast->ranges.count,
                                   .count = 1};
    LLMIR_TRY(llmir_vector_append(&parser->ast->ranges, &all, 1, "grammar", parser->error));
    return add_node(parser, node, out);
}

/* ---- Rules' names ---- */

/* Reads a name and finds or makes its rule. */
static llmir_status_t parse_name(gbnf_parser_t* parser, uint32_t* out_rule) {
    const size_t begin = parser->at;
    llmir_vector_t* rules = &parser->ast->rules;
    while (is_name_char(peek(parser))) {
        parser->at += 1u;
    }
    const size_t count = parser->at - begin;
    for (uint32_t i = 0; i < rules->count; ++i) {
        const llmir_ast_rule_t* rule = llmir_ast_rule_at(parser->ast, i);
        if (rule->name_bytes == count &&
            memcmp(parser->text + rule->name_begin, parser->text + begin, count) == 0) {
            *out_rule = i;
            return LLMIR_STATUS_OK;
        }
    }
    if (rules->count == LLMIR_GRAMMAR_MAX_RULES) {
        return fail_at(parser, begin, "at most 4096 rules");
    }
    const llmir_ast_rule_t rule = {(uint32_t)begin, (uint32_t)count, LLMIR_AST_NONE};
    *out_rule = (uint32_t)rules->count;
    return llmir_vector_append(rules, &rule, 1, "grammar", parser->error);
}

/* ---- Expressions ---- */

static llmir_status_t parse_alternatives(gbnf_parser_t* parser, uint32_t* out);

static llmir_status_t parse_group(gbnf_parser_t* parser, uint32_t* out) {
    const size_t at = parser->at;
    if (parser->depth == MAX_DEPTH) {
        return fail_at(parser, at, "at most 100 parentheses inside each other");
    }
    parser->depth += 1u;
    LLMIR_TRY(parse_alternatives(parser, out));
    skip_space(parser, 1);
    parser->depth -= 1u;
    return take(parser, ')') ? LLMIR_STATUS_OK : fail_at(parser, parser->at, "')'");
}

static llmir_status_t parse_number(gbnf_parser_t* parser, uint32_t* out) {
    const size_t at = parser->at;
    *out = 0;
    while (peek(parser) >= '0' && peek(parser) <= '9' && *out <= MAX_REPEAT) {
        *out = *out * 10u + (uint32_t)(peek(parser) - '0');
        parser->at += 1u;
    }
    return parser->at != at && *out <= MAX_REPEAT ? LLMIR_STATUS_OK
                                                  : fail_at(parser, at, "a number up to 10000");
}

/* {m} {m,} {m,n} {,n} behind the brace. */
static llmir_status_t parse_bounds(gbnf_parser_t* parser, uint32_t* least, uint32_t* most) {
    const size_t at = parser->at;
    *least = 0;
    if (peek(parser) != ',') {
        LLMIR_TRY(parse_number(parser, least));
    }
    *most = *least;
    if (take(parser, ',')) {
        *most = LLMIR_AST_UNBOUNDED;
        if (peek(parser) != '}') {
            LLMIR_TRY(parse_number(parser, most));
        }
    }
    if (!take(parser, '}')) {
        return fail_at(parser, parser->at, "'}'");
    }
    return *most >= *least ? LLMIR_STATUS_OK
                           : fail_at(parser, at, "a largest count that is not below the smallest");
}

static int is_repetition(char c) {
    return c == '+' || c == '?' || c == '*' || c == '{';
}

/* Wraps the node in the repetition that follows it, if one does. */
static llmir_status_t parse_repeat(gbnf_parser_t* parser, uint32_t* inout_node) {
    llmir_ast_node_t node = {.kind = LLMIR_AST_REPEAT, .most = LLMIR_AST_UNBOUNDED};
    if (take(parser, '+')) {
        node.least = 1;
    } else if (take(parser, '?')) {
        node.most = 1;
    } else if (take(parser, '{')) {
        LLMIR_TRY(parse_bounds(parser, &node.least, &node.most));
    } else if (!take(parser, '*')) {
        return LLMIR_STATUS_OK;
    }
    if (is_repetition(peek(parser))) {
        return fail_at(parser, parser->at, "one repetition; parentheses make more");
    }
    node.first_child = *inout_node;
    return add_node(parser, node, inout_node);
}

/* One element with its repetition; *out is LLMIR_AST_NONE if there is none here. */
static llmir_status_t parse_element(gbnf_parser_t* parser, uint32_t* out) {
    const char c = peek(parser);
    *out = LLMIR_AST_NONE;
    if (take(parser, '"')) {
        LLMIR_TRY(parse_literal(parser, out));
    } else if (take(parser, '[')) {
        LLMIR_TRY(parse_class(parser, out));
    } else if (take(parser, '(')) {
        LLMIR_TRY(parse_group(parser, out));
    } else if (take(parser, '.')) {
        LLMIR_TRY(parse_any(parser, out));
    } else if (is_name_char(c)) {
        llmir_ast_node_t node = {.kind = LLMIR_AST_RULE, .first_child = LLMIR_AST_NONE};
        LLMIR_TRY(parse_name(parser, &node.rule));
        LLMIR_TRY(add_node(parser, node, out));
    } else {
        return LLMIR_STATUS_OK;
    }
    return parse_repeat(parser, out);
}

/* Appends a child behind the last one. */
static void link_child(const llmir_ast_t* ast,
                       uint32_t parent,
                       uint32_t* inout_last,
                       uint32_t child) {
    if (*inout_last == LLMIR_AST_NONE) {
        llmir_ast_node_at(ast, parent)->first_child = child;
    } else {
        llmir_ast_node_at(ast, *inout_last)->next = child;
    }
    *inout_last = child;
}

static llmir_status_t parse_sequence(gbnf_parser_t* parser, uint32_t* out) {
    const llmir_ast_node_t node = {.kind = LLMIR_AST_SEQUENCE, .first_child = LLMIR_AST_NONE};
    uint32_t last = LLMIR_AST_NONE;
    uint32_t child = LLMIR_AST_NONE;
    LLMIR_TRY(add_node(parser, node, out));
    for (;;) {
        skip_between(parser);
        LLMIR_TRY(parse_element(parser, &child));
        if (child == LLMIR_AST_NONE) {
            return LLMIR_STATUS_OK;
        }
        link_child(parser->ast, *out, &last, child);
    }
}

static llmir_status_t parse_alternatives(gbnf_parser_t* parser, uint32_t* out) {
    const llmir_ast_node_t node = {.kind = LLMIR_AST_ALTERNATIVE, .first_child = LLMIR_AST_NONE};
    uint32_t last = LLMIR_AST_NONE;
    uint32_t child = LLMIR_AST_NONE;
    LLMIR_TRY(add_node(parser, node, out));
    do {
        skip_space(parser, 1);
        LLMIR_TRY(parse_sequence(parser, &child));
        link_child(parser->ast, *out, &last, child);
        skip_between(parser);
    } while (take(parser, '|'));
    return LLMIR_STATUS_OK;
}

static llmir_status_t parse_rule(gbnf_parser_t* parser) {
    const size_t at = parser->at;
    uint32_t rule = 0;
    uint32_t body = 0;
    if (!is_name_char(peek(parser))) {
        return fail_at(parser, at, "a rule: name ::= ...");
    }
    LLMIR_TRY(parse_name(parser, &rule));
    skip_space(parser, 0);
    if (!take(parser, ':') || !take(parser, ':') || !take(parser, '=')) {
        return fail_at(parser, parser->at, "'::=' behind the rule's name");
    }
    if (llmir_ast_rule_at(parser->ast, rule)->body != LLMIR_AST_NONE) {
        return fail_at(parser, at, "a rule that has not been defined before");
    }
    LLMIR_TRY(parse_alternatives(parser, &body));
    llmir_ast_rule_t* made = llmir_ast_rule_at(parser->ast, rule);
    made->body = body;
    made->name_begin = (uint32_t)at;
    skip_space(parser, 0);
    if (parser->at < parser->bytes && peek(parser) != '\n' && peek(parser) != '\r') {
        return fail_at(parser, parser->at, "a literal, class, name, '(', '|' or the rule's end");
    }
    return LLMIR_STATUS_OK;
}

/* ---- The whole ---- */

/* Every rule that is used is defined, and there is a root. */
static llmir_status_t check_rules(const gbnf_parser_t* parser) {
    llmir_ast_t* ast = parser->ast;
    ast->root = LLMIR_AST_NONE;
    for (uint32_t i = 0; i < ast->rules.count; ++i) {
        const llmir_ast_rule_t* rule = llmir_ast_rule_at(ast, i);
        if (rule->body == LLMIR_AST_NONE) {
            uint32_t line = 0;
            uint32_t column = 0;
            llmir_ast_position(ast->text, rule->name_begin, &line, &column);
            return llmir_fail(parser->error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "grammar: line %u, column %u: rule '%.*s' is not defined", line,
                              column, (int)(rule->name_bytes < 60 ? rule->name_bytes : 60),
                              ast->text + rule->name_begin);
        }
        if (rule->name_bytes == 4 && memcmp(ast->text + rule->name_begin, "root", 4) == 0) {
            ast->root = i;
        }
    }
    return ast->root != LLMIR_AST_NONE
               ? LLMIR_STATUS_OK
               : llmir_fail(parser->error, LLMIR_STATUS_INVALID_ARGUMENT,
                            "grammar: there is no rule 'root' to begin with");
}

llmir_status_t llmir_gbnf_parse(const llmir_allocator_t* allocator,
                                const char* text,
                                size_t bytes,
                                llmir_ast_t* out_ast,
                                llmir_error_t* error) {
    gbnf_parser_t parser = {out_ast, text, bytes, 0, 0, error};
    *out_ast = (llmir_ast_t){.text = text,
                             .nodes = llmir_vector_of(allocator, sizeof(llmir_ast_node_t)),
                             .rules = llmir_vector_of(allocator, sizeof(llmir_ast_rule_t)),
                             .bytes = llmir_vector_of(allocator, 1),
                             .ranges = llmir_vector_of(allocator, sizeof(llmir_char_range_t)),
                             .root = LLMIR_AST_NONE};
    if (bytes > LLMIR_GRAMMAR_MAX_BYTES) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "grammar: %zu bytes of text, at most %u", bytes, LLMIR_GRAMMAR_MAX_BYTES);
    }
    for (skip_space(&parser, 1); parser.at < bytes; skip_space(&parser, 1)) {
        LLMIR_TRY(parse_rule(&parser));
    }
    return check_rules(&parser);
}

void llmir_ast_free(llmir_ast_t* ast) {
    llmir_vector_free(&ast->nodes);
    llmir_vector_free(&ast->rules);
    llmir_vector_free(&ast->bytes);
    llmir_vector_free(&ast->ranges);
}
