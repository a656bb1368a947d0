/* softmax(scale * q . keys) . values over the paged cache, causal, with an optional window.
 *
 * Keys are taken in pieces of 256 positions, aligned to position 0. Per query head and piece:
 *
 *   s[key] = scale * (q[0] * k[0] + q[1] * k[1] + ...)   one fma per element, lanes are keys
 *   m = max s;  p = exp(s - m);  l = sum of p, 16 lanes (key % 16), then the tree of v16_sum
 *   o[d]  = p[first] * v[first][d] + ...                 one fma per key, lanes are elements
 *
 * (with integer storage: attention_integer.h) and pieces are merged in ascending order. The result
 * is a function of the query's position and of the cache alone: which queries are computed together
 * never changes an operation. So query rows (token, head) that share a kv head go through a piece
 * together, a few in registers at a time, and share its loads and conversions. Keys outside a
 * query's range take part in no maximum, sum or product; where ranges of rows differ, the ends are
 * done key by key, for the rows that look at each. */
#include "targets/cpu/kernels/attention_pass.h"
#include "targets/cpu/kernels/hadamard.h"
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/kv_cache.h"
#include "targets/cpu/kernels/tiles.h"

void LLMIR_KERNEL_NAME(attention)(const llmir_cpu_call_t* call,
                                  const void* params,
                                  uint32_t tile_begin,
                                  uint32_t tile_end);

typedef struct attention_context {
    const llmir_attention_params_t* params;
    const llmir_cpu_batch_t* batch;
    const llmir_cpu_kv_layer_t* layer;
    const float* q;
    float* out;
} attention_context_t;

/* A run of tokens of one sequence, for one kv head. */
typedef struct attention_run {
    uint32_t token_begin;
    uint32_t token_end;
    uint32_t kv_head;
} attention_run_t;

/* First key and one past the last that the query at `position` looks at. */
static inline uint32_t attention_first_key(uint32_t window, uint32_t position) {
    return window != 0 && position >= window ? position - window + 1u : 0u;
}

/* Where the run's kv head has group `group` of a sequence, counted from position 0. */
static inline llmir_kv_group_t attention_group(const attention_context_t* c,
                                               const attention_run_t* run,
                                               uint32_t group) {
    return llmir_kv_group(c->batch, c->layer, c->batch->token_sequence[run->token_begin],
                          run->kv_head, group * LLMIR_KV_GROUP);
}

/* Finds the groups [begin, end) of the piece in the pages, and the keys of the groups one piece
 * further as far as these are before `last_group`. Where tiles take pairs, the keys of a group
 * beside the range are those of its neighbour; nobody looks at their scores. */
LLMIR_OUTLINE void attention_locate(const attention_context_t* c,
                                    const attention_run_t* run,
                                    uint32_t piece_index,
                                    uint32_t last_group,
                                    attention_piece_t* piece) {
    for (uint32_t g = piece->group_begin; g < piece->group_end; ++g) {
        const uint32_t group = piece_index * ATTENTION_GROUPS + g;
        const llmir_kv_group_t here = attention_group(c, run, group);
        piece->keys[g] = here.keys;
        piece->values[g] = here.values;
        piece->next_keys[g] = here.keys;
        if (group + ATTENTION_GROUPS <= last_group) {
            piece->next_keys[g] = attention_group(c, run, group + ATTENTION_GROUPS).keys;
        }
    }
    if (ATTENTION_PAIRS(ATTENTION_MAX_ROWS) && piece->group_begin % 2u != 0) {
        piece->keys[piece->group_begin - 1u] = piece->keys[piece->group_begin];
    }
    if (ATTENTION_PAIRS(ATTENTION_MAX_ROWS) && piece->group_end % 2u != 0) {
        piece->keys[piece->group_end] = piece->keys[piece->group_end - 1u];
    }
}

/* The part of a row's keys [first, last) that lies in the piece, relative to the piece. */
static inline void attention_clip(attention_row_t* row, uint32_t piece_index) {
    const uint32_t base = piece_index * ATTENTION_PIECE;
    const uint32_t first = row->first_key > base ? row->first_key - base : 0u;
    const uint32_t last = row->last_key > base ? row->last_key - base : 0u;
    row->begin = first < ATTENTION_PIECE ? first : ATTENTION_PIECE;
    row->end = last < ATTENTION_PIECE ? last : ATTENTION_PIECE;
}

/* One piece for all rows of a block. Rows with keys in the piece are adjacent, because tokens are
 * in order of position. */
LLMIR_OUTLINE void attention_piece_rows(const attention_context_t* c,
                                        const attention_run_t* run,
                                        attention_row_t* rows,
                                        uint32_t row_count,
                                        uint32_t piece_index) {
    uint32_t begin = ATTENTION_PIECE;
    uint32_t end = 0;
    uint32_t first_row = row_count;
    uint32_t last_row = 0;
    for (uint32_t r = 0; r < row_count; ++r) {
        attention_clip(&rows[r], piece_index);
        if (rows[r].begin < rows[r].end) {
            begin = rows[r].begin < begin ? rows[r].begin : begin;
            end = rows[r].end > end ? rows[r].end : end;
            first_row = first_row < r ? first_row : r;
            last_row = r + 1u;
        }
    }
    if (first_row >= last_row) {
        return;
    }
    attention_piece_t piece = {
        .head_dim = c->params->head_dim,
        .storage = c->batch->kv_type,
        .value_row_bytes = llmir_kv_value_row_bytes(c->batch->kv_type, c->params->head_dim),
        .scale = c->params->scale,
        .soft_cap = c->params->soft_cap,
        .group_begin = begin / LLMIR_KV_GROUP,
        .group_end = (end + LLMIR_KV_GROUP - 1u) / LLMIR_KV_GROUP,
    };
    const uint32_t last_key = rows[row_count - 1u].last_key - 1u;
    attention_locate(c, run, piece_index, last_key / LLMIR_KV_GROUP, &piece);
    for (uint32_t r = first_row; r < last_row;) {
        r += attention_pass_run(&piece, &rows[r], last_row - r);
    }
}

/* All pieces for `row_count` rows, from row `row_begin` of the run. */
static void attention_block(const attention_context_t* c,
                            const attention_run_t* run,
                            uint32_t row_begin,
                            uint32_t row_count) {
    const llmir_attention_params_t* p = c->params;
    const uint32_t ratio = p->q_heads / p->kv_heads;
    attention_row_t rows[ATTENTION_BLOCK_ROWS];
    uint32_t rows_begin = UINT32_MAX;
    for (uint32_t r = 0; r < row_count; ++r) {
        const uint32_t token = run->token_begin + (row_begin + r) / ratio;
        const uint32_t head = run->kv_head * ratio + (row_begin + r) % ratio;
        const uint32_t position = (uint32_t)c->batch->positions[token];
        const size_t column = (size_t)head * p->head_dim;
        rows[r] = (attention_row_t){
            .q = c->q + (size_t)token * p->q_stride + column,
            .out = c->out + (size_t)token * p->out_stride + column,
            .first_key = attention_first_key(p->window, position),
            .last_key = position + 1u,
            .m = -__builtin_inff(),
        };
        rows_begin = rows[r].first_key < rows_begin ? rows[r].first_key : rows_begin;
    }
    const uint32_t last = run->token_begin + (row_begin + row_count - 1u) / ratio;
    const uint32_t first_piece = rows_begin / ATTENTION_PIECE;
    const uint32_t last_piece = (uint32_t)c->batch->positions[last] / ATTENTION_PIECE;
    for (uint32_t i = first_piece; i <= last_piece; ++i) {
        attention_piece_rows(c, run, rows, row_count, i);
    }
    for (uint32_t r = 0; r < row_count; ++r) {
        attention_row_finish(&rows[r], p->head_dim);
        if (llmir_kv_is_integer(c->batch->kv_type)) { /* its values were turned */
            hadamard_turn(rows[r].out, p->head_dim);
        }
    }
}

static void attention_run_rows(const attention_context_t* c, const attention_run_t* run) {
    const uint32_t ratio = c->params->q_heads / c->params->kv_heads;
    const uint32_t count = (run->token_end - run->token_begin) * ratio;
    for (uint32_t r = 0; r < count; r += ATTENTION_BLOCK_ROWS) {
        const uint32_t left = count - r;
        attention_block(c, run, r, left < ATTENTION_BLOCK_ROWS ? left : ATTENTION_BLOCK_ROWS);
    }
}

/* The token block of a tile. Late blocks see more keys, so early and late ones alternate and equal
 * shares of tiles are about equal work. */
static inline uint32_t attention_token_block(uint32_t index, uint32_t count) {
    return index % 2u == 0 ? index / 2u : count - 1u - index / 2u;
}

void LLMIR_KERNEL_NAME(attention)(const llmir_cpu_call_t* call,
                                  const void* params,
                                  uint32_t tile_begin,
                                  uint32_t tile_end) {
    const llmir_cpu_batch_t* batch = call->batch;
    const attention_context_t context = {
        .params = (const llmir_attention_params_t*)params,
        .batch = batch,
        .layer = (const llmir_cpu_kv_layer_t*)call->operands[1],
        .q = (const float*)call->operands[0],
        .out = (float*)call->operands[2],
    };
    const uint32_t tokens = llmir_attention_tile_tokens(batch);
    const uint32_t blocks = llmir_tile_count(batch->token_count, tokens);
    for (uint32_t tile = tile_begin; tile < tile_end; ++tile) {
        const uint32_t block = attention_token_block(tile % blocks, blocks);
        const llmir_tile_rows_t all =
            llmir_tile_rows(block, block + 1u, tokens, batch->token_count);
        for (uint32_t t = all.begin; t < all.end;) {
            attention_run_t run = {t, t + 1u, tile / blocks};
            while (run.token_end < all.end &&
                   batch->token_sequence[run.token_end] == batch->token_sequence[t]) {
                ++run.token_end;
            }
            attention_run_rows(&context, &run);
            t = run.token_end;
        }
    }
}
