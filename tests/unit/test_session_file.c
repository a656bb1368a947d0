/* Saved sessions: what is restored goes on with the same bits; damaged, foreign and truncated data
 * is refused and leaves an empty session. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/blake2b.h"
#include "core/session_file.h"
#include "quant/kv_layout.h"
#include "tests/support/test_file.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define VOCAB 320u
#define TOKENS 150u
#define CAPACITY (1u << 20)

typedef struct memory_file {
    uint8_t* data;
    size_t bytes;
    size_t at;
    size_t limit; /* bytes that it takes or gives at most */
} memory_file_t;

static llmir_status_t memory_write(const void* data, size_t bytes, void* user) {
    memory_file_t* file = user;
    if (bytes > file->limit - file->bytes) {
        return LLMIR_STATUS_IO;
    }
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t memory_read(void* data, size_t bytes, void* user) {
    memory_file_t* file = user;
    if (bytes > file->bytes - file->at) {
        return LLMIR_STATUS_IO;
    }
    memcpy(data, file->data + file->at, bytes);
    file->at += bytes;
    return LLMIR_STATUS_OK;
}

static memory_file_t memory_file(void) {
    const memory_file_t file = {malloc(CAPACITY), 0, 0, CAPACITY};
    assert_non_null(file.data);
    return file;
}

static llmir_status_t restore(llmir_session_t* session, memory_file_t* file, llmir_error_t* error) {
    file->at = 0;
    return llmir_session_restore(session, memory_read, file, error);
}

static void save(llmir_session_t* session, memory_file_t* file) {
    file->bytes = 0;
    assert_status(llmir_session_save(session, memory_write, file, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(file->bytes, llmir_session_saved_bytes(session));
}

/* Makes the hash fit the bytes again. */
static void rehash(memory_file_t* file) {
    if (file->bytes >= LLMIR_BLAKE2B_BYTES) {
        const size_t end = file->bytes - LLMIR_BLAKE2B_BYTES;
        llmir_blake2b_hash(file->data, end, file->data + end);
    }
}

static llmir_session_options_t sampling_options(llmir_sampler_options_t* sampler) {
    static const char* const stops[] = {"zzzz", "\xe2\x82\xac\xe2\x82\xac"};
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    *sampler = (llmir_sampler_options_t)LLMIR_SAMPLER_OPTIONS_INIT;
    sampler->temperature = 1.5f;
    sampler->seed = 4;
    sampler->repetition_penalty = 1.1f;
    options.sampler = sampler;
    options.stop_strings = stops;
    options.stop_count = 2;
    options.flags = LLMIR_SESSION_IGNORE_END;
    return options;
}

/* Both write the same from here on. */
static void assert_go_on_alike(llmir_session_t* a, llmir_session_t* b, int steps) {
    for (int i = 0; i < steps; ++i) {
        llmir_piece_t x, y;
        assert_status(llmir_session_next(a, &x, &assert_status_error), LLMIR_STATUS_OK);
        assert_status(llmir_session_next(b, &y, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(x.token, y.token);
        assert_int_equal(x.finish, y.finish);
        assert_int_equal(x.text_bytes, y.text_bytes);
        assert_memory_equal(x.text, y.text, x.text_bytes);
        assert_memory_equal(llmir_session_logits(a), llmir_session_logits(b),
                            VOCAB * sizeof(float));
        if (x.finish != LLMIR_FINISH_NONE) {
            return;
        }
    }
}

static void test_session_file_restored_session_goes_on_with_the_same_bits(void** state) {
    static const size_t prompts[] = {1, 15, 16, 17, 64, 100};
    tiny_options_t tiny = tiny_options_default();
    (void)state;
    tiny.window = 24;
    for (size_t p = 0; p < 6; ++p) {
        for (uint32_t kv_type = 0; kv_type < LLMIR_KV_STORAGE_COUNT; ++kv_type) {
            llmir_sampler_options_t sampler;
            llmir_session_options_t options = sampling_options(&sampler);
            tiny_loaded_t loaded;
            int32_t ids[TOKENS];
            memory_file_t file = memory_file();
            tiny_ids(6, VOCAB, ids, TOKENS);
            tiny_load(&loaded, &tiny, 2);
            options.kv_type = kv_type;
            llmir_session_t* a = tiny_session(&loaded, &options);
            options.chunk_tokens = 7;
            llmir_session_t* b = tiny_session(&loaded, &options);
            assert_status(llmir_session_feed(a, ids, prompts[p], &assert_status_error),
                          LLMIR_STATUS_OK);
            for (int round = 0; round < 4; ++round) {
                save(a, &file);
                assert_status(restore(b, &file, &assert_status_error), LLMIR_STATUS_OK);
                assert_int_equal(file.at, file.bytes);
                assert_int_equal(llmir_session_position(a), llmir_session_position(b));
                assert_memory_equal(llmir_session_logits(a), llmir_session_logits(b),
                                    VOCAB * sizeof(float));
                assert_go_on_alike(a, b, 5);
            }
            llmir_session_destroy(a);
            llmir_session_destroy(b);
            tiny_unload(&loaded);
            free(file.data);
        }
    }
}

/* Sampled, its text is in the stream, but feeding it was cancelled. */
static void test_session_file_keeps_a_token_that_waits(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    llmir_sampler_options_t sampler;
    llmir_session_options_t options = sampling_options(&sampler);
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    llmir_piece_t piece;
    memory_file_t file = memory_file();
    (void)state;
    tiny_ids(6, VOCAB, ids, TOKENS);
    tiny_load(&loaded, &tiny, 1);
    llmir_session_t* a = tiny_session(&loaded, &options);
    llmir_session_t* b = tiny_session(&loaded, &options);
    assert_status(llmir_session_feed(a, ids, 40, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_next(a, &piece, &assert_status_error), LLMIR_STATUS_OK);
    save(a, &file);
    ((llmir_session_record_t*)(void*)file.data)->pending = 77; /* as if it were sampled */
    rehash(&file);
    assert_status(restore(b, &file, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(restore(a, &file, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_next(b, &piece, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(piece.token, 77);
    assert_status(llmir_session_next(a, &piece, &assert_status_error), LLMIR_STATUS_OK);
    assert_go_on_alike(a, b, 5);
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    tiny_unload(&loaded);
    free(file.data);
}

static void test_session_file_empty_session(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    tiny_loaded_t loaded;
    int32_t ids[20];
    memory_file_t file = memory_file();
    (void)state;
    tiny_ids(6, VOCAB, ids, 20);
    tiny_load(&loaded, &tiny, 1);
    llmir_session_t* a = tiny_session(&loaded, NULL);
    llmir_session_t* b = tiny_session(&loaded, NULL);
    save(a, &file);
    assert_status(llmir_session_feed(b, ids, 20, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(restore(b, &file, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(b), 0);
    assert_null(llmir_session_logits(b));
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    tiny_unload(&loaded);
    free(file.data);
}

/* ---- Hostile data ---- */

typedef struct damage_case {
    tiny_loaded_t loaded;
    llmir_session_t* session;
    memory_file_t file;
    uint8_t* original;
} damage_case_t;

static void damage_begin(damage_case_t* c) {
    tiny_options_t tiny = tiny_options_default();
    int32_t ids[TOKENS];
    tiny.layers = 1;
    tiny_ids(6, VOCAB, ids, TOKENS);
    tiny_load(&c->loaded, &tiny, 1);
    c->session = tiny_session(&c->loaded, NULL);
    c->file = memory_file();
    assert_status(llmir_session_feed(c->session, ids, 40, &assert_status_error), LLMIR_STATUS_OK);
    save(c->session, &c->file);
    c->original = malloc(c->file.bytes);
    assert_non_null(c->original);
    memcpy(c->original, c->file.data, c->file.bytes);
}

static void damage_end(damage_case_t* c) {
    llmir_session_destroy(c->session);
    tiny_unload(&c->loaded);
    free(c->file.data);
    free(c->original);
}

static void test_session_file_every_truncation_is_refused(void** state) {
    damage_case_t c;
    (void)state;
    damage_begin(&c);
    const size_t whole = c.file.bytes;
    for (size_t bytes = 0; bytes < whole; bytes += bytes < 400 ? 1 : 97) {
        c.file.bytes = bytes;
        assert_status(restore(c.session, &c.file, &assert_status_error), LLMIR_STATUS_IO);
        assert_int_equal(llmir_session_position(c.session), 0);
    }
    c.file.bytes = whole;
    assert_status(restore(c.session, &c.file, &assert_status_error), LLMIR_STATUS_OK);
    damage_end(&c);
}

static void test_session_file_every_flipped_byte_is_refused(void** state) {
    damage_case_t c;
    (void)state;
    damage_begin(&c);
    for (size_t i = 0; i < c.file.bytes; i += i < 400 ? 1 : 61) {
        c.file.data[i] ^= 0x41;
        assert_int_not_equal(restore(c.session, &c.file, NULL), LLMIR_STATUS_OK);
        assert_int_equal(llmir_session_position(c.session), 0);
        c.file.data[i] ^= 0x41;
    }
    damage_end(&c);
}

/* With a hash that fits: refused, or a session that works. */
static void test_session_file_forged_records_do_no_harm(void** state) {
    damage_case_t c;
    test_random_t random;
    uint32_t accepted = 0;
    (void)state;
    test_random_init(&random, 8);
    damage_begin(&c);
    const size_t whole = c.file.bytes;
    for (int round = 0; round < 3000; ++round) {
        llmir_piece_t piece;
        memcpy(c.file.data, c.original, whole);
        c.file.bytes = whole;
        for (uint32_t k = 0; k <= test_random_below(&random, 3); ++k) {
            const uint32_t range = round % 2 ? 300u : (uint32_t)whole;
            const uint32_t at = 8u + test_random_below(&random, range - 8u);
            c.file.data[at] = (uint8_t)(test_random_below(&random, 3) ? 0xff : round);
        }
        rehash(&c.file);
        if (restore(c.session, &c.file, NULL) == LLMIR_STATUS_OK) {
            ++accepted;
            (void)!llmir_session_next(c.session, &piece, NULL);
        }
    }
    assert_true(accepted > 100);
    damage_end(&c);
}

static void test_session_file_says_what_does_not_fit(void** state) {
    damage_case_t c;
    tiny_loaded_t other;
    tiny_options_t tiny = tiny_options_default();
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    (void)state;
    damage_begin(&c);
    llmir_session_record_t* record = (llmir_session_record_t*)(void*)c.file.data;
    options.context_tokens = 32;
    llmir_session_t* small = tiny_session(&c.loaded, &options);
    assert_status_message(restore(small, &c.file, &assert_status_error), LLMIR_STATUS_CAPACITY,
                          "40 positions");
    llmir_session_destroy(small);
    options.context_tokens = 0;
    options.kv_type = LLMIR_KV_F32;
    llmir_session_t* f32 = tiny_session(&c.loaded, &options);
    assert_status_message(restore(f32, &c.file, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "kv_type");
    llmir_session_destroy(f32);
    tiny.seed = 99;
    tiny_load(&other, &tiny, 1);
    llmir_session_t* foreign = tiny_session(&other, NULL);
    assert_status_message(restore(foreign, &c.file, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "another bundle");
    llmir_session_destroy(foreign);
    tiny_unload(&other);
    record->version = 3;
    assert_status_message(restore(c.session, &c.file, &assert_status_error),
                          LLMIR_STATUS_UNSUPPORTED, "version 3");
    assert_status(llmir_session_restore(c.session, NULL, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_save(c.session, NULL, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_int_equal(llmir_session_saved_bytes(NULL), 0);
    damage_end(&c);
}

/* Restored pages come from outside: no other session may find them. */
static void test_session_file_restored_pages_are_not_shared(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_t* a = NULL;
    llmir_session_t* b = NULL;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    memory_file_t file = memory_file();
    (void)state;
    tiny_ids(6, VOCAB, ids, TOKENS);
    tiny_load(&loaded, &tiny, 1);
    llmir_session_t* source = tiny_session(&loaded, NULL);
    assert_status(llmir_session_feed(source, ids, 100, &assert_status_error), LLMIR_STATUS_OK);
    save(source, &file);
    pool_options.session_count = 2;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &a, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &b, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(restore(a, &file, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(a, ids + 100, 40, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_cached(b, ids, TOKENS), 0);
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    llmir_session_destroy(source);
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
    free(file.data);
}

/* ---- Files, and callbacks that fail ---- */

static void test_session_file_writer_that_fails_is_reported(void** state) {
    damage_case_t c;
    (void)state;
    damage_begin(&c);
    const size_t whole = c.file.bytes;
    for (size_t limit = 0; limit < whole; limit += limit < 300 ? 1 : 997) {
        c.file.bytes = 0;
        c.file.limit = limit;
        assert_status(llmir_session_save(c.session, memory_write, &c.file, &assert_status_error),
                      LLMIR_STATUS_IO);
        assert_int_equal(llmir_session_position(c.session), 40);
    }
    damage_end(&c);
}

/* Where files have modes, nobody but their owner may read a session. */
static void check_private(const char* path) {
#if defined(__unix__)
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 077, 0);
#else
    (void)path;
#endif
}

static void test_session_file_on_disk(void** state) {
    damage_case_t c;
    char folder[TEST_FOLDER_BYTES], path[64], partial[80];
    (void)state;
    damage_begin(&c);
    test_folder_make(folder);
    (void)snprintf(path, sizeof(path), "%s/session", folder);
    (void)snprintf(partial, sizeof(partial), "%s.partial", path);
    for (int round = 0; round < 2; ++round) {
        assert_status(llmir_session_save_file(c.session, path, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(test_file_bytes(path), c.file.bytes);
        assert_int_equal(test_file_bytes(partial), -1);
        check_private(path);
    }
    llmir_session_reset(c.session);
    assert_status(llmir_session_restore_file(c.session, path, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(c.session), 40);
    test_file_cut(path, 1000);
    assert_status(llmir_session_restore_file(c.session, path, &assert_status_error),
                  LLMIR_STATUS_IO);
    test_file_remove(path);
    assert_status(llmir_session_restore_file(c.session, path, &assert_status_error),
                  LLMIR_STATUS_NOT_FOUND);
    assert_status(llmir_session_restore_file(c.session, folder, &assert_status_error),
                  LLMIR_STATUS_IO);
    test_folder_remove(folder);
    assert_status(llmir_session_save_file(c.session, path, &assert_status_error),
                  LLMIR_STATUS_NOT_FOUND);
    assert_status(llmir_session_save_file(c.session, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
#if defined(__linux__)
    assert_status(llmir_session_save_file(c.session, "/dev/full/x", &assert_status_error),
                  LLMIR_STATUS_NOT_FOUND);
#endif
    damage_end(&c);
}

static void test_session_file_allocates_nothing(void** state) {
    damage_case_t c;
    (void)state;
    damage_begin(&c);
    const size_t before = c.loaded.allocator.allocation_count;
    save(c.session, &c.file);
    assert_status(restore(c.session, &c.file, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(c.loaded.allocator.allocation_count, before);
    damage_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_file_restored_session_goes_on_with_the_same_bits),
        cmocka_unit_test(test_session_file_keeps_a_token_that_waits),
        cmocka_unit_test(test_session_file_empty_session),
        cmocka_unit_test(test_session_file_every_truncation_is_refused),
        cmocka_unit_test(test_session_file_every_flipped_byte_is_refused),
        cmocka_unit_test(test_session_file_forged_records_do_no_harm),
        cmocka_unit_test(test_session_file_says_what_does_not_fit),
        cmocka_unit_test(test_session_file_restored_pages_are_not_shared),
        cmocka_unit_test(test_session_file_writer_that_fails_is_reported),
        cmocka_unit_test(test_session_file_on_disk),
        cmocka_unit_test(test_session_file_allocates_nothing),
    };
    return cmocka_run_group_tests_name("session_file", tests, NULL, NULL);
}
