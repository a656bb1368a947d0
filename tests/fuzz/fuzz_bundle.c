#define _POSIX_C_SOURCE 200809L /* posix_memalign */
/* libFuzzer entry for the runtime: any bytes as a bundle. All but the last byte are the file; an
 * even last byte makes its hashes fit first, so that the fuzzer reaches what stands behind them. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/bundle_probe.h"
#include "tests/support/tiny_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

static void* heap_resize(
    void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    void* made = NULL;
    (void)self;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (posix_memalign(&made, alignment < sizeof(void*) ? sizeof(void*) : alignment, new_size) !=
        0) {
        return NULL;
    }
    if (block != NULL) {
        memcpy(made, block, old_size < new_size ? old_size : new_size);
        free(block);
    }
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    llmir_allocator_t heap = {NULL, heap_resize};
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    if (bytes < 2) {
        return 0;
    }
    const tiny_bundle_t view = {(uint8_t*)(uintptr_t)data, bytes - 1};
    tiny_bundle_t copy = tiny_bundle_copy(&view);
    if (data[bytes - 1] % 2 == 0) {
        tiny_bundle_rehash(&copy);
    }
    options.allocator = bundle_probe_allocator(&heap);
    options.thread_count = 1;
    if (llmir_runtime_create(&options, &runtime, NULL) == LLMIR_STATUS_OK) {
        (void)!bundle_probe(runtime, copy.data, copy.bytes, NULL);
    }
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&copy);
    return 0;
}
