/* Damaged bundles: cut anywhere, with bytes changed at random. Each gives a clear error or a model
 * that runs; with sanitizers on, never a byte out of bounds. LLMIR_TEST_ROUNDS sets how many. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/bundle_probe.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define DEFAULT_ROUNDS 12000u

typedef struct damage_case {
    test_allocator_t heap;
    llmir_allocator_t counted;
    llmir_runtime_t* runtime;
    tiny_bundle_t good;
    size_t loaded_count;
} damage_case_t;

/* At the kernels of `level` or below; 0: the machine's best. */
static void begin(damage_case_t* c, const tiny_options_t* options, uint32_t level) {
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    memset(c, 0, sizeof(*c));
    c->good = tiny_bundle_build(options);
    c->counted = test_allocator(&c->heap);
    runtime_options.allocator = bundle_probe_allocator(&c->counted);
    runtime_options.thread_count = 1;
    runtime_options.cpu_level_max = level;
    assert_status(llmir_runtime_create(&runtime_options, &c->runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
}

static void end(damage_case_t* c) {
    llmir_runtime_destroy(c->runtime);
    tiny_bundle_free(&c->good);
    test_allocator_check(&c->heap);
}

static void try_bundle(damage_case_t* c, const tiny_bundle_t* bundle) {
    llmir_error_t error = {0};
    const llmir_status_t status = bundle_probe(c->runtime, bundle->data, bundle->bytes, &error);
    if (status == LLMIR_STATUS_OK) {
        ++c->loaded_count;
        return;
    }
    assert_true(error.message[0] != '\0');
    assert_int_equal(error.code, status);
}

static tiny_options_t small_options(uint32_t layout) {
    tiny_options_t options = tiny_options_default();
    options.layout = layout;
    options.dim = 32;
    options.ffn = 32;
    options.q_heads = 2;
    options.kv_heads = 1;
    options.bias = layout == LLMIR_LAYOUT_PANEL_U4;
    options.head_norm = layout == LLMIR_LAYOUT_PANEL_U4;
    options.delta_norm = layout != LLMIR_LAYOUT_PANEL_U4;
    options.split_gate = layout == LLMIR_LAYOUT_PANEL_S8;
    options.window = 7;
    return options;
}

static void test_bundle_damage_truncated_anywhere_is_refused(void** state) {
    const tiny_options_t options = small_options(LLMIR_LAYOUT_PANEL_U4);
    damage_case_t c;
    (void)state;
    begin(&c, &options, 0);
    for (size_t bytes = 0; bytes < c.good.bytes; bytes += 64) {
        const tiny_bundle_t view = {c.good.data, bytes};
        tiny_bundle_t cut = tiny_bundle_copy(&view);
        try_bundle(&c, &cut);
        /* Also with a header that knows of the cut. */
        if (bytes >= sizeof(llmir_bundle_header_t)) {
            ((llmir_bundle_header_t*)(void*)cut.data)->file_bytes = bytes;
            tiny_bundle_rehash(&cut);
            try_bundle(&c, &cut);
        }
        tiny_bundle_free(&cut);
    }
    assert_int_equal(c.loaded_count, 0);
    try_bundle(&c, &c.good);
    assert_int_equal(c.loaded_count, 1);
    end(&c);
}

/* A place to damage: anywhere, or mostly where a byte decides much. */
static size_t random_place(test_random_t* random, const tiny_bundle_t* bundle) {
    const llmir_bundle_header_t* header = (const void*)bundle->data;
    const llmir_bundle_section_t* table =
        (const void*)(bundle->data + header->section_table_offset);
    const uint32_t choice = test_random_below(random, 16);
    if (choice == 0) {
        return test_random_below(random, (uint32_t)bundle->bytes);
    }
    if (choice == 1) {
        return test_random_below(random, (uint32_t)table[0].offset);
    }
    if (choice < 10) {
        const llmir_bundle_section_t* plan = tiny_bundle_section(bundle, LLMIR_SECTION_PLAN);
        return (size_t)plan->offset + test_random_below(random, (uint32_t)plan->bytes);
    }
    const llmir_bundle_section_t* section =
        &table[test_random_below(random, header->section_count)];
    const uint32_t reach = section->bytes < 2048 ? (uint32_t)section->bytes : 2048u;
    return (size_t)section->offset + test_random_below(random, reach);
}

static void damage(test_random_t* random, const tiny_bundle_t* good, tiny_bundle_t* copy) {
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xff};
    const uint32_t count = 1 + test_random_below(random, 3);
    for (uint32_t i = 0; i < count; ++i) {
        uint8_t* byte = &copy->data[random_place(random, good)];
        switch (test_random_below(random, 3)) {
            case 0:
                *byte ^= (uint8_t)(1u << test_random_below(random, 8));
                break;
            case 1:
                *byte = values[test_random_below(random, sizeof(values))];
                break;
            default:
                *byte = (uint8_t)(*byte + 1u - 2u * test_random_below(random, 2));
                break;
        }
    }
}

/* Half of the rounds make the hashes fit again, so that the checks behind them are met. */
static void test_bundle_damage_random_bytes_never_crash(void** state) {
    static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_F32, LLMIR_LAYOUT_PANEL_U4,
                                       LLMIR_LAYOUT_PANEL_S8};
    const char* text = getenv("LLMIR_TEST_ROUNDS");
    const size_t rounds = text != NULL ? strtoull(text, NULL, 0) : DEFAULT_ROUNDS;
    test_random_t random;
    (void)state;
    test_random_init(&random, 2026);
    for (int l = 0; l < 3; ++l) {
        const tiny_options_t options = small_options(layouts[l]);
        damage_case_t c;
        begin(&c, &options, 0);
        for (size_t round = 0; round < rounds / 3; ++round) {
            tiny_bundle_t copy = tiny_bundle_copy(&c.good);
            damage(&random, &c.good, &copy);
            if (round % 2 == 0) {
                tiny_bundle_rehash(&copy);
            }
            try_bundle(&c, &copy);
            tiny_bundle_free(&copy);
        }
        print_message("layout %u: %zu of %zu damaged bundles ran\n", layouts[l], c.loaded_count,
                      rounds / 3);
        assert_true(c.loaded_count > 0 && c.loaded_count < rounds / 3);
        end(&c);
    }
}

/* Every `step` bytes behind the tables of the weights, a word becomes `value`. */
static void fill_weights(const tiny_bundle_t* bundle, uint32_t value, size_t step) {
    const llmir_bundle_header_t* header = (const void*)bundle->data;
    const llmir_bundle_section_t* table =
        (const void*)(bundle->data + header->section_table_offset);
    for (uint32_t s = 0; s < header->section_count; ++s) {
        const size_t end_at = (size_t)(table[s].offset + table[s].bytes);
        for (size_t at = (size_t)table[s].offset + 3072;
             table[s].kind == LLMIR_SECTION_WEIGHTS && at + 4 <= end_at; at += step) {
            memcpy(bundle->data + at, &value, 4);
        }
    }
}

#define PATTERN_COUNT 10u

/* Weights are not looked at when a bundle is loaded: kernels must stand any. Scales and values
 * become NaN, infinities, the largest and the smallest numbers. */
static void test_bundle_damage_weights_of_any_value_run(void** state) {
    static const uint32_t patterns[PATTERN_COUNT] = {0x00000000, 0xffffffff, 0x7f800000, 0xff800000,
                                                     0x7c007c00, 0xfc007c00, 0x7f7fffff, 0x7bff7bff,
                                                     0x00000001, 0x80008000};
    static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_F32,  LLMIR_LAYOUT_PANEL_F16,
                                       LLMIR_LAYOUT_PANEL_BF16, LLMIR_LAYOUT_PANEL_S4,
                                       LLMIR_LAYOUT_PANEL_U4,   LLMIR_LAYOUT_PANEL_S8};
    (void)state;
    for (size_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]) * 3; ++l) {
        static const uint32_t levels[] = {0, LLMIR_CPU_LEVEL_X86_64_V2, 1 /* plain C */};
        const tiny_options_t options = small_options(layouts[l / 3]);
        damage_case_t c;
        begin(&c, &options, levels[l % 3]);
        for (size_t i = 0; i < 3 * PATTERN_COUNT; ++i) {
            static const size_t steps[] = {4, 12, 28};
            tiny_bundle_t copy = tiny_bundle_copy(&c.good);
            fill_weights(&copy, patterns[i % PATTERN_COUNT], steps[i / PATTERN_COUNT]);
            try_bundle(&c, &copy);
            tiny_bundle_free(&copy);
        }
        assert_int_equal(c.loaded_count, 3 * PATTERN_COUNT);
        end(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle_damage_truncated_anywhere_is_refused),
        cmocka_unit_test(test_bundle_damage_random_bytes_never_crash),
        cmocka_unit_test(test_bundle_damage_weights_of_any_value_run),
    };
    return cmocka_run_group_tests_name("bundle_damage", tests, NULL, NULL);
}
