/* libFuzzer entry for packed code of GPUs: the first two bytes are how long it is to be unpacked,
 * the others are the stream. What is no stream is refused, and nothing beside is touched. */
#include <stdint.h>
#include <stdlib.h>

#include "targets/gpu/lzma.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    if (bytes < 2) {
        return 0;
    }
    const size_t out_bytes = 1u + (size_t)data[0] + 256u * (size_t)data[1];
    uint8_t* out = malloc(out_bytes);
    void* scratch = malloc(LLMIR_LZMA_SCRATCH_BYTES);
    if (out != NULL && scratch != NULL) {
        (void)llmir_lzma_unpack(data + 2, bytes - 2, scratch, out, out_bytes);
    }
    free(scratch);
    free(out);
    return 0;
}
