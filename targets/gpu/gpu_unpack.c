/* Modules lie packed in bundles: PTX, SPIR-V and code objects shrink to a fifth to an eleventh.
 * They are unpacked for the time in which a driver takes them. */
#include "targets/gpu/gpu_unpack.h"

#include <inttypes.h>
#include <string.h>

#include "targets/gpu/lzma.h"

#define BLOCK_ALIGNMENT 64u

/* The block: what LZMA works in, the module. */
static size_t block_bytes(size_t module_bytes) {
    return LLMIR_LZMA_SCRATCH_BYTES + module_bytes;
}

static llmir_status_t unpack_lzma(const llmir_allocator_t* allocator,
                                  const llmir_gpu_code_t* code,
                                  llmir_gpu_module_t* out_module,
                                  llmir_error_t* error) {
    const size_t bytes = code->module_bytes;
    if (bytes == 0 || bytes > LLMIR_GPU_MODULE_BYTES_MAX) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: a module of %zu bytes, expected 1 to %u", bytes,
                          LLMIR_GPU_MODULE_BYTES_MAX);
    }
    void* block = NULL;
    LLMIR_TRY(llmir_allocate(allocator, block_bytes(bytes), BLOCK_ALIGNMENT, "unpacked GPU code",
                             &block, error));
    uint8_t* module = (uint8_t*)block + LLMIR_LZMA_SCRATCH_BYTES;
    if (!llmir_lzma_unpack(code->binary, code->binary_bytes, block, module, bytes)) {
        llmir_free(allocator, block, block_bytes(bytes), BLOCK_ALIGNMENT);
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: %" PRIu32 " bytes, expected an LZMA stream of %zu",
                          code->binary_bytes, bytes);
    }
    out_module->data = module;
    out_module->bytes = bytes;
    out_module->block = block;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_module_unpack(const llmir_allocator_t* allocator,
                                       const llmir_gpu_code_t* code,
                                       llmir_gpu_module_t* out_module,
                                       llmir_error_t* error) {
    memset(out_module, 0, sizeof *out_module);
    switch (code->packing) {
        case LLMIR_PACKING_NONE:
            out_module->data = code->binary;
            out_module->bytes = code->binary_bytes;
            return LLMIR_STATUS_OK;
        case LLMIR_PACKING_LZMA:
            return unpack_lzma(allocator, code, out_module, error);
        default:
            return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                              "GPU image: packing %" PRIu32 ", this runtime knows 0 and 1",
                              code->packing);
    }
}

void llmir_gpu_module_free(const llmir_allocator_t* allocator, llmir_gpu_module_t* module) {
    llmir_free(allocator, module->block, block_bytes(module->bytes), BLOCK_ALIGNMENT);
    memset(module, 0, sizeof *module);
}
