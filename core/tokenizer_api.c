/* The public functions of the tokenizer: arguments, then core/tokenizer.h. */
#include "core/model.h"
#include "core/tokenizer.h"

#define LLMIR_TOKENIZE_FLAGS ((uint32_t)LLMIR_TOKENIZE_ADD_BOS | (uint32_t)LLMIR_TOKENIZE_SPECIAL)

/* What both directions require; `data` and `out` may be NULL only if their sizes are 0. */
static llmir_status_t check_call(const llmir_model_t* model,
                                 uint32_t flags,
                                 int has_input,
                                 int has_output,
                                 const size_t* out_count,
                                 llmir_error_t* error) {
    if (model == NULL || out_count == NULL || !has_input || !has_output) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "tokenizer: %s is NULL",
                          model == NULL ? "the model"
                          : !has_input  ? "the input"
                          : !has_output ? "an output with a capacity"
                                        : "the output count");
    }
    if ((flags & ~LLMIR_TOKENIZE_FLAGS) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "tokenizer: flags 0x%x, known are 0x%x", (unsigned)flags,
                          (unsigned)LLMIR_TOKENIZE_FLAGS);
    }
    if (llmir_model_tokenizer(model) == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle has no tokenizer; feed token ids");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_capacity(size_t count,
                                     size_t capacity,
                                     const char* what,
                                     llmir_error_t* error) {
    if (count > capacity) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "tokenizer: %zu %s, the output holds %zu",
                          count, what, capacity);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_model_tokenize(const llmir_model_t* model,
                                    const char* text,
                                    size_t text_bytes,
                                    uint32_t flags,
                                    int32_t* tokens,
                                    size_t capacity,
                                    size_t* out_count,
                                    llmir_error_t* error) {
    if (out_count != NULL) {
        *out_count = 0;
    }
    LLMIR_TRY(check_call(model, flags, text != NULL || text_bytes == 0,
                         tokens != NULL || capacity == 0, out_count, error));
    const llmir_encode_text_t input = {text, text_bytes, NULL, 0};
    llmir_token_sink_t sink = {tokens, capacity, 0};
    LLMIR_TRY(llmir_tokenizer_encode(llmir_model_tokenizer(model), llmir_model_allocator(model),
                                     &input, flags, &sink, error));
    *out_count = sink.count;
    return check_capacity(sink.count, capacity, "tokens", error);
}

llmir_status_t llmir_model_detokenize(const llmir_model_t* model,
                                      const int32_t* tokens,
                                      size_t token_count,
                                      uint32_t flags,
                                      char* text,
                                      size_t capacity,
                                      size_t* out_bytes,
                                      llmir_error_t* error) {
    if (out_bytes != NULL) {
        *out_bytes = 0;
    }
    LLMIR_TRY(check_call(model, flags, tokens != NULL || token_count == 0,
                         text != NULL || capacity == 0, out_bytes, error));
    llmir_text_sink_t sink = {text, capacity, 0};
    LLMIR_TRY(llmir_tokenizer_decode(llmir_model_tokenizer(model), tokens, token_count, flags,
                                     &sink, error));
    *out_bytes = sink.bytes;
    return check_capacity(sink.bytes, capacity, "bytes", error);
}

int32_t llmir_model_is_end_token(const llmir_model_t* model, int32_t token) {
    const llmir_tokenizer_t* tokenizer = model != NULL ? llmir_model_tokenizer(model) : NULL;
    return tokenizer != NULL && llmir_tokenizer_is_end(tokenizer, token) ? 1 : 0;
}
