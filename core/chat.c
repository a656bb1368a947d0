/* Joining messages by the transition table. The text is measured first and then written, by the
 * same walk. */
#include "core/chat.h"

#include <string.h>

#include "core/base/size.h"

static const char* const role_names[LLMIR_CHAT_ROLE_COUNT] = {"system", "user", "assistant"};

static const char* state_name(uint32_t from) {
    return from < LLMIR_CHAT_ROLE_COUNT ? role_names[from] : "the start";
}

static const char* target_name(uint32_t to) {
    return to < LLMIR_CHAT_ROLE_COUNT ? role_names[to]
           : to == LLMIR_CHAT_TO_END  ? "the end"
                                      : "a generated answer";
}

llmir_status_t llmir_chat_open(const uint8_t* section,
                               size_t bytes,
                               const llmir_tokenizer_t* tokenizer,
                               llmir_chat_t* out,
                               llmir_error_t* error) {
    const llmir_chat_record_t* record = (const llmir_chat_record_t*)(const void*)section;
    memset(out, 0, sizeof(*out));
    if (bytes < sizeof(*record) || record->record_bytes < sizeof(*record)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "chat section: %zu bytes, expected at least %zu", bytes, sizeof(*record));
    }
    if ((record->flags & ~(uint32_t)LLMIR_CHAT_SYSTEM_BEFORE_LAST_USER) != 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "chat section: flags %#x are unknown to this version",
                          (unsigned)record->flags);
    }
    for (uint32_t role = 0; role < LLMIR_CHAT_ROLE_COUNT; ++role) {
        if ((record->trim[role] & ~LLMIR_CHAT_TRIM_KNOWN) != 0) {
            return llmir_fail(
                error, LLMIR_STATUS_UNSUPPORTED,
                "chat section: trimming %#x of %s contents is unknown to this version",
                (unsigned)record->trim[role], role_names[role]);
        }
    }
    for (uint32_t from = 0; from < LLMIR_CHAT_FROM_COUNT; ++from) {
        for (uint32_t to = 0; to < LLMIR_CHAT_TO_COUNT; ++to) {
            const llmir_bundle_range_t range = record->text[from][to];
            if (!llmir_range_fits(range.offset, range.bytes, bytes)) {
                return llmir_fail(
                    error, LLMIR_STATUS_CORRUPT,
                    "chat section: text from %s to %s lies at %u + %u, section has %zu bytes",
                    state_name(from), target_name(to), range.offset, range.bytes, bytes);
            }
        }
    }
    *out = (llmir_chat_t){section, record, tokenizer};
    return LLMIR_STATUS_OK;
}

/* The text under construction. While `text` is NULL it is only measured. */
typedef struct chat_writer {
    char* text;
    size_t bytes;
    llmir_text_range_t* plain; /* one a message; NULL while measuring */
    size_t plain_count;
} chat_writer_t;

static llmir_status_t write_bytes(chat_writer_t* writer,
                                  const void* data,
                                  size_t bytes,
                                  llmir_error_t* error) {
    size_t end = 0;
    if (!llmir_size_add(writer->bytes, bytes, &end)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "the messages are longer than the address space");
    }
    if (writer->text != NULL && bytes > 0) {
        memcpy(writer->text + writer->bytes, data, bytes);
    }
    writer->bytes = end;
    return LLMIR_STATUS_OK;
}

static llmir_status_t write_transition(const llmir_chat_t* chat,
                                       chat_writer_t* writer,
                                       uint32_t from,
                                       uint32_t to,
                                       llmir_error_t* error) {
    if ((chat->record->present[from] >> to & 1u) == 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "the model's chat template has no step from %s to %s", state_name(from),
                          target_name(to));
    }
    const llmir_bundle_range_t range = chat->record->text[from][to];
    return write_bytes(writer, chat->section + range.offset, range.bytes, error);
}

/* Bytes of the white-space character at `text`, 0 if there is none: what Python's str.strip()
 * removes. */
static size_t space_bytes(const uint8_t* text, size_t bytes) {
    const uint8_t first = text[0];
    if (first == ' ' || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F)) {
        return 1;
    }
    if (bytes >= 2 && first == 0xC2 && (text[1] == 0x85 || text[1] == 0xA0)) {
        return 2;
    }
    if (bytes < 3) {
        return 0;
    }
    const uint32_t code =
        (uint32_t)(first & 0x0F) << 12 | (uint32_t)(text[1] & 0x3F) << 6 | (text[2] & 0x3Fu);
    const int is_three =
        (first & 0xF0) == 0xE0 && (text[1] & 0xC0) == 0x80 && (text[2] & 0xC0) == 0x80;
    const int is_space = code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
                         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
    return is_three && is_space ? 3 : 0;
}

/* The same under a template's flags, which may spare all but line feeds. */
static size_t trimmed_bytes(uint32_t flags, const uint8_t* text, size_t bytes) {
    if (flags & LLMIR_CHAT_TRIM_NEWLINES) {
        return text[0] == '\n' ? 1 : 0;
    }
    return space_bytes(text, bytes);
}

static void trim(uint32_t flags, uint32_t from, const uint8_t** inout_text, size_t* inout_bytes) {
    const uint8_t* text = *inout_text;
    size_t bytes = *inout_bytes, skip = 0;
    const int trims_left =
        (flags & LLMIR_CHAT_TRIM_LEFT) != 0 &&
        !((flags & LLMIR_CHAT_TRIM_NOT_AFTER_SYSTEM) != 0 && from == LLMIR_CHAT_ROLE_SYSTEM);
    while (trims_left && bytes > 0 && (skip = trimmed_bytes(flags, text, bytes)) > 0) {
        text += skip;
        bytes -= skip;
    }
    while ((flags & LLMIR_CHAT_TRIM_RIGHT) && bytes > 0) {
        skip = 0;
        for (size_t width = 1; width <= 3 && width <= bytes && skip == 0; ++width) {
            skip = trimmed_bytes(flags, text + bytes - width, width) == width ? width : 0;
        }
        if (skip == 0) {
            break;
        }
        bytes -= skip;
    }
    *inout_text = text;
    *inout_bytes = bytes;
}

static llmir_status_t write_message(const llmir_chat_t* chat,
                                    chat_writer_t* writer,
                                    uint32_t* inout_state,
                                    uint32_t role,
                                    const llmir_message_t* message,
                                    llmir_error_t* error) {
    const uint8_t* content = (const uint8_t*)message->content;
    size_t bytes = message->content_bytes;
    LLMIR_TRY(write_transition(chat, writer, *inout_state, role, error));
    trim(chat->record->trim[role], *inout_state, &content, &bytes);
    if (writer->plain != NULL) {
        writer->plain[writer->plain_count] =
            (llmir_text_range_t){writer->bytes, writer->bytes + bytes};
    }
    ++writer->plain_count;
    *inout_state = role;
    return write_bytes(writer, content, bytes, error);
}

static llmir_status_t role_of(const llmir_message_t* message, uint32_t* out, llmir_error_t* error) {
    if (message->role == NULL || (message->content == NULL && message->content_bytes > 0)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "a message without %s",
                          message->role == NULL ? "role" : "content");
    }
    for (*out = 0; *out < LLMIR_CHAT_ROLE_COUNT; ++*out) {
        if (strcmp(message->role, role_names[*out]) == 0) {
            return LLMIR_STATUS_OK;
        }
    }
    return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                      "role '%.40s' is unknown, expected system, user or assistant", message->role);
}

/* Where a leading system message moves if the template puts it before the last user: that message's
 * index. Otherwise, and without a system message, `count`: nothing moves. */
static llmir_status_t find_system_place(const llmir_chat_t* chat,
                                        const llmir_message_t* messages,
                                        size_t count,
                                        size_t* out,
                                        llmir_error_t* error) {
    uint32_t role = LLMIR_CHAT_ROLE_ASSISTANT;
    *out = count;
    if (count == 0 || (chat->record->flags & LLMIR_CHAT_SYSTEM_BEFORE_LAST_USER) == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(role_of(&messages[0], &role, error));
    if (role != LLMIR_CHAT_ROLE_SYSTEM) {
        return LLMIR_STATUS_OK;
    }
    for (size_t i = count; i-- > 1;) {
        LLMIR_TRY(role_of(&messages[i], &role, error));
        if (role == LLMIR_CHAT_ROLE_USER) {
            *out = i;
            return LLMIR_STATUS_OK;
        }
    }
    return llmir_fail(
        error, LLMIR_STATUS_INVALID_ARGUMENT,
        "the model's chat template puts the system's text before a user's, and there is none");
}

static llmir_status_t write_conversation(const llmir_chat_t* chat,
                                         const llmir_message_t* messages,
                                         size_t count,
                                         uint32_t flags,
                                         chat_writer_t* writer,
                                         llmir_error_t* error) {
    uint32_t state =
        flags & LLMIR_CHAT_CONTINUE ? LLMIR_CHAT_ROLE_ASSISTANT : LLMIR_CHAT_FROM_START;
    size_t system_place = 0;
    LLMIR_TRY(find_system_place(chat, messages, count, &system_place, error));
    for (size_t i = system_place < count ? 1 : 0; i < count; ++i) {
        uint32_t role = 0;
        if (i == system_place) {
            LLMIR_TRY(
                write_message(chat, writer, &state, LLMIR_CHAT_ROLE_SYSTEM, &messages[0], error));
        }
        LLMIR_TRY(role_of(&messages[i], &role, error));
        LLMIR_TRY(write_message(chat, writer, &state, role, &messages[i], error));
    }
    const uint32_t last = flags & LLMIR_CHAT_GENERATE ? LLMIR_CHAT_TO_GENERATE : LLMIR_CHAT_TO_END;
    return write_transition(chat, writer, state, last, error);
}

/* Writes the text into `block` (room for text and ranges) and tokenizes it. */
static llmir_status_t encode_into(const llmir_chat_t* chat,
                                  const llmir_allocator_t* allocator,
                                  const llmir_message_t* messages,
                                  size_t count,
                                  uint32_t flags,
                                  chat_writer_t* writer,
                                  llmir_token_sink_t* inout_sink,
                                  llmir_error_t* error) {
    LLMIR_TRY(write_conversation(chat, messages, count, flags, writer, error));
    const llmir_encode_text_t text = {writer->text, writer->bytes, writer->plain,
                                      writer->plain_count};
    return llmir_tokenizer_encode(chat->tokenizer, allocator, &text, LLMIR_TOKENIZE_SPECIAL,
                                  inout_sink, error);
}

llmir_status_t llmir_chat_encode(const llmir_chat_t* chat,
                                 const llmir_allocator_t* allocator,
                                 const llmir_message_t* messages,
                                 size_t message_count,
                                 uint32_t flags,
                                 llmir_token_sink_t* inout_sink,
                                 llmir_error_t* error) {
    chat_writer_t measure = {0};
    size_t range_bytes = 0, bytes = 0;
    void* block = NULL;
    LLMIR_TRY(write_conversation(chat, messages, message_count, flags, &measure, error));
    if (!llmir_size_mul(measure.plain_count, sizeof(llmir_text_range_t), &range_bytes) ||
        !llmir_size_add(range_bytes, measure.bytes, &bytes) || !llmir_size_add(bytes, 1, &bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "the messages are longer than the address space");
    }
    LLMIR_TRY(
        llmir_allocate(allocator, bytes, sizeof(size_t), "the text of a chat", &block, error));
    chat_writer_t writer = {(char*)block + range_bytes, 0, block, 0};
    const llmir_status_t status =
        encode_into(chat, allocator, messages, message_count, flags, &writer, inout_sink, error);
    llmir_free(allocator, block, bytes, sizeof(size_t));
    return status;
}
