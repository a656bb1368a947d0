/* What stands in for the parts that LLMIR_MINIMAL leaves out: text to ids, chat templates,
 * grammars, saved sessions, the scheduler, log-probabilities, and samplers other than the greedy
 * one. Each call that needs one of them is UNSUPPORTED and says so; everything else works as in the
 * whole library. */
#include "core/chat.h"
#include "core/grammar/grammar.h"
#include "core/options.h"
#include "core/sampler.h"
#include "core/session.h"

static llmir_status_t left_out(const char* what, llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                      "%s: not part of this library, which was built with LLMIR_MINIMAL", what);
}

/* ---- Sampler ---- */

llmir_status_t llmir_sampler_init(llmir_sampler_t* sampler,
                                  const llmir_sampler_options_t* options,
                                  uint32_t vocab_count,
                                  llmir_error_t* error) {
    llmir_sampler_options_t own;
    (void)vocab_count;
    LLMIR_TRY(llmir_options_read(&own, sizeof(own), options, "sampler options", error));
    if (own.temperature != 0.0f ||
        (own.repetition_penalty != 0.0f && own.repetition_penalty != 1.0f) ||
        own.frequency_penalty != 0.0f || own.presence_penalty != 0.0f ||
        own.dry_multiplier != 0.0f || own.logit_bias_count != 0) {
        return left_out("a sampler that is not greedy", error);
    }
    memset(sampler, 0, sizeof(*sampler));
    sampler->options = own;
    return LLMIR_STATUS_OK;
}

void llmir_sampler_restart(llmir_sampler_t* sampler) {
    (void)sampler;
}

int llmir_sampler_is_plain(const llmir_sampler_t* sampler) {
    (void)sampler;
    return 1;
}

uint32_t llmir_sampler_window(const llmir_sampler_t* sampler) {
    (void)sampler;
    return 0;
}

/* The most likely token, the lowest id among equals. There is no grammar that could forbid it. */
int32_t llmir_sampler_draw(llmir_sampler_t* sampler, const llmir_sampler_input_t* input) {
    (void)sampler;
    int32_t best = 0;
    for (uint32_t i = 1; i < input->count; ++i) {
        if (input->logits[i] > input->logits[best]) {
            best = (int32_t)i;
        }
    }
    return best;
}

llmir_status_t llmir_logprobs_init(llmir_logprobs_t* logprobs,
                                   const llmir_session_options_t* options,
                                   llmir_error_t* error) {
    (void)logprobs;
    return (options->flags & LLMIR_SESSION_LOGPROBS) == 0 && options->top_logprobs == 0
               ? LLMIR_STATUS_OK
               : left_out("LLMIR_SESSION_LOGPROBS", error);
}

void llmir_logprobs_find(const float* logits,
                         uint32_t count,
                         int32_t token,
                         llmir_logprobs_t* inout) {
    (void)logits, (void)count, (void)token, (void)inout;
}

/* ---- Text to ids ---- */

llmir_status_t llmir_tokenizer_encode(const llmir_tokenizer_t* tokenizer,
                                      const llmir_allocator_t* allocator,
                                      const llmir_encode_text_t* text,
                                      uint32_t flags,
                                      llmir_token_sink_t* inout_sink,
                                      llmir_error_t* error) {
    (void)tokenizer, (void)allocator, (void)text, (void)flags, (void)inout_sink;
    return left_out("llmir_model_tokenize", error);
}

llmir_status_t llmir_chat_open(const uint8_t* section,
                               size_t bytes,
                               const llmir_tokenizer_t* tokenizer,
                               llmir_chat_t* out,
                               llmir_error_t* error) {
    (void)section, (void)bytes, (void)tokenizer, (void)error;
    memset(out, 0, sizeof(*out));
    return LLMIR_STATUS_OK; /* a bundle with a template is none the worse */
}

llmir_status_t llmir_model_chat(const llmir_model_t* model,
                                const llmir_message_t* messages,
                                size_t message_count,
                                uint32_t flags,
                                int32_t* tokens,
                                size_t capacity,
                                size_t* out_count,
                                llmir_error_t* error) {
    (void)model, (void)messages, (void)message_count, (void)flags, (void)tokens, (void)capacity;
    if (out_count != NULL) {
        *out_count = 0;
    }
    return left_out("llmir_model_chat", error);
}

/* ---- Grammars: none can be created, so none is ever asked ---- */

llmir_status_t llmir_grammar_cache_create(const llmir_allocator_t* allocator,
                                          llmir_grammar_cache_t** out_cache,
                                          llmir_error_t* error) {
    (void)allocator, (void)out_cache, (void)error;
    return LLMIR_STATUS_OK;
}

void llmir_grammar_cache_destroy(const llmir_allocator_t* allocator, llmir_grammar_cache_t* cache) {
    (void)allocator, (void)cache;
}

llmir_status_t llmir_grammar_create(const llmir_model_t* model,
                                    llmir_grammar_kind_t kind,
                                    const char* text,
                                    size_t text_bytes,
                                    llmir_grammar_t** out_grammar,
                                    llmir_error_t* error) {
    (void)model, (void)kind, (void)text, (void)text_bytes;
    if (out_grammar != NULL) {
        *out_grammar = NULL;
    }
    return left_out("llmir_grammar_create", error);
}

void llmir_grammar_destroy(llmir_grammar_t* grammar) {
    (void)grammar;
}

llmir_status_t llmir_match_begin(const llmir_automaton_t* automaton,
                                 llmir_match_t* match,
                                 llmir_error_t* error) {
    (void)automaton, (void)match;
    return left_out("a grammar", error);
}

llmir_status_t llmir_grammar_allow(llmir_grammar_t* grammar,
                                   const llmir_match_t* match,
                                   uint32_t* out_bits,
                                   int* out_any,
                                   llmir_error_t* error) {
    (void)grammar, (void)match, (void)out_bits, (void)out_any;
    return left_out("a grammar", error);
}

llmir_status_t llmir_grammar_accept(const llmir_grammar_t* grammar,
                                    llmir_match_t* match,
                                    int32_t token,
                                    llmir_error_t* error) {
    (void)grammar, (void)match, (void)token;
    return left_out("a grammar", error);
}

/* ---- Saved sessions ---- */

uint64_t llmir_session_saved_bytes(const llmir_session_t* session) {
    (void)session;
    return 0;
}

llmir_status_t llmir_session_save(llmir_session_t* session,
                                  llmir_write_fn write,
                                  void* user,
                                  llmir_error_t* error) {
    (void)session, (void)write, (void)user;
    return left_out("llmir_session_save", error);
}

llmir_status_t llmir_session_restore(llmir_session_t* session,
                                     llmir_read_fn read,
                                     void* user,
                                     llmir_error_t* error) {
    (void)session, (void)read, (void)user;
    return left_out("llmir_session_restore", error);
}

llmir_status_t llmir_session_save_file(llmir_session_t* session,
                                       const char* path,
                                       llmir_error_t* error) {
    (void)session, (void)path;
    return left_out("llmir_session_save_file", error);
}

llmir_status_t llmir_session_restore_file(llmir_session_t* session,
                                          const char* path,
                                          llmir_error_t* error) {
    (void)session, (void)path;
    return left_out("llmir_session_restore_file", error);
}

/* ---- Speculation: no session has guesses ---- */

llmir_status_t llmir_guesses_init(llmir_session_t* session,
                                  const llmir_session_options_t* options,
                                  llmir_error_t* error) {
    (void)session;
    return options->speculation == LLMIR_SPECULATION_NONE ? LLMIR_STATUS_OK
                                                          : left_out("speculation", error);
}

int llmir_session_accept_guess(llmir_session_t* session, int32_t token) {
    (void)session, (void)token;
    return 0;
}

void llmir_session_drop_guesses(llmir_session_t* session) {
    (void)session;
}

llmir_status_t llmir_session_advance(llmir_session_t* session,
                                     int32_t token,
                                     llmir_error_t* error) {
    return llmir_session_run(session, &token, 1, error);
}

/* ---- The scheduler: none can be created, so there are no requests ---- */

llmir_status_t llmir_scheduler_memory_plan(const llmir_model_t* model,
                                           const llmir_scheduler_options_t* options,
                                           llmir_memory_plan_t* inout_plan,
                                           llmir_error_t* error) {
    (void)model, (void)options, (void)inout_plan;
    return left_out("llmir_scheduler_memory_plan", error);
}

llmir_status_t llmir_scheduler_create(llmir_model_t* model,
                                      const llmir_scheduler_options_t* options,
                                      llmir_scheduler_t** out_scheduler,
                                      llmir_error_t* error) {
    (void)model, (void)options;
    if (out_scheduler != NULL) {
        *out_scheduler = NULL;
    }
    return left_out("llmir_scheduler_create", error);
}

void llmir_scheduler_destroy(llmir_scheduler_t* scheduler) {
    (void)scheduler;
}

llmir_status_t llmir_scheduler_step(llmir_scheduler_t* scheduler,
                                    int32_t* out_has_work,
                                    llmir_error_t* error) {
    (void)scheduler, (void)out_has_work;
    return left_out("llmir_scheduler_step", error);
}

llmir_status_t llmir_scheduler_submit(llmir_scheduler_t* scheduler,
                                      const llmir_request_options_t* options,
                                      llmir_request_t** out_request,
                                      llmir_error_t* error) {
    (void)scheduler, (void)options;
    if (out_request != NULL) {
        *out_request = NULL;
    }
    return left_out("llmir_scheduler_submit", error);
}

llmir_status_t llmir_scheduler_get_stats(const llmir_scheduler_t* scheduler,
                                         llmir_scheduler_stats_t* inout_stats,
                                         llmir_error_t* error) {
    (void)scheduler, (void)inout_stats;
    return left_out("llmir_scheduler_get_stats", error);
}

llmir_status_t llmir_request_next(llmir_request_t* request,
                                  uint64_t timeout_ns,
                                  llmir_piece_t* out_piece,
                                  llmir_error_t* error) {
    (void)request, (void)timeout_ns, (void)out_piece;
    return left_out("llmir_request_next", error);
}

void llmir_request_cancel(llmir_request_t* request) {
    (void)request;
}

void llmir_request_destroy(llmir_request_t* request) {
    (void)request;
}

llmir_status_t llmir_request_get_info(const llmir_request_t* request,
                                      llmir_request_info_t* inout_info,
                                      llmir_error_t* error) {
    (void)request, (void)inout_info;
    return left_out("llmir_request_get_info", error);
}
