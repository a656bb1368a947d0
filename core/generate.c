/* Generation: sample a token, let its text pass the stop strings, feed it. The token that ends a
 * generation (END, STOP, CONTEXT) is not fed; all others are. */
#include "core/logits.h"
#include "core/session.h"

#include <string.h>

/* The ids that penalties and DRY look at: those of the sequence from the last one back. */
static uint32_t gather_recent(llmir_session_t* session) {
    llmir_pool_t* pool = session->pool;
    const uint32_t window = llmir_sampler_window(&session->sampler);
    const uint32_t count = window < session->position ? window : session->position;
    for (uint32_t i = 0; i < count; ++i) {
        pool->recent[i] =
            *llmir_kv_pages_token(&pool->pages, &session->table, session->position - 1u - i);
    }
    return count;
}

/* Prepares the tokens that the session's grammar allows; *out_is_over if its text is whole and only
 * an end can follow. */
static llmir_status_t apply_grammar(llmir_session_t* session,
                                    int* out_is_over,
                                    llmir_error_t* error) {
    llmir_pool_t* pool = session->pool;
    int is_any = 1;
    *out_is_over = 0;
    if (session->grammar == NULL) {
        return LLMIR_STATUS_OK;
    }
    memset(pool->allowed, 0, pool->layout.allowed.bytes);
    LLMIR_TRY(llmir_grammar_allow(session->grammar, session->match, pool->allowed, &is_any, error));
    *out_is_over = !is_any;
    return is_any || session->match->is_ended
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                            "next: no token of the vocabulary can continue the grammar's text");
}

static int32_t sample(llmir_session_t* session) {
    llmir_pool_t* pool = session->pool;
    if (LLMIR_HAS_DEVICES && session->logits_row != 0) {
        return session->largest;
    }
    const llmir_sampler_input_t input = {
        .allowed = session->grammar != NULL ? pool->allowed : NULL,
        .logits = session->logits,
        .count = pool->model->record->vocab_count,
        .recent = pool->recent,
        .recent_count = gather_recent(session),
        .candidates = pool->candidates,
        .marks = pool->marks,
    };
    return llmir_sampler_draw(&session->sampler, &input);
}

void llmir_session_fill_piece(llmir_session_t* session, int32_t token, llmir_piece_t* out_piece) {
    if (session->finish != LLMIR_FINISH_NONE) {
        llmir_text_stream_flush(&session->stream);
    }
    *out_piece = (llmir_piece_t){.token = token, .finish = session->finish};
    out_piece->text = llmir_text_stream_take(&session->stream, &out_piece->text_bytes);
    if ((session->flags & LLMIR_SESSION_LOGPROBS) != 0 && token >= 0) {
        out_piece->logprob = session->logprobs.logprob;
        out_piece->top_count = session->logprobs.top_count;
        out_piece->top = session->logprobs.top;
    }
}

int llmir_session_push_text(llmir_session_t* session, int32_t token) {
    const llmir_tokenizer_t* tokenizer = llmir_model_tokenizer(session->pool->model);
    uint32_t bytes = 0;
    if (tokenizer == NULL || llmir_tokenizer_is_special(tokenizer, token)) {
        return 0;
    }
    const uint8_t* text = llmir_tokenizer_token_bytes(tokenizer, token, &bytes, NULL);
    return llmir_text_stream_push(&session->stream, text, bytes);
}

/* To be called before the token is fed, which changes the logits. */
static void note_logprobs(llmir_session_t* session, int32_t token) {
    if ((session->flags & LLMIR_SESSION_LOGPROBS) != 0) {
        llmir_logprobs_find(session->logits, session->pool->model->record->vocab_count, token,
                            &session->logprobs);
    }
}

static int is_stop_token(const llmir_session_t* session, int32_t token) {
    for (uint32_t i = 0; i < session->stop_token_count; ++i) {
        if (session->stop_tokens[i] == token) {
            return 1;
        }
    }
    return 0;
}

llmir_status_t llmir_session_sample(llmir_session_t* session,
                                    int32_t* out_token,
                                    llmir_error_t* error) {
    const llmir_tokenizer_t* tokenizer = llmir_model_tokenizer(session->pool->model);
    int is_over = 0;
    *out_token = -1;
    LLMIR_TRY(apply_grammar(session, &is_over, error));
    if (is_over) {
        session->finish = LLMIR_FINISH_END;
        return LLMIR_STATUS_OK;
    }
    if (LLMIR_HAS_DEVICES) {
        LLMIR_TRY(llmir_logits_need(session, error));
    }
    const int32_t token = sample(session);
    note_logprobs(session, token);
    if (tokenizer != NULL && llmir_tokenizer_is_end(tokenizer, token) &&
        !(session->flags & LLMIR_SESSION_IGNORE_END)) {
        session->finish = LLMIR_FINISH_END;
    } else if (is_stop_token(session, token)) {
        session->finish = LLMIR_FINISH_STOP;
    } else {
        if (session->grammar != NULL) {
            LLMIR_TRY(llmir_grammar_accept(session->grammar, session->match, token, error));
        }
        session->finish =
            llmir_session_push_text(session, token) ? LLMIR_FINISH_STOP : LLMIR_FINISH_NONE;
    }
    *out_token = token;
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_next(const llmir_session_t* session,
                                 const llmir_piece_t* out_piece,
                                 llmir_error_t* error) {
    if (session == NULL || out_piece == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "next: session or piece is NULL");
    }
    if (!session->has_logits || session->finish != LLMIR_FINISH_NONE) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          session->has_logits ? "next: the generation has finished; feed tokens"
                                              : "next: there are no logits; feed tokens");
    }
    return llmir_session_check_stop(session, "next", error);
}

llmir_status_t llmir_session_next(llmir_session_t* session,
                                  llmir_piece_t* out_piece,
                                  llmir_error_t* error) {
    if (out_piece != NULL) {
        *out_piece = (llmir_piece_t){.token = -1, .text = ""};
    }
    LLMIR_TRY(check_next(session, out_piece, error));
    LLMIR_TRY(llmir_session_settle(session, error));
    int32_t token = session->pending;
    if (token < 0) {
        LLMIR_TRY(llmir_session_sample(session, &token, error));
    } else {
        note_logprobs(session, token);
    }
    if (session->finish == LLMIR_FINISH_NONE && !llmir_session_has_room(session)) {
        if (session->overflow == LLMIR_OVERFLOW_ERROR) {
            session->pending = token; /* its text is in the stream */
            return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                              "next: position %u, the session's context or the pool is full",
                              session->position);
        }
        session->finish = LLMIR_FINISH_CONTEXT;
    }
    if (session->finish != LLMIR_FINISH_NONE) {
        session->pending = -1;
        llmir_session_fill_piece(session, token, out_piece);
        return LLMIR_STATUS_OK;
    }
    session->pending = token; /* a cancelled call goes on with it */
    LLMIR_TRY(llmir_session_advance(session, token, error));
    session->pending = -1;
    session->generated_count += 1u;
    if (session->max_tokens != 0 && session->generated_count >= session->max_tokens) {
        session->finish = LLMIR_FINISH_LIMIT;
    }
    llmir_session_fill_piece(session, token, out_piece);
    return LLMIR_STATUS_OK;
}
