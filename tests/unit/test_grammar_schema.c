/* JSON schemas: the values that they accept. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_random.h"
#include "tests/unit/grammar_language.h"

static void test_grammar_schema_accepts_its_values(void** state) {
    const language_t languages[] = {
        {"{}",
         {"1", "{\"a\": [true, null, -1.5e3]}", "\"\\u00e9\\n\"", "[]", "{ }"},
         {"", "{", "[1,]", "01", "\"\t\"", "nul"}},
        {"{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": "
         "3}, "
         "\"age\": {\"type\": \"integer\"}}, \"required\": [\"age\"]}",
         {"{\"age\": 3}", "{\"name\":\"Bo\",\"age\":-12}", "{\n \"name\": \"\", \"age\": 0\n}"},
         {"{}", "{\"name\": \"Bo\"}", "{\"age\": 1, \"name\": \"x\"}", "{\"age\": 1.5}",
          "{\"name\": \"abcd\", \"age\": 1}", "{\"age\": 1,}"}},
        {"{\"properties\": {\"a\": true, \"b\": {\"const\": \"x\\\"y\"}}}",
         {"{}", "{\"a\": {}}", "{\"b\": \"x\\\"y\"}", "{\"a\": 1, \"b\": \"x\\\"y\"}"},
         {"{\"b\": 1}", "{\"c\": 1}", "{,}"}},
        {"{\"type\": \"array\", \"items\": {\"enum\": [1, \"two\", null]}, \"minItems\": 1, "
         "\"maxItems\": 2}",
         {"[1]", "[ \"two\", null ]"},
         {"[]", "[1,1,1]", "[2]"}},
        {"{\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": [\"number\", \"null\"]}]}",
         {"true", "null", "0.5"},
         {"\"true\"", "[]"}},
        {"{\"$defs\": {\"tree\": {\"type\": \"object\", \"properties\": {\"l\": {\"$ref\": "
         "\"#/$defs/tree\"}, "
         "\"v\": {\"type\": \"integer\"}}, \"required\": [\"v\"], \"additionalProperties\": "
         "false}}, "
         "\"$ref\": \"#/$defs/tree\"}",
         {"{\"v\": 1}", "{\"l\": {\"l\": {\"v\": 3}, \"v\": 2}, \"v\": 1}"},
         {"{\"l\": {}, \"v\": 1}"}},
        {"{\"type\": \"object\", \"additionalProperties\": {\"type\": \"string\", \"format\": "
         "\"date\"}}",
         {"{}", "{\"x\": \"2026-11-27\", \"y\": \"0000-01-31\"}"},
         {"{\"x\": \"2026-13-01\"}", "{\"x\": 1}"}},
        {"{\"properties\": {\"a\": {\"$ref\": \"#/\\u0024defs/\\u00e9\\ud83d\\ude00\"}}, "
         "\"$defs\": {\"\xc3\xa9\xf0\x9f\x98\x80\": {\"type\": \"null\"}}}",
         {"{}", "{\"a\": null}"},
         {"{\"a\": 1}"}},
        {"{\"maxItems\": 1}", {"[]", "[\"a\"]"}, {"[1, 2]", "1"}},
        {"{\"enum\": [1, null], \"type\": [\"integer\", \"null\"]}", {"1", "null"}, {"2"}},
        {"{\"type\": \"string\", \"minLength\": 2}",
         {"\"ab\"", "\"\xc3\xa9\\u0041\""},
         {"\"a\"", "ab"}},
    };
    (void)state;
    check_languages(languages, sizeof(languages) / sizeof(languages[0]), 1);
}

/* Escapes of a surrogate pair are one character; half a pair is none, whatever follows. */
static void test_grammar_schema_escapes_are_characters(void** state) {
    const language_t languages[] = {
        {"{\"type\": \"string\", \"maxLength\": 1}",
         {"\"\\ud83d\\ude00\"", "\"\\uDBFF\\uDFFF\"", "\"\\ud800\\udc00\"", "\"\\ud7ff\"",
          "\"\\ue000\"", "\"\\u0000\"", "\"\\uFFFF\""},
         {"\"\\ud800\"", "\"\\udc00\"", "\"\\uDFFF\"", "\"\\udbff\\n\"", "\"\\ud800\\u0041\"",
          "\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude0\"", "\"\\ud83d\\ude00a\""}},
    };
    (void)state;
    check_languages(languages, sizeof(languages) / sizeof(languages[0]), 1);
}

/* Undeclared properties come behind the declared ones, under names that are none of those. */
static void test_grammar_schema_additional_properties_have_other_names(void** state) {
    const language_t languages[] = {
        {"{\"properties\": {\"a\": {\"type\": \"integer\"}}, \"additionalProperties\": true}",
         {"{}", "{\"a\": 1}", "{\"b\": []}", "{\"a\": 1, \"b\": \"x\", \"ab\": {}}", "{\"\": 1}",
          "{\"\xc3\xa9\": 2, \"aa\": 3}"},
         {"{\"a\": \"x\"}", "{\"b\": 1, \"a\": 2}", "{\"\\u0061\": \"x\"}", "{\"b\": 1,}",
          "{,\"b\": 1}", "{\"a\": 1 \"b\": 2}", "{\"a\": 1, \"a\": []}"}},
        {"{\"properties\": {\"name\": true, \"names\": true, \"no\": true, \"\": true, "
         "\"\xc3\xa9t\": "
         "true, \"q\\\"\": true}, \"required\": [\"no\"], \"additionalProperties\": {\"type\": "
         "\"null\"}}",
         {"{\"no\": 1}", "{\"no\": 1, \"nam\": null, \"namesx\": null, \"non\": null}",
          "{\"name\": 1, \"no\": 2, \"\": 3, \"\xc3\xa9\": null, \"\xc3\xa9ts\": null}",
          "{\"no\": 0, \"q\\\"\": 1, \"q\": null}", "{\"no\": 0, \"n\": null, \"n\": null}"},
         {"{}", "{\"nam\": null}", "{\"no\": 1, \"name\": null}", "{\"no\": 1, \"nam\": 1}",
          "{\"no\": 1, \"\xc3\xa9t\": null, \"\xc3\xa9t\": null}", "{\"no\": 0, \"q\"\": null}",
          "{\"no\": 1, \"names\": null, \"\": null}"}},
    };
    (void)state;
    check_languages(languages, sizeof(languages) / sizeof(languages[0]), 1);
}

/* Every name but the declared ones, over all short names of an alphabet. */
static void test_grammar_schema_other_names_are_all_but_the_declared(void** state) {
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    test_random_t random;
    (void)state;
    test_random_init(&random, 41);
    for (int round = 0; round < 40; ++round) {
        char schema[512] = "{\"properties\": {";
        char names[6][8];
        const uint32_t count = 1 + test_random_below(&random, 6);
        for (uint32_t i = 0; i < count; ++i) {
            const uint32_t length = test_random_below(&random, 5);
            for (uint32_t k = 0; k < length; ++k) {
                names[i][k] = (char)('a' + (int)test_random_below(&random, 3));
            }
            names[i][length] = '\0';
            for (uint32_t k = 0; k < i; ++k) {
                if (strcmp(names[i], names[k]) == 0) {
                    (void)snprintf(names[i], sizeof(names[i]), "z%u", i);
                }
            }
            (void)snprintf(schema + strlen(schema), sizeof(schema) - strlen(schema),
                           "%s\"%s\": {\"const\": 1}", i == 0 ? "" : ", ", names[i]);
        }
        (void)snprintf(schema + strlen(schema), sizeof(schema) - strlen(schema),
                       "}, \"additionalProperties\": {\"const\": 2}}");
        llmir_automaton_t automaton;
        assert_status(compile(&allocator, schema, 1, &automaton, &assert_status_error),
                      LLMIR_STATUS_OK);
        for (uint32_t code = 0; code < 1024; ++code) { /* up to five of a b c, and an end */
            char text[32];
            char name[8] = {0};
            int is_declared = 0;
            for (uint32_t k = 0; k < 5 && (code >> (2 * k) & 3u) != 3u; ++k) {
                name[k] = (char)('a' + (int)(code >> (2 * k) & 3u));
            }
            for (uint32_t i = 0; i < count; ++i) {
                is_declared |= strcmp(name, names[i]) == 0;
            }
            (void)snprintf(text, sizeof(text), "{\"%s\": 2}", name);
            if (accepts(&automaton, text) == is_declared) {
                fail_msg("%s: %s", schema, text);
            }
        }
        release(&automaton);
    }
    test_allocator_check(&counter);
}

static llmir_status_t compile_attempt(const llmir_allocator_t* allocator,
                                      void* user,
                                      llmir_error_t* error) {
    llmir_automaton_t automaton;
    const llmir_status_t status = compile(allocator, user, 1, &automaton, error);
    release(&automaton);
    return status;
}

static void test_grammar_schema_refused_memory_leaks_nothing(void** state) {
    char schema[] =
        "{\"properties\": {\"ab\": true, \"ac\": {\"type\": \"string\"}}, "
        "\"additionalProperties\": {\"type\": \"array\"}}";
    (void)state;
    assert_true(test_allocator_sweep(compile_attempt, schema) > 8);
}

/* Long lists of names are refused in time, not compiled for ever. */
static void test_grammar_schema_too_many_names_are_refused(void** state) {
    static char schema[200000];
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    llmir_automaton_t automaton;
    size_t bytes = (size_t)snprintf(schema, sizeof(schema), "{\"properties\": {");
    (void)state;
    for (int i = 0; i < 1500; ++i) {
        bytes += (size_t)snprintf(schema + bytes, sizeof(schema) - bytes,
                                  "%s\"a-rather-long-name-%d-of-a-property\": true",
                                  i == 0 ? "" : ", ", i);
    }
    (void)snprintf(schema + bytes, sizeof(schema) - bytes, "}, \"additionalProperties\": true}");
    assert_status_message(compile(&allocator, schema, 1, &automaton, &assert_status_error),
                          LLMIR_STATUS_UNSUPPORTED, "too long together");
    release(&automaton);
    test_allocator_check(&counter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar_schema_accepts_its_values),
        cmocka_unit_test(test_grammar_schema_escapes_are_characters),
        cmocka_unit_test(test_grammar_schema_additional_properties_have_other_names),
        cmocka_unit_test(test_grammar_schema_other_names_are_all_but_the_declared),
        cmocka_unit_test(test_grammar_schema_refused_memory_leaks_nothing),
        cmocka_unit_test(test_grammar_schema_too_many_names_are_refused),
    };
    return cmocka_run_group_tests_name("grammar_schema", tests, NULL, NULL);
}
