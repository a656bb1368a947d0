//===- LLMIRExpertOps.td - Mixture of experts -------------------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_EXPERTOPS
#define LLMIR_DIALECT_LLMIR_EXPERTOPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"

def LLMIR_MoeRouteOp : LLMIR_Op<"moe_route", [Pure]> {
  let summary = "choice of experts";
  let description = [{
    For each token the `top` experts with the largest scores and their weights: the scores after
    `scoring` over all experts, divided by their sum over the chosen ones with `normalize`. Ties go
    to the lower index.

    Shapes: `scores` [T x experts], `weights` [T x top] f32, `experts` [T x top] i32; top <= experts.
    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%s: tensor<?x8xf32>) {
      %w, %e = llmir.moe_route %s top 2 softmax normalize : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$scores, I64Attr:$top, LLMIR_RouteScoring:$scoring,
                       UnitAttr:$normalize);
  let results = (outs LLMIR_Rows:$weights, 2DTensorOf<[I32]>:$experts);
  let assemblyFormat = [{
    $scores `top` $top $scoring (`normalize` $normalize^)? attr-dict `:` type($scores) `->`
    type($weights) `,` type($experts)
  }];
  let hasVerifier = 1;
}

def LLMIR_MoeLinearOp : LLMIR_Op<"moe_linear", [Pure]> {
  let summary = "product with the matrices of chosen experts";
  let description = [{
    `result[t][i] = weight[experts[t][i]] . input[t]`, or `input[t][i]` if the input has one row per
    expert. With `weights` the results of a token are weighted and summed.

    Shapes: `input` [T x columns] or [T x top x columns], `weight` [experts x rows x columns],
    `experts` and `weights` [T x top], `result` [T x top x rows], with `weights` [T x rows].
    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x2x576xf32>, %w: !llmir.qtensor<8x1536x576, panel_u4, 32>, %e: tensor<?x2xi32>, %s: tensor<?x2xf32>) {
      %0 = llmir.moe_linear %x, %w, %e weights(%s : tensor<?x2xf32>)
          : tensor<?x2x576xf32>, !llmir.qtensor<8x1536x576, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x1536xf32>
      return
    }
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32]>:$input, LLMIR_QTensor:$weight,
                       2DTensorOf<[I32]>:$experts, Optional<LLMIR_Rows>:$weights);
  let results = (outs RankedTensorOf<[F32]>:$result);
  let assemblyFormat = [{
    $input `,` $weight `,` $experts (`weights` `(` $weights^ `:` type($weights) `)`)? attr-dict `:`
    type($input) `,` type($weight) `,` type($experts) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // LLMIR_DIALECT_LLMIR_EXPERTOPS
