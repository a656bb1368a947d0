/* Options of the sampler that are more than a number: lists of steps, of biases, of texts that are
 * one token. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_program.h"

static const char* const step_names[] = {
    "penalties", "dry", "top-k", "temperature", "typical", "top-p", "min-p",
};
#define STEP_COUNT (sizeof(step_names) / sizeof(step_names[0]))

/* The library refuses what is there twice. */
static int read_order(const char* text, uint8_t order[8]) {
    size_t count = 0;
    while (count < 8) {
        const size_t bytes = strcspn(text, ",");
        size_t step = 0;
        while (step < STEP_COUNT &&
               (strlen(step_names[step]) != bytes || memcmp(step_names[step], text, bytes) != 0)) {
            ++step;
        }
        if (step == STEP_COUNT) {
            return 0;
        }
        order[count++] = (uint8_t)(step + 1u);
        if (text[bytes] == '\0') {
            return 1;
        }
        text += bytes + 1u;
    }
    return 0;
}

/* ID=BIAS */
static int read_bias(const char* text, llmir_logit_bias_t* out) {
    char* end = NULL;
    const unsigned long id = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || id > INT32_MAX || *end != '=') {
        return 0;
    }
    const char* number = end + 1;
    out->token = (int32_t)id;
    out->bias = strtof(number, &end);
    return end != number && *end == '\0' && isfinite(out->bias);
}

const char* chat_read_sampler(chat_options_t* options) {
    llmir_sampler_options_t* sampler = &options->sampler;
    if (options->order != NULL && !read_order(options->order, sampler->order)) {
        return "--order: expected names of steps with commas between them";
    }
    for (uint32_t i = 0; i < options->biases.count; ++i) {
        if (!read_bias(options->biases.items[i], &options->bias[i])) {
            return "--logit-bias: expected ID=BIAS";
        }
    }
    sampler->logit_bias = options->bias;
    sampler->logit_bias_count = options->biases.count;
    return NULL;
}

/* The token that is the whole text, or -1. */
static int32_t token_of(const llmir_model_t* model, const char* text) {
    int32_t token = -1;
    size_t count = 0;
    const llmir_status_t status = llmir_model_tokenize(
        model, text, strlen(text), LLMIR_TOKENIZE_SPECIAL, &token, 1, &count, NULL);
    return status == LLMIR_STATUS_OK && count == 1 ? token : -1;
}

llmir_status_t chat_find_breakers(chat_options_t* options,
                                  const llmir_model_t* model,
                                  llmir_error_t* error) {
    static const cli_list_t usual = {{"\n", ":", "\"", "*"}, 4};
    llmir_sampler_options_t* sampler = &options->sampler;
    if (sampler->dry_multiplier == 0.0f) {
        return LLMIR_STATUS_OK;
    }
    const cli_list_t* texts = options->breakers.count != 0 ? &options->breakers : &usual;
    for (uint32_t i = 0; i < texts->count; ++i) {
        const int32_t token = token_of(model, texts->items[i]);
        if ((token < 0 && texts != &usual) ||
            sampler->dry_breaker_count == LLMIR_MAX_DRY_BREAKERS) {
            (void)snprintf(error->message, sizeof(error->message),
                           "--dry-breaker '%.100s': not one token, or more than %u",
                           texts->items[i], LLMIR_MAX_DRY_BREAKERS);
            return LLMIR_STATUS_INVALID_ARGUMENT;
        }
        if (token >= 0) {
            options->breaker_tokens[sampler->dry_breaker_count++] = token;
        }
    }
    sampler->dry_breakers = options->breaker_tokens;
    return LLMIR_STATUS_OK;
}
