/* Stories on a microcontroller: no operating system, no heap, no files, one thread, the weights
 * used where they lie in flash.
 *
 * make_model.py makes model.o, model.h (the bundle, and the size of its arena) and prompts.h
 * (beginnings of stories as tokens). */
#include <string.h>

#include "board.h"
#include "llmir.h"
#include "model.h"
#include "prompts.h"
#include "static_arena.h"

static _Alignas(64) unsigned char arena_memory[LLMIR_BUNDLE_MODEL_ARENA_BYTES];

static void say(const char* text) {
    board_write(text, strlen(text));
}

static void say_number(const char* before, uint32_t value, const char* behind) {
    char digits[11];
    size_t at = sizeof(digits) - 1u;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    say(before);
    say(digits + at);
    say(behind);
}

static int fail(const llmir_error_t* error) {
    say("error: ");
    say(error->message);
    say("\n");
    return 1;
}

/* Says how a story begins and lets the model go on. */
static llmir_status_t tell(const llmir_model_t* model,
                           llmir_session_t* session,
                           const prompt_t* prompt,
                           uint32_t* inout_tokens,
                           llmir_error_t* error) {
    char text[256];
    size_t bytes = 0;
    llmir_piece_t piece = {0};
    llmir_session_reset(session);
    llmir_status_t status = llmir_model_detokenize(model, prompt->tokens, prompt->count, 0, text,
                                                   sizeof(text), &bytes, error);
    if (status == LLMIR_STATUS_OK) {
        board_write(text, bytes);
        status = llmir_session_feed(session, prompt->tokens, prompt->count, error);
    }
    *inout_tokens += (uint32_t)prompt->count;
    while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
        status = llmir_session_next(session, &piece, error);
        if (status == LLMIR_STATUS_OK) {
            board_write(piece.text, piece.text_bytes);
            ++*inout_tokens;
        }
    }
    say("\n\n");
    return status;
}

static llmir_status_t run(static_arena_t* arena, llmir_error_t* error) {
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    uint32_t tokens = 0;
    options.allocator = static_arena_allocator(arena);
    llmir_status_t status = llmir_runtime_create(&options, &runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, llmir_bundle_model,
                                         (size_t)llmir_bundle_model_bytes, NULL, &model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_create(model, NULL, NULL, &session, error);
    }
    const uint64_t start = board_clock_ns();
    for (size_t i = 0; status == LLMIR_STATUS_OK && i < sizeof(prompts) / sizeof(prompts[0]); ++i) {
        status = tell(model, session, &prompts[i], &tokens, error);
    }
    if (status == LLMIR_STATUS_OK) {
        say_number("[", tokens, " tokens, ");
        say_number("", (uint32_t)((board_clock_ns() - start) / 1000u) / tokens, " us each; ");
        say_number("arena ", (uint32_t)arena->most, "");
        say_number(" of ", (uint32_t)arena->bytes, " bytes, ");
        say_number("stack ", (uint32_t)board_stack_used(), "");
        say_number(" of ", (uint32_t)board_stack_bytes(), "]\n");
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return status;
}

int main(void);
int main(void) {
    static_arena_t arena = {arena_memory, sizeof(arena_memory), 0, 0, 0};
    llmir_error_t error = {0};
    return run(&arena, &error) == LLMIR_STATUS_OK ? 0 : fail(&error);
}
