/* libFuzzer entry for saved sessions: any bytes as what llmir_session_restore reads. All but the
 * last byte are the data; with bit 0 of the last byte clear its hash is made to fit first, with bit
 * 1 clear the bundle's hash, so that the fuzzer reaches what stands behind them. What is restored
 * must be a session that generates and can be saved again. */
#include <stdlib.h>
#include <string.h>

#include "core/base/blake2b.h"
#include "core/session_file.h"
#include "llmir.h"
#include "tests/fuzz/session_model.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);
int LLVMFuzzerInitialize(int* argc, char*** argv);

static llmir_model_t* model;
static uint8_t root_hash[LLMIR_BUNDLE_HASH_BYTES];

int LLVMFuzzerInitialize(int* argc, char*** argv) {
    const tiny_options_t tiny = session_model_options();
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    const tiny_bundle_t bundle = tiny_bundle_build(&tiny);
    (void)argc;
    (void)argv;
    memcpy(root_hash, ((const llmir_bundle_header_t*)(const void*)bundle.data)->root_hash,
           sizeof(root_hash));
    options.thread_count = 1;
    if (llmir_runtime_create(&options, &runtime, NULL) != LLMIR_STATUS_OK ||
        llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model, NULL) !=
            LLMIR_STATUS_OK) {
        abort();
    }
    return 0;
}

typedef struct input {
    const uint8_t* data;
    size_t bytes;
    size_t at;
} input_t;

static llmir_status_t read_input(void* data, size_t bytes, void* user) {
    input_t* input = user;
    if (bytes > input->bytes - input->at) {
        return LLMIR_STATUS_IO;
    }
    memcpy(data, input->data + input->at, bytes);
    input->at += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t count_output(const void* data, size_t bytes, void* user) {
    (void)data;
    *(uint64_t*)user += bytes;
    return LLMIR_STATUS_OK;
}

/* What a restored session must be able to do. */
static void use(llmir_session_t* session) {
    llmir_piece_t piece = {.finish = LLMIR_FINISH_NONE};
    uint64_t written = 0;
    for (int i = 0; i < 3 && piece.finish == LLMIR_FINISH_NONE; ++i) {
        if (llmir_session_next(session, &piece, NULL) != LLMIR_STATUS_OK) {
            break;
        }
    }
    if (llmir_session_save(session, count_output, &written, NULL) != LLMIR_STATUS_OK ||
        written != llmir_session_saved_bytes(session)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    if (bytes < 1) {
        return 0;
    }
    const uint8_t switches = data[bytes - 1u];
    uint8_t* copy = malloc(bytes);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, bytes);
    input_t input = {copy, bytes - 1u, 0};
    if ((switches & 2u) == 0 && input.bytes >= sizeof(llmir_session_record_t)) {
        memcpy(copy + offsetof(llmir_session_record_t, bundle_hash), root_hash, sizeof(root_hash));
    }
    if ((switches & 1u) == 0 && input.bytes >= LLMIR_BLAKE2B_BYTES) {
        const size_t end = input.bytes - LLMIR_BLAKE2B_BYTES;
        llmir_blake2b_hash(copy, end, copy + end);
    }
    options.context_tokens = 100;
    if (llmir_session_create(model, NULL, &options, &session, NULL) == LLMIR_STATUS_OK) {
        if (llmir_session_restore(session, read_input, &input, NULL) == LLMIR_STATUS_OK) {
            use(session);
        } else if (llmir_session_position(session) != 0) {
            abort();
        }
    }
    llmir_session_destroy(session);
    free(copy);
    return 0;
}
