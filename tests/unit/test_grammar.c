/* Grammars: what they accept, what their texts get wrong, which tokens they leave, and generation
 * under them. */
#include "core/grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "tests/support/test_random.h"
#include "tests/unit/grammar_language.h"

static void test_grammar_gbnf_accepts_its_language(void** state) {
    const language_t languages[] = {
        {"root ::= \"\"", {""}, {"a"}},
        {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "y", "yess", "maybe"}},
        {"root ::= [a-c]+ \"-\"? [^a-z]{2}",
         {"abc-12", "a++", "b\xc3\xa9\xe2\x82\xac"},
         {"-12", "abc1", "aaab", "a-1b", "a1\xc3"}},
        {"# a comment\nroot ::= item (\n  \", \" item # more\n)*\nitem ::= [0-9]{1,3}\n  | \"x\"",
         {"1", "1, 22, x", "x"},
         {"", "1,2", "1234", "1, "}},
        {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())", ")("}},
        {"root ::= a | b\na ::= \"x\" a | \"y\"\nb ::= \"x\" b | \"z\"",
         {"y", "z", "xxxxxxy", "xxz"},
         {"xx", "xyz"}},
        {"root ::= . \"\\u00e9\" \"\\x41\\U0001F600\\n\\\"\"",
         {"\xe2\x82\xac\xc3\xa9"
          "A\xf0\x9f\x98\x80\n\""},
         {"\xc3\xa9"
          "A\xf0\x9f\x98\x80\n\""}},
        {"root ::= [\\u0400-\\u04ff\\u20ac]*",
         {"", "\xd0\x80\xd3\xbf", "\xe2\x82\xac"},
         {"\xd4\x80", "a", "\xe2\x82\xad"}},
        {"root ::= [^\\u0080-\\U0010ffff]", {"a", "\x01"}, {"\xc2\x80", "\xf4\x8f\xbf\xbf"}},
        {"root ::= e\ne ::= t (\"+\" t)*\nt ::= \"n\" | \"(\" e \")\" | empty t2\nempty ::= "
         "\"\"\nt2 ::= \"m\"",
         {"n+m", "((n)+m)", "m"},
         {"+", "(n", "n+"}},
    };
    (void)state;
    check_languages(languages, sizeof(languages) / sizeof(languages[0]), 0);
}

static void test_grammar_errors_name_line_and_column(void** state) {
    static const struct {
        const char* text;
        int is_schema;
        const char* part;
    } cases[] = {
        {"", 0, "no rule 'root'"},
        {"rot ::= \"a\"", 0, "no rule 'root'"},
        {"root ::= \"a\n", 0, "line 1, column 12"},
        {"root ::= a\n\na ::= b | a \"x\"\nb ::= \"c\"", 0,
         "line 3, column 1: rule 'a' is left-recursive"},
        {"root ::= x\nx ::= \"\" y\ny ::= [a]* x", 0,
         "line 2, column 1: rule 'x' is left-recursive"},
        {"root ::= item", 0, "line 1, column 10: rule 'item' is not defined"},
        {"root ::= \"a\"\nroot ::= \"b\"", 0, "line 2, column 1"},
        {"root ::= (\"a\"", 0, "the text ends, expected ')'"},
        {"root ::= \"a\" )", 0, "line 1, column 14: found ')'"},
        {"root ::= [b-a]", 0, "line 1, column 13"},
        {"root ::= \"\\q\"", 0, "column 12: found 'q', expected an escape"},
        {"root ::= \"a\"{3,2}", 0, "column 14"},
        {"root ::= \"a\"**", 0, "one repetition"},
        {"root ::= \"\xff\"", 0, "found byte 0xff, expected UTF-8"},
        {"root ::= ([a-z]{9999} [0-9]{9999}){9999}", 0, "more than"},
        {"root ::= ([a-c]? [b-d]? [c-e]? [d-f]? [e-g]? [f-h]? [g-i]? [h-j]?){200}", 0,
         "too many ways to go on at once"},
        {"root = \"a\"", 0, "'::='"},
        {"{\"type\": \"strin\"}", 1, "line 1, column 10: expected a type"},
        {"{\n \"pattern\": \"a\"}", 1, "line 2, column 2: this keyword is not supported"},
        {"{\"type\": \"string\",}", 1, "JSON: line 1, column 19: expected a string"},
        {"{\"$ref\": \"#/nowhere\"}", 1, "expected '#'"},
        {"{\"$ref\": \"#\"}", 1, "left-recursive"},
        {"{\"properties\": {\"a\": true}, \"required\": [\"b\"]}", 1, "expected each name"},
        {"[", 1, "JSON: line 1"},
        {"{\"enum\": []}", 1, "expected a list"},
        {"{\"type\": \"array\", \"minItems\": 2, \"maxItems\": 1}", 1, "minItems above"},
        {"{\"type\": \"object\", \"properties\": [true]}", 1, "column 34: expected an object"},
        {"{\"properties\": {}, \"required\": {\"a\": 1}}", 1, "expected a list of names"},
        {"{\"anyOf\": [true], \"type\": \"string\"}", 1, "beside another keyword"},
        {"{\"$ref\": \"#/x\", \"minLength\": 1}", 1, "beside another keyword"},
        {"{\"enum\": [1], \"const\": 1}", 1, "beside another keyword"},
        {"{\"enum\": [1, \"a\"], \"type\": \"integer\"}", 1, "column 14: the value is not of"},
        {"{\"const\": 1.5, \"type\": [\"integer\", \"null\"]}", 1, "the value is not of"},
        {"{\"format\": \"date\", \"maxLength\": 3}", 1, "a length of its own"},
        {"{\"type\": [7]}", 1, "expected a type"},
        {"{\"properties\": {\"a\": 1}}", 1, "expected a schema"},
    };
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        llmir_automaton_t automaton;
        llmir_error_t error = {0};
        assert_int_not_equal(
            compile(&allocator, cases[i].text, cases[i].is_schema, &automaton, &error),
            LLMIR_STATUS_OK);
        if (strstr(error.message, cases[i].part) == NULL) {
            fail_msg("%s: '%s', expected '%s'", cases[i].text, error.message, cases[i].part);
        }
        release(&automaton);
    }
    test_allocator_check(&counter);
}

/* ---- With a vocabulary ---- */

static const char tree_schema[] =
    "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 6}, "
    "\"list\": {\"type\": \"array\", \"items\": {\"$ref\": \"#\"}, \"maxItems\": 2}}, "
    "\"required\": [\"name\"]}";
static const char words_grammar[] =
    "root ::= part{1,6} \"!\"\npart ::= \"Hello\" | \" world\" | \"the end\" | [\\u00e9\\u20ac] | "
    "\"(\" root \")\"";

static llmir_grammar_t* grammar_of(tiny_loaded_t* loaded,
                                   llmir_grammar_kind_t kind,
                                   const char* text) {
    llmir_grammar_t* grammar = NULL;
    assert_status(llmir_grammar_create(loaded->model, kind, text, strlen(text), &grammar,
                                       &assert_status_error),
                  LLMIR_STATUS_OK);
    return grammar;
}

/* The mask of a match, token by token. */
static void check_mask(llmir_grammar_t* grammar, const llmir_match_t* match, const uint32_t* bits) {
    const llmir_tokenizer_t* tokenizer = grammar->vocabulary->tokenizer;
    for (uint32_t id = 0; id < tokenizer->token_count; ++id) {
        llmir_match_t next = *match;
        uint32_t count = 0;
        (void)llmir_tokenizer_token_bytes(tokenizer, (int32_t)id, &count, NULL);
        const int is_special = llmir_tokenizer_is_special(tokenizer, (int32_t)id);
        const int expected = is_special
                                 ? llmir_tokenizer_is_end(tokenizer, (int32_t)id) && match->is_ended
                                 : count != 0 && llmir_grammar_accept(grammar, &next, (int32_t)id,
                                                                      NULL) == LLMIR_STATUS_OK;
        assert_int_equal(bits[id / 32u] >> (id % 32u) & 1u, expected);
    }
}

/* Random texts under the grammar: at each step the mask is what trying every token says. */
static void test_grammar_mask_equals_trying_every_token(void** state) {
    const tiny_options_t options = tiny_options_default();
    test_random_t random;
    tiny_loaded_t loaded;
    (void)state;
    test_random_init(&random, 5);
    tiny_load(&loaded, &options, 1);
    for (int kind = 0; kind < 2; ++kind) {
        llmir_grammar_t* grammar =
            kind == 0 ? grammar_of(&loaded, LLMIR_GRAMMAR_GBNF, words_grammar)
                      : grammar_of(&loaded, LLMIR_GRAMMAR_JSON_SCHEMA, tree_schema);
        for (int text = 0; text < 6; ++text) {
            llmir_match_t match;
            int is_any = 1;
            assert_status(llmir_match_begin(&grammar->automaton, &match, &assert_status_error),
                          LLMIR_STATUS_OK);
            for (int step = 0; step < 60 && is_any; ++step) {
                uint32_t bits[320 / 32 + 1] = {0};
                uint32_t id = test_random_below(&random, 266);
                assert_status(
                    llmir_grammar_allow(grammar, &match, bits, &is_any, &assert_status_error),
                    LLMIR_STATUS_OK);
                check_mask(grammar, &match, bits);
                for (uint32_t tried = 0; tried < 320 && !(bits[id / 32u] >> (id % 32u) & 1u);
                     ++tried) {
                    id = (id + 1u) % 320u;
                }
                assert_status(
                    llmir_grammar_accept(grammar, &match, (int32_t)id, &assert_status_error),
                    LLMIR_STATUS_OK);
            }
        }
        llmir_grammar_destroy(grammar);
    }
    tiny_unload(&loaded);
}

typedef struct generated {
    char text[8192];
    size_t bytes;
    int32_t finish;
} generated_t;

static void generate(llmir_session_t* session, generated_t* out) {
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < 400 && out->finish == LLMIR_FINISH_NONE; ++i) {
        llmir_piece_t piece;
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        memcpy(out->text + out->bytes, piece.text, piece.text_bytes);
        out->bytes += piece.text_bytes;
        out->finish = piece.finish;
    }
}

/* Whatever the sampler, the text is one of the grammar; a fork goes on from the same place; and
 * nothing is allocated. */
static void test_grammar_output_is_in_the_language(void** state) {
    const tiny_options_t options = tiny_options_default();
    const int32_t prompt[3] = {70, 71, 72};
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    llmir_grammar_t* grammar = grammar_of(&loaded, LLMIR_GRAMMAR_JSON_SCHEMA, tree_schema);
    pool_options.session_count = 2;
    pool_options.context_tokens = 1024;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    const size_t allocations = loaded.allocator.allocation_count;
    for (uint64_t seed = 0; seed < 12; ++seed) {
        llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
        llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
        llmir_session_t* session = NULL;
        llmir_session_t* fork = NULL;
        llmir_piece_t piece;
        generated_t rest[2];
        sampler.temperature = seed == 0 ? 0.0f : 1.0f;
        sampler.top_k = seed % 3 == 1 ? 5 : 0;
        sampler.repetition_penalty = seed % 2 ? 1.3f : 0.0f;
        sampler.seed = seed;
        session_options.sampler = &sampler;
        session_options.grammar = grammar;
        session_options.max_tokens = 390;
        assert_status(llmir_session_create(loaded.model, pool, &session_options, &session,
                                           &assert_status_error),
                      LLMIR_STATUS_OK);
        for (int turn = 0; turn < 2; ++turn) {
            char text[8400];
            size_t bytes = 0;
            assert_status(llmir_session_feed(session, prompt, 3, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_status(llmir_session_next(session, &piece, &assert_status_error),
                          LLMIR_STATUS_OK);
            memcpy(text, piece.text, piece.text_bytes);
            bytes = piece.text_bytes;
            assert_status(llmir_session_fork(session, &fork, &assert_status_error),
                          LLMIR_STATUS_OK);
            generate(session, &rest[0]);
            generate(fork, &rest[1]);
            llmir_session_destroy(fork);
            assert_int_equal(rest[0].bytes, rest[1].bytes);
            assert_memory_equal(rest[0].text, rest[1].text, rest[0].bytes);
            memcpy(text + bytes, rest[0].text, rest[0].bytes);
            text[bytes + rest[0].bytes] = '\0';
            if (rest[0].finish == LLMIR_FINISH_END) {
                assert_true(accepts(&grammar->automaton, text));
            }
            llmir_session_reset(session);
        }
        llmir_session_destroy(session);
    }
    assert_int_equal(loaded.allocator.allocation_count, allocations);
    llmir_pool_destroy(pool);
    llmir_grammar_destroy(grammar);
    tiny_unload(&loaded);
}

typedef struct saved {
    uint8_t data[1u << 16];
    size_t bytes;
    size_t taken;
} saved_t;

static llmir_status_t save_bytes(const void* data, size_t bytes, void* user) {
    saved_t* saved = user;
    if (bytes > sizeof(saved->data) - saved->bytes) {
        return LLMIR_STATUS_CAPACITY;
    }
    memcpy(saved->data + saved->bytes, data, bytes);
    saved->bytes += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t load_bytes(void* data, size_t bytes, void* user) {
    saved_t* saved = user;
    if (bytes > saved->bytes - saved->taken) {
        return LLMIR_STATUS_IO;
    }
    memcpy(data, saved->data + saved->taken, bytes);
    saved->taken += bytes;
    return LLMIR_STATUS_OK;
}

/* A session saved in the middle of a text goes on where the grammar stood; one with another grammar
 * refuses it. */
static void test_grammar_restored_session_goes_on(void** state) {
    static saved_t saved;
    const tiny_options_t options = tiny_options_default();
    const int32_t prompt[4] = {90, 91, 92, 93};
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made[2];
    llmir_piece_t piece;
    (void)state;
    tiny_load(&loaded, &options, 1);
    llmir_grammar_t* grammar = grammar_of(&loaded, LLMIR_GRAMMAR_JSON_SCHEMA, tree_schema);
    llmir_grammar_t* other = grammar_of(&loaded, LLMIR_GRAMMAR_GBNF, words_grammar);
    sampler.temperature = 1.0f;
    session_options.sampler = &sampler;
    session_options.grammar = grammar;
    session_options.context_tokens = 256;
    session_options.max_tokens = 120;
    memset(&saved, 0, sizeof(saved));
    llmir_session_t* a = tiny_session(&loaded, &session_options);
    llmir_session_t* b = tiny_session(&loaded, &session_options);
    session_options.grammar = other;
    llmir_session_t* c = tiny_session(&loaded, &session_options);
    assert_status(llmir_session_feed(a, prompt, 4, &assert_status_error), LLMIR_STATUS_OK);
    for (int i = 0; i < 7; ++i) {
        assert_status(llmir_session_next(a, &piece, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(piece.finish, LLMIR_FINISH_NONE);
    }
    assert_status(llmir_session_save(a, save_bytes, &saved, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_restore(b, load_bytes, &saved, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_memory_equal(b->match, a->match, offsetof(llmir_match_t, frames));
    generate(a, &made[0]);
    generate(b, &made[1]);
    assert_int_equal(made[0].bytes, made[1].bytes);
    assert_memory_equal(made[0].text, made[1].text, made[0].bytes);
    saved.taken = 0;
    assert_status_message(llmir_session_restore(c, load_bytes, &saved, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "does not allow");
    assert_int_equal(llmir_session_position(c), 0);
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    llmir_session_destroy(c);
    llmir_grammar_destroy(grammar);
    llmir_grammar_destroy(other);
    tiny_unload(&loaded);
}

/* The greedy text under a grammar of two words ends with the second, without an end token. */
static void test_grammar_whole_text_finishes(void** state) {
    const tiny_options_t options = tiny_options_default();
    const int32_t prompt[2] = {80, 81};
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.grammar =
        grammar_of(&loaded, LLMIR_GRAMMAR_GBNF, "root ::= \"Hello\" \" world\"");
    llmir_session_t* session = tiny_session(&loaded, &session_options);
    assert_status(llmir_session_feed(session, prompt, 2, &assert_status_error), LLMIR_STATUS_OK);
    generate(session, &made);
    assert_string_equal(made.text, "Hello world");
    assert_int_equal(made.finish, LLMIR_FINISH_END);
    llmir_session_destroy(session);
    llmir_grammar_destroy(session_options.grammar);
    tiny_unload(&loaded);
}

/* What one session's steps have found serves the next ones: no walk is made again. */
static void test_grammar_masks_are_kept(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    llmir_match_t match;
    uint32_t bits[320 / 32 + 1];
    int is_any = 0;
    (void)state;
    tiny_load(&loaded, &options, 1);
    llmir_grammar_t* grammar = grammar_of(&loaded, LLMIR_GRAMMAR_GBNF, "root ::= [a-z]+");
    assert_status(llmir_match_begin(&grammar->automaton, &match, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (int i = 0; i < 50; ++i) {
        assert_status(llmir_grammar_allow(grammar, &match, bits, &is_any, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(
            llmir_grammar_accept(grammar, &match, TINY_FIRST_BYTE + 'a', &assert_status_error),
            LLMIR_STATUS_OK);
    }
    assert_int_equal(grammar->masks.walk_count, 3); /* the start, the first letter, the others */
    llmir_grammar_destroy(grammar);
    tiny_unload(&loaded);
}

/* Deep nesting is an error of the call, and leaves the match as it was. */
static void test_grammar_nesting_has_a_bound(void** state) {
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    llmir_automaton_t automaton;
    llmir_match_t match;
    llmir_match_t before;
    (void)state;
    assert_status(compile(&allocator, "root ::= \"(\" root \")\" | \"x\"", 0, &automaton,
                          &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_match_begin(&automaton, &match, &assert_status_error), LLMIR_STATUS_OK);
    for (uint32_t i = 0; i < LLMIR_MATCH_FRAMES - 1u; ++i) {
        assert_status(
            llmir_match_append(&automaton, &match, (const uint8_t*)"(", 1, &assert_status_error),
            LLMIR_STATUS_OK);
    }
    before = match;
    assert_status_message(
        llmir_match_append(&automaton, &match, (const uint8_t*)"((((", 4, &assert_status_error),
        LLMIR_STATUS_CAPACITY, "nested");
    assert_memory_equal(&before, &match, sizeof(match));
    release(&automaton);
    test_allocator_check(&counter);
}

static llmir_status_t create_attempt(const llmir_allocator_t* allocator,
                                     void* user,
                                     llmir_error_t* error) {
    llmir_automaton_t automaton;
    (void)user;
    const llmir_status_t status = compile(allocator, tree_schema, 1, &automaton, error);
    release(&automaton);
    return status;
}

/* Blocks of the tree that grammars of a model share. */
static size_t shared_blocks(const tiny_loaded_t* loaded) {
    return loaded->model->grammar_cache->vocabulary.tokenizer != NULL ? 2u : 0u;
}

/* Returns how many allocations were refused until a grammar was made. */
static size_t sweep_create(tiny_loaded_t* loaded) {
    size_t failures = 0;
    for (;; ++failures) {
        llmir_grammar_t* grammar = NULL;
        const size_t live = loaded->allocator.live_count - shared_blocks(loaded);
        loaded->allocator.fail_at = loaded->allocator.allocation_count + failures + 1u;
        const llmir_status_t status =
            llmir_grammar_create(loaded->model, LLMIR_GRAMMAR_GBNF, words_grammar,
                                 strlen(words_grammar), &grammar, NULL);
        loaded->allocator.fail_at = 0;
        if (status == LLMIR_STATUS_OK) {
            llmir_grammar_destroy(grammar);
            break;
        }
        assert_int_equal(status, LLMIR_STATUS_OUT_OF_MEMORY);
        assert_null(grammar);
        assert_int_equal(loaded->allocator.live_count - shared_blocks(loaded), live);
    }
    return failures;
}

static void test_grammar_refused_memory_leaks_nothing(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    (void)state;
    assert_true(test_allocator_sweep(create_attempt, NULL) > 5);
    tiny_load(&loaded, &options, 1);
    assert_true(sweep_create(&loaded) > 5);
    assert_int_equal(shared_blocks(&loaded), 2);
    assert_true(sweep_create(&loaded) > 5); /* now with the tree there */
    tiny_unload(&loaded);
}

/* The tree of the vocabulary is made by the first grammar, and goes with the model. */
static void test_grammar_vocabulary_is_made_once(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    size_t counts[3];
    (void)state;
    tiny_load(&loaded, &options, 1);
    for (int i = 0; i < 3; ++i) {
        const size_t before = loaded.allocator.allocation_count;
        llmir_grammar_t* grammar = grammar_of(&loaded, LLMIR_GRAMMAR_GBNF, words_grammar);
        assert_ptr_equal(grammar->vocabulary, &loaded.model->grammar_cache->vocabulary);
        llmir_grammar_destroy(grammar);
        counts[i] = loaded.allocator.allocation_count - before;
    }
    assert_int_equal(counts[0], counts[1] + 4);
    assert_int_equal(counts[1], counts[2]);
    tiny_unload(&loaded);
}

static void test_grammar_wrong_arguments_fail(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded[2];
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    llmir_grammar_t* grammar = NULL;
    (void)state;
    tiny_load(&loaded[0], &options, 1);
    tiny_load(&loaded[1], &options, 1);
    assert_status(
        llmir_grammar_create(NULL, LLMIR_GRAMMAR_GBNF, "", 0, &grammar, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_grammar_create(loaded[0].model, (llmir_grammar_kind_t)9, "", 0, &grammar,
                                       &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    session_options.grammar = grammar_of(&loaded[0], LLMIR_GRAMMAR_GBNF, words_grammar);
    assert_status_message(llmir_session_create(loaded[1].model, NULL, &session_options, &session,
                                               &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "another model");
    llmir_grammar_destroy(session_options.grammar);
    llmir_grammar_destroy(NULL);
    tiny_unload(&loaded[0]);
    tiny_unload(&loaded[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar_gbnf_accepts_its_language),
        cmocka_unit_test(test_grammar_errors_name_line_and_column),
        cmocka_unit_test(test_grammar_mask_equals_trying_every_token),
        cmocka_unit_test(test_grammar_output_is_in_the_language),
        cmocka_unit_test(test_grammar_restored_session_goes_on),
        cmocka_unit_test(test_grammar_whole_text_finishes),
        cmocka_unit_test(test_grammar_masks_are_kept),
        cmocka_unit_test(test_grammar_nesting_has_a_bound),
        cmocka_unit_test(test_grammar_refused_memory_leaks_nothing),
        cmocka_unit_test(test_grammar_vocabulary_is_made_once),
        cmocka_unit_test(test_grammar_wrong_arguments_fail),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
