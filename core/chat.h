/* Chat templates at run time: messages to one text by the transition table of a CHAT section, and
 * that text to tokens. Contents are marked as plain, so that nothing a user types becomes a control
 * token. */
#ifndef LLMIR_CHAT_H
#define LLMIR_CHAT_H

#include "core/base/allocator.h"
#include "core/tokenizer.h"
#include "llmir.h"

/* A checked view of a CHAT section. */
typedef struct llmir_chat {
    const uint8_t* section;
    const llmir_chat_record_t* record;
    const llmir_tokenizer_t* tokenizer;
} llmir_chat_t;

/* Checks a section and makes `out` a view of it; section (8-byte aligned) and tokenizer must
 * outlive it. Memory: allocates nothing. Errors: CORRUPT. */
llmir_status_t llmir_chat_open(const uint8_t* section,
                               size_t bytes,
                               const llmir_tokenizer_t* tokenizer,
                               llmir_chat_t* out,
                               llmir_error_t* error);

/* Appends the ids of `messages` to the sink; flags are llmir_chat_flag_t. Working memory from
 * `allocator`, given back. Errors: as llmir_model_chat, but a full sink is not one. */
llmir_status_t llmir_chat_encode(const llmir_chat_t* chat,
                                 const llmir_allocator_t* allocator,
                                 const llmir_message_t* messages,
                                 size_t message_count,
                                 uint32_t flags,
                                 llmir_token_sink_t* inout_sink,
                                 llmir_error_t* error);

#endif /* LLMIR_CHAT_H */
