#include "tests/conformance/damaged_code.h"

#include <stdlib.h>
#include <string.h>

#include "targets/gpu/lzma.h"
#include "tests/conformance/case_plan.h"
#include "tests/support/test.h"

/* A copy of a code section, to be changed. Its image is its end. */
typedef struct section_copy {
    uint8_t* data;
    size_t bytes;
    llmir_gpu_image_t* image;
    uint8_t* binary;
} section_copy_t;

static section_copy_t copy_section(const uint8_t* data, size_t bytes, size_t room) {
    section_copy_t copy = {.data = aligned_alloc(64, (bytes + room + 63u) / 64u * 64u),
                           .bytes = bytes};
    assert_non_null(copy.data);
    memcpy(copy.data, data, bytes);
    const llmir_code_record_t* record = (const void*)copy.data;
    copy.image = (void*)(copy.data + record->image_offset);
    copy.binary = copy.data + record->image_offset + copy.image->binary_offset;
    return copy;
}

/* The same with its module as a driver takes it. */
static section_copy_t copy_unpacked(const uint8_t* data, size_t bytes) {
    section_copy_t packed = copy_section(data, bytes, 0);
    const uint32_t module_bytes = packed.image->module_bytes;
    section_copy_t copy = copy_section(data, bytes, module_bytes);
    llmir_code_record_t* record = (void*)copy.data;
    uint16_t scratch[LLMIR_LZMA_SCRATCH_BYTES / 2u];
    assert_int_equal(packed.image->packing, LLMIR_PACKING_LZMA);
    assert_true(llmir_lzma_unpack(packed.binary, packed.image->binary_bytes, scratch, copy.binary,
                                  module_bytes));
    copy.bytes += module_bytes - copy.image->binary_bytes;
    record->image_bytes += module_bytes - copy.image->binary_bytes;
    copy.image->binary_bytes = module_bytes;
    copy.image->packing = LLMIR_PACKING_NONE;
    copy.image->module_bytes = 0;
    free(packed.data);
    return copy;
}

static llmir_status_t load_copy(const target_fixture_t* fixture,
                                const one_plan_t* plan,
                                const section_copy_t* copy,
                                uint32_t level,
                                llmir_error_t* error) {
    static const uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_program_t* program = NULL;
    const llmir_program_options_t options = {.plan = &plan->view,
                                             .code = copy->data,
                                             .code_bytes = copy->bytes,
                                             .code_level = level,
                                             .plan_hash = hash};
    const llmir_status_t status =
        fixture->target->program_load(fixture->device, &options, &program, error);
    fixture->target->program_unload(program);
    return status;
}

static void check_packing(const target_fixture_t* fixture,
                          const one_plan_t* plan,
                          const uint8_t* section,
                          const case_code_t* code) {
    section_copy_t plain = copy_unpacked(section, code->bytes);
    assert_status(load_copy(fixture, plan, &plain, code->level, &assert_status_error),
                  LLMIR_STATUS_OK);
    plain.image->binary_bytes -= 1u; /* text without its end, an ELF file, words without theirs */
    assert_status(load_copy(fixture, plan, &plain, code->level, &assert_status_error),
                  LLMIR_STATUS_CORRUPT);
    free(plain.data);

    section_copy_t copy = copy_section(section, code->bytes, 0);
    const llmir_gpu_image_t image = *copy.image;
    const uint32_t wrong_bytes[] = {0,
                                    1,
                                    image.module_bytes - 4u,
                                    image.module_bytes + 4u,
                                    LLMIR_GPU_MODULE_BYTES_MAX + 1u,
                                    UINT32_MAX};
    copy.image->packing = 2;
    assert_status(load_copy(fixture, plan, &copy, code->level, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
    copy.image->packing = image.packing;
    for (size_t i = 0; i < sizeof wrong_bytes / sizeof *wrong_bytes; ++i) {
        copy.image->module_bytes = wrong_bytes[i];
        assert_status(load_copy(fixture, plan, &copy, code->level, &assert_status_error),
                      LLMIR_STATUS_CORRUPT);
    }
    copy.image->module_bytes = image.module_bytes;
    copy.binary[image.binary_bytes / 2u] ^= 1u;
    assert_status(load_copy(fixture, plan, &copy, code->level, &assert_status_error),
                  LLMIR_STATUS_CORRUPT);
    free(copy.data);
}

/* Drivers of CUDA and HIP are not told how long a module is: one that says it is longer than it is
 * must not get there. */
static void check_end(const target_fixture_t* fixture,
                      const one_plan_t* plan,
                      const uint8_t* section,
                      const case_code_t* code) {
    section_copy_t copy = copy_unpacked(section, code->bytes);
    /* The number of sections of an ELF file; in text, a zero before the last. */
    memset(copy.binary + 60, code->target == LLMIR_SECTION_TARGET_HIP ? 0xff : 0, 2);
    assert_status(load_copy(fixture, plan, &copy, code->level, &assert_status_error),
                  LLMIR_STATUS_CORRUPT);
    free(copy.data);
}

/* Of all code that the device runs. */
static void check_codes(const target_fixture_t* fixture,
                        const llmir_device_caps_t* caps,
                        void (*check)(const target_fixture_t* fixture,
                                      const one_plan_t* plan,
                                      const uint8_t* section,
                                      const case_code_t* code)) {
    one_plan_t plan;
    kernel_case_t c;
    uint32_t checked = 0;
    assert_true(read_case(fixture->folder, 0, &c));
    make_plan(&c, &plan);
    for (uint32_t i = 0; i < c.header->code_count; ++i) {
        if (runs_code(caps, &c.header->codes[i])) {
            check(fixture, &plan, c.codes[i], &c.header->codes[i]);
            ++checked;
        }
    }
    assert_true(checked > 0);
    free(c.bytes);
}

static llmir_device_caps_t caps_or_skip(const target_fixture_t* fixture) {
    llmir_device_caps_t caps = {0};
    if (fixture->device == NULL) {
        skip();
    }
    fixture->target->device_caps(fixture->device, &caps);
    return caps;
}

void test_conformance_modules_are_unpacked(void** state) {
    const llmir_device_caps_t caps = caps_or_skip(*state);
    check_codes(*state, &caps, check_packing);
}

void test_conformance_modules_end_where_they_say(void** state) {
    const llmir_device_caps_t caps = caps_or_skip(*state);
    if (caps.section_target != LLMIR_SECTION_TARGET_CUDA &&
        caps.section_target != LLMIR_SECTION_TARGET_HIP) {
        skip(); /* Vulkan's drivers are told */
    }
    check_codes(*state, &caps, check_end);
}
