//===- LLMIRAttentionOps.td - Rotary positions, cache and attention ---------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_ATTENTIONOPS
#define LLMIR_DIALECT_LLMIR_ATTENTIONOPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"

def LLMIR_RopeTableOp : LLMIR_Op<"rope_table", [Pure]> {
  let summary = "cosines and sines of rotary positions";
  let description = [{
    `result[t] = factor * {cos, sin}(positions[t] * frequencies[i])`: all cosines of a row, then all
    sines. Every kind of rope scaling is a choice of frequencies and of `attention_factor` (1 if absent).

    Shapes: `positions` [T], `frequencies` [pairs] `f32`, `result` [T x 2 * pairs].
    Lowers to: kernel ROPE_TABLE.

    Example:

    ```mlir
    func.func @f(%p: tensor<?xi32>, %w: !llmir.qtensor<32, f32>) -> tensor<?x64xf32> {
      %0 = llmir.rope_table %p, %w : tensor<?xi32>, !llmir.qtensor<32, f32> -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Ids:$positions, LLMIR_QTensor:$frequencies,
                       DefaultValuedAttr<F32Attr, "1.0f">:$attention_factor);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $positions `,` $frequencies (`attention_factor` $attention_factor^)? attr-dict `:`
    type($positions) `,` type($frequencies) `->` type($result)
  }];
  let hasVerifier = 1;
}

def LLMIR_RopeOp : LLMIR_Op<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotation of heads by position";
  let description = [{
    Rotates the first `rope_dim` elements of every head, `rope_dim` being the columns of `table`; the
    rest of a head stays. `halves` pairs element i with i + rope_dim / 2, `interleaved` 2i with 2i + 1.

    Shapes: `input` and `result` [T x heads * head_dim], `table` [T x rope_dim], rope_dim <= head_dim.
    Lowers to: kernel QKV, `halves` only; llmir-permute-rope-rows removes the other style.

    Example:

    ```mlir
    func.func @f(%q: tensor<?x576xf32>, %t: tensor<?x64xf32>) -> tensor<?x576xf32> {
      %0 = llmir.rope %q, %t head_dim 64 halves : tensor<?x576xf32>, tensor<?x64xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, LLMIR_Rows:$table, I64Attr:$head_dim,
                       LLMIR_RopeStyle:$style);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat =
      "$input `,` $table `head_dim` $head_dim $style attr-dict `:` type($input) `,` type($table)";
  let hasVerifier = 1;
}

def LLMIR_AppendKVOp : LLMIR_Op<"append_kv", [Pure, AllTypesMatch<["cache", "result"]>]> {
  let summary = "keys and values into the cache";
  let description = [{
    The cache with the keys and values of the batch's tokens stored at their positions.

    Shapes: `keys` and `values` [T x kv_heads * head_dim], `positions` [T].
    Lowers to: kernel QKV.

    Example:

    ```mlir
    func.func @f(%c: !llmir.paged_kv<3x64>, %k: tensor<?x192xf32>, %v: tensor<?x192xf32>,
                 %p: tensor<?xi32>) -> !llmir.paged_kv<3x64> {
      %0 = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<3x64>, tensor<?x192xf32>, tensor<?x192xf32>, tensor<?xi32>
      return %0 : !llmir.paged_kv<3x64>
    }
    ```
  }];
  let arguments = (ins LLMIR_PagedKV:$cache, LLMIR_Rows:$keys, LLMIR_Rows:$values,
                       LLMIR_Ids:$positions);
  let results = (outs LLMIR_PagedKV:$result);
  let assemblyFormat = [{
    $cache `,` $keys `,` $values `,` $positions attr-dict `:` type($cache) `,` type($keys) `,`
    type($values) `,` type($positions)
  }];
  let hasVerifier = 1;
}

def LLMIR_PagedAttentionOp : LLMIR_Op<"paged_attention",
    [Pure, AllTypesMatch<["query", "result"]>]> {
  let summary = "grouped-query attention over a paged cache";
  let description = [{
    Per head `softmax(cap(scale * query . keys^T) + mask) . values` over the cached tokens of the
    query's own sequence. Query head h reads key/value head h / (q_heads / kv_heads).

    The mask keeps the keys at positions 0 .. positions[t], or with `window` w only the last w of
    them, the token's own included; `bidirectional` drops the causal part. `sinks` holds one logit per query head
    that takes part in the softmax without a value. `soft_cap` c applies c * tanh(s / c) to the scores.

    Shapes: `query` and `result` [T x q_heads * head_dim], q_heads a multiple of the cache's
    kv_heads; `sinks` [q_heads]. `window` does not exceed the cache's.
    Lowers to: kernel ATTENTION; `sinks` and `bidirectional` have no kernel yet.

    Example:

    ```mlir
    func.func @f(%q: tensor<?x576xf32>, %c: !llmir.paged_kv<3x64>, %p: tensor<?xi32>) -> tensor<?x576xf32> {
      %0 = llmir.paged_attention %q, %c, %p scale 0.125 window 512 : tensor<?x576xf32>, !llmir.paged_kv<3x64>, tensor<?xi32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$query, LLMIR_PagedKV:$cache, LLMIR_Ids:$positions,
                       Optional<LLMIR_QTensor>:$sinks, F32Attr:$scale,
                       DefaultValuedAttr<I64Attr, "0">:$window,
                       DefaultValuedAttr<F32Attr, "0.0f">:$soft_cap, UnitAttr:$bidirectional);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $query `,` $cache `,` $positions (`sinks` `(` $sinks^ `:` type($sinks) `)`)? `scale` $scale
    (`window` $window^)? (`soft_cap` $soft_cap^)? (`bidirectional` $bidirectional^)? attr-dict `:`
    type($query) `,` type($cache) `,` type($positions)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getQueryHeads() {
      return getQuery().getType().getDimSize(1) / getCache().getType().getHeadDim();
    }
  }];
}

#endif // LLMIR_DIALECT_LLMIR_ATTENTIONOPS
