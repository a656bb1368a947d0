/* A whole forward pass against plain double arithmetic over the same weights: what the plan, the
 * executor and the kernels make of it together. The reference reads the tensors in order and knows
 * the model's formulas, not the plan. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bundle.h"
#include "core/tensors.h"
#include "quant/quant_pack.h"
#include "tests/support/tiny_model.h"

#define TOKENS 70u
#define MAX_DIM 512u

typedef struct reference {
    tiny_options_t o;
    llmir_tensor_view_t* tensors;
    uint32_t next; /* tensor that comes next */
    double x[TOKENS][MAX_DIM];
    double normed[TOKENS][MAX_DIM];
    double rows[TOKENS][MAX_DIM]; /* of the product at hand */
    double mixed[TOKENS][MAX_DIM];
    double delta[TOKENS][MAX_DIM];
    int has_delta;
} reference_t;

static const llmir_tensor_view_t* next_tensor(reference_t* r) {
    return &r->tensors[r->next++];
}

static void product(reference_t* r,
                    const double (*in)[MAX_DIM],
                    double (*out)[MAX_DIM],
                    uint32_t tokens) {
    const llmir_tensor_view_t* tensor = next_tensor(r);
    const llmir_matrix_t matrix = {(uint8_t*)(uintptr_t)tensor->data, tensor->record->layout,
                                   tensor->record->group, tensor->record->shape[0],
                                   tensor->record->shape[1]};
    float row[MAX_DIM];
    for (uint32_t n = 0; n < matrix.rows; ++n) {
        llmir_matrix_dequantize_row(&matrix, n, row);
        for (uint32_t t = 0; t < tokens; ++t) {
            double sum = 0;
            for (uint32_t k = 0; k < matrix.columns; ++k) {
                sum += (double)row[k] * in[t][k];
            }
            out[t][n] = sum;
        }
    }
}

static void rms_norm(double* row, uint32_t dim, const float* weight, double epsilon) {
    double squares = 0;
    for (uint32_t i = 0; i < dim; ++i) {
        squares += row[i] * row[i];
    }
    const double inverse = 1 / sqrt(squares / dim + epsilon);
    for (uint32_t i = 0; i < dim; ++i) {
        row[i] *= inverse * (double)weight[i];
    }
}

static void norm(reference_t* r) {
    const float* post = r->has_delta ? (const void*)next_tensor(r)->data : NULL;
    const float* weight = (const void*)next_tensor(r)->data;
    for (uint32_t t = 0; t < TOKENS; ++t) {
        if (post != NULL) {
            rms_norm(r->delta[t], r->o.dim, post, 1e-6);
            for (uint32_t i = 0; i < r->o.dim; ++i) {
                r->x[t][i] += r->delta[t][i];
            }
        }
        memcpy(r->normed[t], r->x[t], sizeof(r->x[t]));
        rms_norm(r->normed[t], r->o.dim, weight, 1e-5);
    }
    r->has_delta = 0;
}

static void residual(reference_t* r, const double (*in)[MAX_DIM]) {
    product(r, in, r->delta, TOKENS);
    r->has_delta = r->o.delta_norm != 0;
    for (uint32_t t = 0; t < TOKENS && !r->has_delta; ++t) {
        for (uint32_t i = 0; i < r->o.dim; ++i) {
            r->x[t][i] += r->delta[t][i];
        }
    }
}

static void rotate(double* head, uint32_t head_dim, const float* frequency, uint32_t position) {
    for (uint32_t i = 0; i < head_dim / 2; ++i) {
        const double angle = (double)position * (double)frequency[i];
        const double a = head[i];
        const double b = head[i + head_dim / 2];
        head[i] = a * cos(angle) - b * sin(angle);
        head[i + head_dim / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* Bias, norms of heads, rotation of queries and keys. */
static void finish_heads(reference_t* r, const float* frequency) {
    const uint32_t heads = r->o.q_heads + r->o.kv_heads;
    const uint32_t columns = (heads + r->o.kv_heads) * r->o.head_dim;
    const float* bias = r->o.bias ? (const void*)next_tensor(r)->data : NULL;
    const float* q_norm = r->o.head_norm ? (const void*)next_tensor(r)->data : NULL;
    const float* k_norm = r->o.head_norm ? (const void*)next_tensor(r)->data : NULL;
    for (uint32_t t = 0; t < TOKENS; ++t) {
        for (uint32_t i = 0; i < columns && bias != NULL; ++i) {
            r->rows[t][i] += (double)bias[i];
        }
        for (uint32_t h = 0; h < heads; ++h) {
            double* head = r->rows[t] + h * r->o.head_dim;
            if (q_norm != NULL) {
                rms_norm(head, r->o.head_dim, h < r->o.q_heads ? q_norm : k_norm, 1e-6);
            }
            rotate(head, r->o.head_dim, frequency, t);
        }
    }
}

static void attend(reference_t* r, uint32_t t, uint32_t head, uint32_t window) {
    const uint32_t dim = r->o.head_dim;
    const uint32_t kv = head / (r->o.q_heads / r->o.kv_heads);
    const uint32_t k = (r->o.q_heads + kv) * dim;
    const uint32_t v = (r->o.q_heads + r->o.kv_heads + kv) * dim;
    const uint32_t first = window != 0 && t + 1 > window ? t + 1 - window : 0;
    double scores[TOKENS];
    double largest = -INFINITY;
    double sum = 0;
    for (uint32_t s = first; s <= t; ++s) {
        scores[s] = 0;
        for (uint32_t i = 0; i < dim; ++i) {
            scores[s] += r->rows[t][head * dim + i] * r->rows[s][k + i];
        }
        scores[s] /= sqrt(dim);
        largest = fmax(largest, scores[s]);
    }
    double* out = r->mixed[t] + head * dim;
    memset(out, 0, dim * sizeof(*out));
    for (uint32_t s = first; s <= t; ++s) {
        const double weight = exp(scores[s] - largest);
        sum += weight;
        for (uint32_t i = 0; i < dim; ++i) {
            out[i] += weight * r->rows[s][v + i];
        }
    }
    for (uint32_t i = 0; i < dim; ++i) {
        out[i] /= sum;
    }
}

/* Gate and up rows: halves, or panels of 16 that alternate. */
static void gate(reference_t* r) {
    for (uint32_t t = 0; t < TOKENS; ++t) {
        for (uint32_t i = 0; i < r->o.ffn; ++i) {
            const uint32_t g = r->o.split_gate ? i : i / 16 * 32 + i % 16;
            const uint32_t u = r->o.split_gate ? i + r->o.ffn : g + 16;
            const double z = r->rows[t][g];
            const double gelu =
                0.5 * z * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
            r->mixed[t][i] = (r->o.split_gate ? gelu : z / (1 + exp(-z))) * r->rows[t][u];
        }
    }
}

/* Logits of the last token. */
static void run_reference(reference_t* r, const int32_t* ids, float* out_logits) {
    const llmir_tensor_view_t* embedding = next_tensor(r);
    const float* frequency = (const void*)next_tensor(r)->data;
    const llmir_matrix_t matrix = {(uint8_t*)(uintptr_t)embedding->data, embedding->record->layout,
                                   embedding->record->group, r->o.vocab, r->o.dim};
    for (uint32_t t = 0; t < TOKENS; ++t) {
        for (uint32_t i = 0; i < r->o.dim; ++i) {
            r->x[t][i] = (double)llmir_matrix_value_at(&matrix, (uint32_t)ids[t], i);
        }
    }
    for (uint32_t layer = 0; layer < r->o.layers; ++layer) {
        norm(r);
        product(r, (const double(*)[MAX_DIM])r->normed, r->rows, TOKENS);
        finish_heads(r, frequency);
        for (uint32_t t = 0; t < TOKENS; ++t) {
            for (uint32_t head = 0; head < r->o.q_heads; ++head) {
                attend(r, t, head, layer % 2 ? r->o.window : 0);
            }
        }
        residual(r, (const double(*)[MAX_DIM])r->mixed);
        norm(r);
        product(r, (const double(*)[MAX_DIM])r->normed, r->rows, TOKENS);
        gate(r);
        residual(r, (const double(*)[MAX_DIM])r->mixed);
    }
    norm(r);
    memmove(r->normed[0], r->normed[TOKENS - 1], sizeof(r->normed[0]));
    product(r, (const double(*)[MAX_DIM])r->normed, r->rows, 1);
    for (uint32_t i = 0; i < r->o.vocab; ++i) {
        out_logits[i] = (float)r->rows[0][i];
    }
}

static void reference_logits(const tiny_options_t* options,
                             const tiny_bundle_t* file,
                             const int32_t* ids,
                             float* out_logits) {
    reference_t* r = calloc(1, sizeof(*r));
    llmir_bundle_t bundle;
    uint32_t count = 0;
    uint64_t bytes = 0;
    r->o = *options;
    assert_status(llmir_bundle_open(file->data, file->bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_tensors_count(&bundle, &count, &bytes, &assert_status_error),
                  LLMIR_STATUS_OK);
    r->tensors = calloc(count, sizeof(*r->tensors));
    assert_status(llmir_tensors_read(&bundle, r->tensors, &assert_status_error), LLMIR_STATUS_OK);
    run_reference(r, ids, out_logits);
    assert_int_equal(r->next, count);
    free(r->tensors);
    free(r);
}

static void check_options(const tiny_options_t* options, uint32_t kv_type, float tolerance) {
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    float expected[MAX_DIM];
    int32_t ids[TOKENS];
    tiny_loaded_t loaded;
    tiny_ids(options->seed, options->vocab, ids, TOKENS);
    tiny_load(&loaded, options, 2);
    reference_logits(options, &loaded.bundle, ids, expected);
    session_options.kv_type = kv_type;
    session_options.chunk_tokens = 32;
    llmir_session_t* session = tiny_session(&loaded, &session_options);
    assert_status(llmir_session_feed(session, ids, TOKENS, &assert_status_error), LLMIR_STATUS_OK);
    assert_close_f32(llmir_session_logits(session), expected, options->vocab, tolerance, tolerance);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_forward_float_weights_agree_with_reference(void** state) {
    (void)state;
    for (uint32_t i = 0; i < 32; ++i) {
        tiny_options_t options = tiny_options_default();
        options.seed = i + 1;
        options.layout = i & 16 ? LLMIR_LAYOUT_PANEL_F16 : LLMIR_LAYOUT_PANEL_F32;
        options.bias = i & 1;
        options.head_norm = i >> 1 & 1;
        options.delta_norm = i >> 2 & 1;
        options.split_gate = i >> 3 & 1;
        options.window = i & 2 ? 20 : 0;
        check_options(&options, LLMIR_KV_F32, 1e-4f);
    }
}

/* Sizes that are no multiple of a vector or panel. */
static void test_forward_odd_sizes_agree_with_reference(void** state) {
    tiny_options_t options = tiny_options_default();
    (void)state;
    options.dim = 40;
    options.q_heads = 6;
    options.kv_heads = 2;
    options.head_dim = 24;
    options.ffn = 72;
    options.vocab = 333;
    options.page_tokens = 48;
    options.layers = 3;
    options.split_gate = 1;
    options.bias = 1;
    check_options(&options, LLMIR_KV_F32, 1e-4f);
    options.split_gate = 0;
    options.ffn = 80;
    check_options(&options, LLMIR_KV_F32, 1e-4f);
    check_options(&options, LLMIR_KV_F16, 3e-2f);
}

/* With integer weights the activations are rounded to 8 bits on the way. */
static void test_forward_integer_weights_are_close_to_reference(void** state) {
    static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_S4, LLMIR_LAYOUT_PANEL_U4,
                                       LLMIR_LAYOUT_PANEL_S8};
    (void)state;
    for (uint32_t i = 0; i < 6; ++i) {
        tiny_options_t options = tiny_options_default();
        options.layout = layouts[i % 3];
        options.group = i < 3 ? 32 : 64;
        options.ffn = 128;
        options.bias = 1;
        options.window = 30;
        check_options(&options, LLMIR_KV_F32, 0.25f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_float_weights_agree_with_reference),
        cmocka_unit_test(test_forward_odd_sizes_agree_with_reference),
        cmocka_unit_test(test_forward_integer_weights_are_close_to_reference),
    };
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
