/* A request for a completion: from the body of a POST to options of the library. Anything may be in
 * the body. */
#ifndef LLMIR_SERVER_COMPLETION_H
#define LLMIR_SERVER_COMPLETION_H

#include "llmir.h"
#include "server/api_error.h"

#define COMPLETION_MAX_CHOICES 8u
#define COMPLETION_MAX_BIASES 64u

/* What a completion is asked of. */
typedef struct completion_model {
    llmir_model_t* model;
    const char* id; /* its name in the interface */
    uint32_t vocab_count;
    uint32_t context_count; /* of a request */
    uint64_t timeout_ns;    /* of every request; 0: none */
    uint32_t guess_tokens;  /* of the scheduler: requests speculate by look-up */
} completion_model_t;

typedef struct completion {
    int is_chat;
    int is_stream;
    int includes_usage; /* of a stream */
    int wants_logprobs;
    uint32_t choice_count;
    int32_t* tokens;
    size_t token_count;
    uint64_t timeout_ns;
    uint64_t seed; /* of the first choice; the others follow */
    llmir_sampler_options_t sampler;
    llmir_session_options_t session; /* points into this struct */
    llmir_logit_bias_t biases[COMPLETION_MAX_BIASES];
    char* stops[LLMIR_MAX_STOP_STRINGS];
    llmir_grammar_t* grammar;
} completion_t;

/* Reads a body. Returns 1, or 0 with the error filled and nothing to free.
 *   out  must stay where it is until completion_free. */
int completion_read(const completion_model_t* model,
                    const char* body,
                    size_t body_bytes,
                    int is_chat,
                    completion_t* out,
                    api_error_t* error);

void completion_free(completion_t* completion);

#endif /* LLMIR_SERVER_COMPLETION_H */
