/* A scheduler and its requests for tests. */
#include "tests/support/tiny_requests.h"

#include <string.h>

llmir_scheduler_options_t tiny_scheduler_options(void) {
    llmir_scheduler_options_t options = LLMIR_SCHEDULER_OPTIONS_INIT;
    options.context_tokens = 8 * TINY_SCHEDULER_CONTEXT;
    options.chunk_tokens = 64;
    return options;
}

void tiny_scheduler_begin(tiny_scheduler_t* out, const llmir_scheduler_options_t* options) {
    tiny_options_t model = tiny_options_default();
    model.window = 24;
    tiny_load(&out->loaded, &model, 2);
    assert_status(
        llmir_scheduler_create(out->loaded.model, options, &out->scheduler, &assert_status_error),
        LLMIR_STATUS_OK);
}

void tiny_scheduler_end(tiny_scheduler_t* scheduler) {
    llmir_scheduler_destroy(scheduler->scheduler);
    tiny_unload(&scheduler->loaded);
}

llmir_scheduler_stats_t tiny_scheduler_stats(const tiny_scheduler_t* scheduler) {
    llmir_scheduler_stats_t stats = {.struct_size = sizeof(stats)};
    assert_status(llmir_scheduler_get_stats(scheduler->scheduler, &stats, &assert_status_error),
                  LLMIR_STATUS_OK);
    return stats;
}

void tiny_request_draw(test_random_t* random, tiny_request_t* out) {
    int32_t common[TINY_REQUEST_PROMPT];
    memset(out, 0, sizeof(*out));
    out->prompt_count = 1u + test_random_below(random, TINY_REQUEST_PROMPT);
    tiny_ids(3u + test_random_below(random, 3), 320, common, TINY_REQUEST_PROMPT);
    tiny_ids(test_random_u64(random), 320, out->prompt, out->prompt_count);
    const uint32_t shared = test_random_below(random, out->prompt_count + 1u);
    memcpy(out->prompt, common, shared * sizeof(*common));
    out->priority = (int32_t)test_random_below(random, 3) - 1;
    out->sampler = (llmir_sampler_options_t)LLMIR_SAMPLER_OPTIONS_INIT;
    out->sampler.seed = test_random_u64(random);
    out->sampler.temperature = test_random_below(random, 3) == 0 ? 0.0f : 1.5f;
    out->sampler.repetition_penalty = test_random_below(random, 2) ? 1.2f : 0.0f;
    out->session = (llmir_session_options_t)LLMIR_SESSION_OPTIONS_INIT;
    out->session.max_tokens = 1u + test_random_below(random, TINY_REQUEST_TOKENS);
    out->session.flags = test_random_below(random, 4) == 0 ? 0u : LLMIR_SESSION_IGNORE_END;
    out->session.flags |= test_random_below(random, 4) == 0 ? LLMIR_SESSION_NO_SHARING : 0u;
    out->stop = test_random_below(random, 3) == 0 ? "a" : NULL;
}

llmir_request_options_t tiny_request_options(tiny_request_t* request) {
    llmir_request_options_t options = LLMIR_REQUEST_OPTIONS_INIT;
    request->session.sampler = &request->sampler;
    request->session.stop_strings = &request->stop;
    request->session.stop_count = request->stop != NULL ? 1u : 0u;
    options.tokens = request->prompt;
    options.token_count = request->prompt_count;
    options.priority = request->priority;
    options.session = &request->session;
    return options;
}

void tiny_request_run_alone(tiny_loaded_t* loaded, tiny_request_t* request, uint32_t context) {
    llmir_session_options_t options;
    llmir_piece_t piece = {0};
    (void)tiny_request_options(request);
    options = request->session;
    options.context_tokens = context;
    llmir_session_t* session = tiny_session(loaded, &options);
    memset(&request->alone, 0, sizeof(request->alone));
    assert_status(
        llmir_session_feed(session, request->prompt, request->prompt_count, &assert_status_error),
        LLMIR_STATUS_OK);
    while (piece.finish == LLMIR_FINISH_NONE) {
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        assert_true(tiny_answer_append(&request->alone, &piece));
    }
    llmir_session_destroy(session);
}

int tiny_answer_append(tiny_answer_t* answer, const llmir_piece_t* piece) {
    if (answer->token_count > TINY_REQUEST_TOKENS ||
        piece->text_bytes > TINY_REQUEST_TEXT - answer->text_bytes) {
        return 0;
    }
    if (piece->token >= 0) {
        answer->tokens[answer->token_count++] = piece->token;
    }
    memcpy(answer->text + answer->text_bytes, piece->text, piece->text_bytes);
    answer->text_bytes += piece->text_bytes;
    answer->finish = piece->finish;
    return 1;
}

int tiny_answer_equals(const tiny_answer_t* answer, const tiny_answer_t* expected, int is_part) {
    const int is_whole = answer->token_count == expected->token_count &&
                         answer->text_bytes == expected->text_bytes &&
                         answer->finish == expected->finish;
    return (is_whole || (is_part && answer->token_count <= expected->token_count &&
                         answer->text_bytes <= expected->text_bytes)) &&
           memcmp(answer->tokens, expected->tokens,
                  answer->token_count * sizeof(*answer->tokens)) == 0 &&
           memcmp(answer->text, expected->text, answer->text_bytes) == 0;
}
