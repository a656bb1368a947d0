/* Finishes a layer's projections: [RMS norm of each q and k head], rotation of q in place, of k on
 * its way into the cache, and v into the cache. With integer storage q becomes integers, too. */
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/kv_append.h"
#include "targets/cpu/kernels/rms.h"
#include "targets/cpu/kernels/tiles.h"

void LLMIR_KERNEL_NAME(qkv)(const llmir_cpu_call_t* call,
                            const void* params,
                            uint32_t tile_begin,
                            uint32_t tile_end);

/* out = in * inverse * weight, or a copy if weight is NULL; in may be out. */
LLMIR_OUTLINE void qkv_normalise(const llmir_qkv_params_t* p,
                                 const float* weight,
                                 const float* in,
                                 float* out) {
    if (!weight) {
        for (uint32_t i = 0; i < p->head_dim && in != out; i += LLMIR_LANES) {
            const uint32_t left = p->head_dim - i;
            v16_store_upto(out + i, v16_load_upto(in + i, left), left);
        }
        return;
    }
    const v16f inverse = v16_set1(llmir_rms_inverse_row(in, p->head_dim, p->norm_epsilon));
    LLMIR_ROLLED
    for (uint32_t i = 0; i < p->head_dim; i += LLMIR_LANES) {
        const uint32_t left = p->head_dim - i;
        const v16f scaled = v16_mul(v16_load_upto(in + i, left), inverse);
        v16_store_upto(out + i, v16_mul(scaled, v16_load_upto(weight + i, left)), left);
    }
}

/* Turns each pair (x[i], x[i + half]) by the table's angle i. */
LLMIR_OUTLINE void qkv_rotate(uint32_t rope_dim, const float* table, float* x) {
    const uint32_t half = rope_dim / 2u;
    LLMIR_ROLLED
    for (uint32_t i = 0; i < half; i += LLMIR_LANES) {
        const uint32_t left = half - i;
        const v16f c = v16_load_upto(table + i, left);
        const v16f s = v16_load_upto(table + half + i, left);
        const v16f x0 = v16_load_upto(x + i, left);
        const v16f x1 = v16_load_upto(x + half + i, left);
        v16_store_upto(x + i, v16_sub(v16_mul(x0, c), v16_mul(x1, s)), left);
        v16_store_upto(x + half + i, v16_add(v16_mul(x1, c), v16_mul(x0, s)), left);
    }
}

typedef struct qkv_context {
    const llmir_qkv_params_t* params;
    const llmir_cpu_batch_t* batch;
    const llmir_cpu_kv_layer_t* layer;
    const float* table; /* of the token; NULL: no rotation */
    const float* q_weight;
    const float* k_weight;
} qkv_context_t;

static void qkv_append(const qkv_context_t* c, const float* k, const float* v, uint32_t token) {
    const llmir_qkv_params_t* p = c->params;
    const llmir_cpu_batch_t* batch = c->batch;
    const uint32_t position = (uint32_t)batch->positions[token];
    float key[LLMIR_KV_MAX_HEAD_DIM];
    LLMIR_ROLLED
    for (uint32_t h = 0; h < p->kv_heads; ++h) {
        const llmir_kv_group_t group =
            llmir_kv_group(batch, c->layer, batch->token_sequence[token], h, position);
        qkv_normalise(p, c->k_weight, k + (size_t)h * p->head_dim, key);
        if (c->table) {
            qkv_rotate(p->rope_dim, c->table, key);
        }
        kv_store(group, position % LLMIR_KV_GROUP, key, v + (size_t)h * p->head_dim, p->head_dim,
                 batch->kv_type);
    }
}

static void qkv_query(const qkv_context_t* c, float* head) {
    const llmir_qkv_params_t* p = c->params;
    float query[LLMIR_KV_MAX_HEAD_DIM];
    float* out = llmir_kv_is_integer(c->batch->kv_type) ? query : head;
    qkv_normalise(p, c->q_weight, head, out);
    if (c->table) {
        qkv_rotate(p->rope_dim, c->table, out);
    }
    if (out != head) {
        kv_store_query(out, p->head_dim, (uint8_t*)head);
    }
}

void LLMIR_KERNEL_NAME(qkv)(const llmir_cpu_call_t* call,
                            const void* params,
                            uint32_t tile_begin,
                            uint32_t tile_end) {
    const llmir_qkv_params_t* p = (const llmir_qkv_params_t*)params;
    const llmir_tile_rows_t rows =
        llmir_tile_rows(tile_begin, tile_end, LLMIR_TOKEN_TILE_ROWS, call->batch->token_count);
    const int norm = (p->flags & LLMIR_QKV_NORM) != 0;
    qkv_context_t context = {
        .params = p,
        .batch = call->batch,
        .layer = (const llmir_cpu_kv_layer_t*)call->operands[4],
        .q_weight = norm ? (const float*)call->operands[2] : NULL,
        .k_weight = norm ? (const float*)call->operands[3] : NULL,
    };
    LLMIR_ROLLED
    for (uint32_t t = rows.begin; t < rows.end; ++t) {
        float* q = (float*)call->operands[0] + (size_t)t * p->stride;
        const float* k = q + (size_t)p->q_heads * p->head_dim;
        if (p->flags & LLMIR_QKV_ROPE) {
            context.table =
                (const float*)((const uint8_t*)call->operands[1] + (size_t)t * call->row_bytes[1]);
        }
        LLMIR_ROLLED
        for (uint32_t h = 0; h < p->q_heads; ++h) {
            qkv_query(&context, q + (size_t)h * p->head_dim);
        }
        qkv_append(&context, k, k + (size_t)p->kv_heads * p->head_dim, t);
    }
}
