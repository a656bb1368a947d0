/* Wrong use that every platform must answer alike, with a status and a message that tell what is
 * wrong: code for other processors alone, too small an arena, weights that were cut off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test_file.h"
#include "tests/support/tiny_model.h"

static llmir_runtime_t* make_runtime(const llmir_allocator_t* allocator) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    options.thread_count = 1;
    if (allocator != NULL) {
        options.allocator = *allocator;
    }
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error), LLMIR_STATUS_OK);
    return runtime;
}

/* The logits after three tokens, as a hash. */
static uint64_t hash_of_logits(llmir_model_t* model, uint32_t vocab) {
    static const int32_t ids[3] = {5, 6, 7};
    llmir_session_t* session = NULL;
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, ids, 3, &assert_status_error), LLMIR_STATUS_OK);
    const unsigned char* bytes = (const unsigned char*)llmir_session_logits(session);
    for (size_t i = 0; i < vocab * sizeof(float); ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    llmir_session_destroy(session);
    return hash;
}

/* What a model says of its code; the model itself is gone. */
typedef struct code_facts {
    char code[64];
    char reason[128];
    uint64_t logits_hash;
} code_facts_t;

/* Loads a bundle whose CHAT section has become code for a processor. */
static code_facts_t load_with_code_for(uint32_t level) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_bundle_section_t* section = tiny_bundle_section(&bundle, LLMIR_SECTION_CHAT);
    llmir_runtime_t* runtime = make_runtime(NULL);
    llmir_model_t* model = NULL;
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    code_facts_t facts = {{0}, {0}, 0};
    section->kind = LLMIR_SECTION_CODE;
    section->target = LLMIR_SECTION_TARGET_CPU;
    section->level = level;
    tiny_bundle_rehash(&bundle);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                          &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_get_info(model, &info, &assert_status_error), LLMIR_STATUS_OK);
    (void)snprintf(facts.code, sizeof(facts.code), "%s", info.code);
    (void)snprintf(facts.reason, sizeof(facts.reason), "%s", info.code_reason);
    facts.logits_hash = hash_of_logits(model, options.vocab);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
    return facts;
}

static void test_wrong_use_code_for_other_processors_is_passed_over(void** state) {
    static const uint32_t levels[] = {0x0102, 0x0203, 0x0301, 0x0401, 0x7f01};
    const uint64_t expected = load_with_code_for(0x7f01).logits_hash;
    size_t own = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); ++i) {
        const code_facts_t facts = load_with_code_for(levels[i]);
        assert_true(facts.logits_hash == expected);
        assert_memory_equal(facts.code, "built-in", 8);
        assert_true(facts.reason[0] != '\0');
        own += strcmp(facts.reason, "the bundle has no code for this device") != 0;
    }
    assert_in_range(own, 0, 1); /* of this processor's own, another reason may be told */
}

/* An arena: one block that is handed out from its beginning, and given back as a whole. */
typedef struct arena {
    uint8_t* block;
    size_t bytes, used;
} arena_t;

static void* take(void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    arena_t* arena = self;
    if (new_size == 0) {
        return NULL;
    }
    const size_t begin = (arena->used + alignment - 1) / alignment * alignment;
    if (begin > arena->bytes || new_size > arena->bytes - begin) {
        return NULL;
    }
    arena->used = begin + new_size;
    if (block != NULL) {
        memcpy(arena->block + begin, block, old_size < new_size ? old_size : new_size);
    }
    return arena->block + begin;
}

static void test_wrong_use_small_arena_is_refused_with_its_size(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    arena_t arena = {aligned_alloc(4096, 1 << 22), 1 << 22, 0};
    const llmir_allocator_t allocator = {&arena, take};
    llmir_runtime_t* runtime = make_runtime(&allocator);
    llmir_model_t* model = NULL;
    llmir_pool_t* pool = NULL;
    (void)state;
    assert_non_null(arena.block);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                          &assert_status_error),
                  LLMIR_STATUS_OK);
    pool_options.context_tokens = 64;
    assert_status(llmir_model_memory_plan(model, &pool_options, &plan, &assert_status_error),
                  LLMIR_STATUS_OK);
    arena.used = (arena.used + 4095) / 4096 * 4096;
    const size_t before = arena.used;
    arena.bytes = before + (size_t)plan.arena_bytes / 2;
    assert_status_message(llmir_pool_create(model, &pool_options, &pool, &assert_status_error),
                          LLMIR_STATUS_OUT_OF_MEMORY, "pool: ");
    assert_null(pool);
    arena.used = before;
    arena.bytes = before + (size_t)plan.arena_bytes - 1;
    assert_status_message(llmir_pool_create(model, &pool_options, &pool, &assert_status_error),
                          LLMIR_STATUS_OUT_OF_MEMORY, " bytes were refused");
    assert_null(pool);
    arena.used = before;
    arena.bytes++;
    assert_status(llmir_pool_create(model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(arena.used, arena.bytes);
    llmir_pool_destroy(pool);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    free(arena.block);
    tiny_bundle_free(&bundle);
}

static void test_wrong_use_cut_weights_are_told_with_both_sizes(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_runtime_t* runtime = make_runtime(NULL);
    llmir_model_t* model = NULL;
    const size_t left = bundle.bytes - 4096;
    char folder[TEST_FOLDER_BYTES], path[64], sizes[96];
    (void)state;
    test_folder_make(folder);
    (void)snprintf(path, sizeof(path), "%s/model", folder);
    (void)snprintf(sizes, sizeof(sizes), "header: %u bytes, expected %u", (unsigned)left,
                   (unsigned)bundle.bytes);
    test_file_write(path, bundle.data, left, NULL, 0);
    assert_status_message(llmir_model_load_file(runtime, path, NULL, &model, &assert_status_error),
                          LLMIR_STATUS_CORRUPT, sizes);
    assert_null(model);
    const int32_t descriptor = test_descriptor_open(path);
    assert_status_message(llmir_model_load_descriptor(runtime, descriptor, 0, left, NULL, &model,
                                                      &assert_status_error),
                          LLMIR_STATUS_CORRUPT, sizes);
    assert_status_message(llmir_model_load_descriptor(runtime, descriptor, 0, bundle.bytes, NULL,
                                                      &model, &assert_status_error),
                          LLMIR_STATUS_IO, "reach beyond the end of the file");
    test_descriptor_close(descriptor);
    assert_status_message(
        llmir_model_load_memory(runtime, bundle.data, left, NULL, &model, &assert_status_error),
        LLMIR_STATUS_CORRUPT, sizes);
    test_file_remove(path);
    test_folder_remove(folder);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_use_code_for_other_processors_is_passed_over),
        cmocka_unit_test(test_wrong_use_small_arena_is_refused_with_its_size),
        cmocka_unit_test(test_wrong_use_cut_weights_are_told_with_both_sizes),
    };
    return cmocka_run_group_tests_name("wrong_use", tests, NULL, NULL);
}
