/* Creating grammars, and what a session asks of one. */
#include "core/grammar/grammar.h"

#define KEPT_MASKS 64u

llmir_status_t llmir_grammar_cache_create(const llmir_allocator_t* allocator,
                                          llmir_grammar_cache_t** out_cache,
                                          llmir_error_t* error) {
    void* memory = NULL;
    *out_cache = NULL;
    LLMIR_TRY(llmir_allocate(allocator, sizeof(llmir_grammar_cache_t), 8, "grammar cache", &memory,
                             error));
    llmir_grammar_cache_t* cache = memory;
    const llmir_status_t status = llmir_mutex_init(&cache->mutex, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_free(allocator, cache, sizeof(*cache), 8);
        return status;
    }
    *out_cache = cache;
    return LLMIR_STATUS_OK;
}

void llmir_grammar_cache_destroy(const llmir_allocator_t* allocator, llmir_grammar_cache_t* cache) {
    if (cache != NULL) {
        llmir_vocabulary_free(&cache->vocabulary);
        llmir_mutex_deinit(&cache->mutex);
        llmir_free(allocator, cache, sizeof(*cache), 8);
    }
}

/* The tree of the model's vocabulary, made by whoever needs it first. */
static llmir_status_t share_vocabulary(const llmir_model_t* model,
                                       const llmir_vocabulary_t** out,
                                       llmir_error_t* error) {
    llmir_grammar_cache_t* cache = model->grammar_cache;
    llmir_status_t status = LLMIR_STATUS_OK;
    llmir_mutex_lock(&cache->mutex);
    if (cache->vocabulary.tokenizer == NULL) {
        status = llmir_vocabulary_build(llmir_model_tokenizer(model), llmir_model_allocator(model),
                                        &cache->vocabulary, error);
        if (status != LLMIR_STATUS_OK) {
            llmir_vocabulary_free(&cache->vocabulary);
        }
    }
    llmir_mutex_unlock(&cache->mutex);
    *out = &cache->vocabulary;
    return status;
}

static llmir_status_t compile_gbnf(llmir_grammar_t* grammar,
                                   const char* text,
                                   size_t bytes,
                                   llmir_error_t* error) {
    llmir_ast_t ast;
    llmir_status_t status =
        llmir_gbnf_parse(llmir_model_allocator(grammar->model), text, bytes, &ast, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_automaton_build(&ast, &grammar->automaton, error);
    }
    llmir_ast_free(&ast);
    return status;
}

static llmir_status_t compile(llmir_grammar_t* grammar,
                              llmir_grammar_kind_t kind,
                              const char* text,
                              size_t bytes,
                              llmir_error_t* error) {
    llmir_vector_t gbnf;
    llmir_error_t inner = {0};
    if (kind == LLMIR_GRAMMAR_GBNF) {
        return compile_gbnf(grammar, text, bytes, error);
    }
    llmir_status_t status =
        llmir_schema_to_gbnf(llmir_model_allocator(grammar->model), text, bytes, &gbnf, error);
    if (status == LLMIR_STATUS_OK) {
        status = compile_gbnf(grammar, gbnf.data, gbnf.count, &inner);
        if (status != LLMIR_STATUS_OK) { /* its lines are not those of the schema */
            (void)llmir_fail(error, status, "JSON schema, written as a %s", inner.message);
        }
    }
    llmir_vector_free(&gbnf);
    return status;
}

static llmir_status_t prepare(llmir_grammar_t* grammar,
                              llmir_grammar_kind_t kind,
                              const char* text,
                              size_t bytes,
                              llmir_error_t* error) {
    LLMIR_TRY(compile(grammar, kind, text, bytes, error));
    LLMIR_TRY(share_vocabulary(grammar->model, &grammar->vocabulary, error));
    LLMIR_TRY(llmir_masks_init(&grammar->automaton, grammar->vocabulary, KEPT_MASKS,
                               &grammar->masks, error));
    LLMIR_TRY(llmir_mutex_init(&grammar->mutex, error));
    grammar->has_mutex = 1;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_grammar_create(const llmir_model_t* model,
                                    llmir_grammar_kind_t kind,
                                    const char* text,
                                    size_t text_bytes,
                                    llmir_grammar_t** out_grammar,
                                    llmir_error_t* error) {
    void* memory = NULL;
    if (out_grammar == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "grammar: out_grammar is NULL");
    }
    *out_grammar = NULL;
    if (model == NULL || (text == NULL && text_bytes != 0) ||
        (kind != LLMIR_GRAMMAR_GBNF && kind != LLMIR_GRAMMAR_JSON_SCHEMA)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "grammar: the model or the text is NULL, or the kind %d is not known",
                          (int)kind);
    }
    if (llmir_model_tokenizer(model) == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "grammar: the bundle has no tokenizer whose tokens it could choose from");
    }
    LLMIR_TRY(llmir_allocate(llmir_model_allocator(model), sizeof(llmir_grammar_t), 8, "grammar",
                             &memory, error));
    llmir_grammar_t* grammar = memory;
    grammar->model = model;
    const llmir_status_t status = prepare(grammar, kind, text, text_bytes, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_grammar_destroy(grammar);
        return status;
    }
    *out_grammar = grammar;
    return LLMIR_STATUS_OK;
}

void llmir_grammar_destroy(llmir_grammar_t* grammar) {
    if (grammar == NULL) {
        return;
    }
    if (grammar->has_mutex) {
        llmir_mutex_deinit(&grammar->mutex);
    }
    llmir_masks_free(&grammar->masks);
    if (grammar->automaton.states.allocator != NULL) {
        llmir_automaton_free(&grammar->automaton);
    }
    llmir_free(llmir_model_allocator(grammar->model), grammar, sizeof(*grammar), 8);
}

/* Tokens that end the turn. */
static void allow_ends(const llmir_tokenizer_t* tokenizer, uint32_t* bits) {
    for (uint32_t id = 0; id < tokenizer->token_count; ++id) {
        if (llmir_tokenizer_is_end(tokenizer, (int32_t)id)) {
            bits[id / 32u] |= 1u << (id % 32u);
        }
    }
}

llmir_status_t llmir_grammar_allow(llmir_grammar_t* grammar,
                                   const llmir_match_t* match,
                                   uint32_t* out_bits,
                                   int* out_any,
                                   llmir_error_t* error) {
    llmir_mutex_lock(&grammar->mutex);
    const llmir_status_t status = llmir_masks_find(&grammar->masks, match, out_bits, error);
    llmir_mutex_unlock(&grammar->mutex);
    *out_any = 0;
    for (uint32_t i = 0; i < grammar->masks.word_count; ++i) {
        *out_any |= out_bits[i] != 0;
    }
    if (status == LLMIR_STATUS_OK && match->is_ended) {
        allow_ends(grammar->vocabulary->tokenizer, out_bits);
    }
    return status;
}

llmir_status_t llmir_grammar_accept(const llmir_grammar_t* grammar,
                                    llmir_match_t* match,
                                    int32_t token,
                                    llmir_error_t* error) {
    uint32_t count = 0;
    const uint8_t* bytes =
        llmir_tokenizer_token_bytes(grammar->vocabulary->tokenizer, token, &count, NULL);
    if (llmir_tokenizer_is_special(grammar->vocabulary->tokenizer, token)) {
        return LLMIR_STATUS_OK; /* it has no text */
    }
    return llmir_match_append(&grammar->automaton, match, bytes, count, error);
}
