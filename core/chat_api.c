/* The public function of chat templates: arguments, then core/chat.h. */
#include "core/chat.h"
#include "core/model.h"

#define LLMIR_CHAT_FLAGS ((uint32_t)LLMIR_CHAT_GENERATE | (uint32_t)LLMIR_CHAT_CONTINUE)

static llmir_status_t check_call(const llmir_model_t* model,
                                 uint32_t flags,
                                 int has_input,
                                 int has_output,
                                 llmir_error_t* error) {
    if (model == NULL || !has_input || !has_output) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "chat: %s is NULL",
                          model == NULL ? "the model"
                          : !has_input  ? "messages"
                                        : "an output");
    }
    if ((flags & ~LLMIR_CHAT_FLAGS) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "chat: flags 0x%x, known are 0x%x",
                          (unsigned)flags, (unsigned)LLMIR_CHAT_FLAGS);
    }
    if (llmir_model_chat_table(model) == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "the bundle has no chat template: compile the model with "
                          "--chat-template, or feed it text (llmir-chat --raw)");
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_model_chat(const llmir_model_t* model,
                                const llmir_message_t* messages,
                                size_t message_count,
                                uint32_t flags,
                                int32_t* tokens,
                                size_t capacity,
                                size_t* out_count,
                                llmir_error_t* error) {
    if (out_count != NULL) {
        *out_count = 0;
    }
    LLMIR_TRY(check_call(model, flags, messages != NULL || message_count == 0,
                         out_count != NULL && (tokens != NULL || capacity == 0), error));
    llmir_token_sink_t sink = {tokens, capacity, 0};
    LLMIR_TRY(llmir_chat_encode(llmir_model_chat_table(model), llmir_model_allocator(model),
                                messages, message_count, flags, &sink, error));
    *out_count = sink.count;
    if (sink.count > capacity) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "chat: %zu tokens, the output holds %zu",
                          sink.count, capacity);
    }
    return LLMIR_STATUS_OK;
}
