//===- LLMIRRowOps.td - Operations on rows of activations -------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_ROWOPS
#define LLMIR_DIALECT_LLMIR_ROWOPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"

//===-----------------------------------------------------------------------------------------===//
// Norms
//===-----------------------------------------------------------------------------------------===//

def LLMIR_RmsNormOp : LLMIR_Op<"rms_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "root-mean-square norm";
  let description = [{
    `result = input / sqrt(mean(input^2) + epsilon) * weight` over each run of as many columns as
    `weight` has elements: whole rows, or each head of a row.

    Shapes: `input` and `result` [T x columns]; the size of `weight` divides columns.
    Lowers to: kernel NORM for rows, kernel QKV for heads.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %w: !llmir.qtensor<576, f32>, %h: !llmir.qtensor<64, f32>) {
      %0 = llmir.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x576xf32>, !llmir.qtensor<576, f32>
      %1 = llmir.rms_norm %x, %h epsilon 1.0e-6 : tensor<?x576xf32>, !llmir.qtensor<64, f32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, LLMIR_QTensor:$weight, F32Attr:$epsilon);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat =
      "$input `,` $weight `epsilon` $epsilon attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

def LLMIR_LayerNormOp : LLMIR_Op<"layer_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "layer norm";
  let description = [{
    `result = (input - mean) / sqrt(variance + epsilon) * weight + bias` over whole rows.

    Shapes: `input` and `result` [T x columns]; `weight` and `bias` [columns].
    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %w: !llmir.qtensor<576, f32>, %b: !llmir.qtensor<576, f32>) {
      %0 = llmir.layer_norm %x, %w bias(%b : !llmir.qtensor<576, f32>) epsilon 1.0e-5 : tensor<?x576xf32>, !llmir.qtensor<576, f32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, LLMIR_QTensor:$weight, Optional<LLMIR_QTensor>:$bias,
                       F32Attr:$epsilon);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` `(` $bias^ `:` type($bias) `)`)? `epsilon` $epsilon attr-dict `:`
    type($input) `,` type($weight)
  }];
  let hasVerifier = 1;
}

def LLMIR_ResidualNormOp : LLMIR_Op<"residual_norm",
    [Pure, AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "residual update and norm of it in one pass over the rows";
  let description = [{
    ```
    d       = delta_weight ? rms_norm(delta, delta_weight, delta_epsilon) : delta
    updated = delta ? input + d : input
    output  = rms_norm(rows ? updated[rows] : updated, weight, epsilon), quantized if its type says so
    ```
    What llmir-fuse-norms makes of `rms_norm`, `add`, `select_rows` and `quantize`. `updated` is there only
    with `delta`, and not with `rows`; `output` only with `weight`. `epsilon` is 0 without `weight`.

    Shapes: `input`, `delta`, `updated` [T x columns], weights [columns], `rows` [R], `output` [T or
    R x columns].
    Lowers to: kernel NORM.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x640xf32>, %d: tensor<?x640xf32>, %w: !llmir.qtensor<640, f32>, %r: tensor<?xi32>) {
      %0, %1 = llmir.residual_norm %x delta(%d : tensor<?x640xf32>) delta_weight(%w : !llmir.qtensor<640, f32>) delta_epsilon 1.0e-6
          weight(%w : !llmir.qtensor<640, f32>) epsilon 1.0e-6
          : tensor<?x640xf32> -> updated tensor<?x640xf32> output !llmir.q8_rows<640, 32>
      %2 = llmir.residual_norm %0 weight(%w : !llmir.qtensor<640, f32>) epsilon 1.0e-6 rows(%r : tensor<?xi32>)
          : tensor<?x640xf32> -> output tensor<?x640xf32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, Optional<LLMIR_Rows>:$delta,
                       Optional<LLMIR_QTensor>:$delta_weight, Optional<LLMIR_QTensor>:$weight,
                       Optional<LLMIR_Ids>:$rows,
                       DefaultValuedAttr<F32Attr, "0.0f">:$delta_epsilon,
                       DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs Optional<LLMIR_Rows>:$updated, Optional<LLMIR_RowsOrQ8>:$output);
  let assemblyFormat = [{
    $input (`delta` `(` $delta^ `:` type($delta) `)`)?
    (`delta_weight` `(` $delta_weight^ `:` type($delta_weight) `)`)?
    (`delta_epsilon` $delta_epsilon^)? (`weight` `(` $weight^ `:` type($weight) `)`)?
    (`epsilon` $epsilon^)? (`rows` `(` $rows^ `:` type($rows) `)`)? attr-dict `:` type($input) `->`
    (`updated` type($updated)^)? (`output` type($output)^)?
  }];
  let hasVerifier = 1;
}

//===-----------------------------------------------------------------------------------------===//
// Element-wise
//===-----------------------------------------------------------------------------------------===//


def LLMIR_GateOp : LLMIR_Op<"gate", [Pure, SameOperandsAndResultType]> {
  let summary = "gated activation";
  let description = [{
    `result = function(gate) * up`; `silu` is z / (1 + exp(-z)), `gelu_tanh` is
    0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))).

    Shapes: all [T x columns].
    Lowers to: the epilogue of a merged LINEAR, or kernel GATE.

    Example:

    ```mlir
    func.func @f(%g: tensor<?x1536xf32>, %u: tensor<?x1536xf32>) -> tensor<?x1536xf32> {
      %0 = llmir.gate silu %g, %u : tensor<?x1536xf32>
      return %0 : tensor<?x1536xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_GateKind:$kind, LLMIR_Rows:$gate, LLMIR_Rows:$up);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$kind $gate `,` $up attr-dict `:` type($result)";
}

def LLMIR_AddOp : LLMIR_Op<"add", [Pure, Commutative, SameOperandsAndResultType]> {
  let summary = "sum of two activations";
  let description = [{
    Element by element. Adding a value that is scaled by 0 folds away.

    Shapes: all [T x columns].
    Lowers to: the epilogue of LINEAR or the residual update of NORM.

    Example:

    ```mlir
    func.func @f(%a: tensor<?x576xf32>, %b: tensor<?x576xf32>) -> tensor<?x576xf32> {
      %0 = llmir.add %a, %b : tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$lhs, LLMIR_Rows:$rhs);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
  let hasFolder = 1;
}

def LLMIR_ScaleOp : LLMIR_Op<"scale", [Pure, SameOperandsAndResultType]> {
  let summary = "product with a constant";
  let description = [{
    `result = input * factor`. A factor of 1 folds away, scales of scales and of embeddings merge.

    Shapes: all [T x columns].
    Lowers to: the scale of EMBED; any other place has no kernel.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x640xf32>) -> tensor<?x640xf32> {
      %0 = llmir.scale %x by 25.298 : tensor<?x640xf32>
      return %0 : tensor<?x640xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, F32Attr:$factor);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$input `by` $factor attr-dict `:` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def LLMIR_SoftCapOp : LLMIR_Op<"soft_cap", [Pure, SameOperandsAndResultType]> {
  let summary = "smooth limit of magnitude";
  let description = [{
    `result = cap * tanh(input / cap)`; `cap` is positive.

    Shapes: all [T x columns].
    Lowers to: the epilogue of LINEAR.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x256xf32>) -> tensor<?x256xf32> {
      %0 = llmir.soft_cap %x at 30.0 : tensor<?x256xf32>
      return %0 : tensor<?x256xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, F32Attr:$cap);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$input `at` $cap attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===-----------------------------------------------------------------------------------------===//
// Selection
//===-----------------------------------------------------------------------------------------===//

def LLMIR_SelectRowsOp : LLMIR_Op<"select_rows", [Pure]> {
  let summary = "rows by index";
  let description = [{
    `result[r] = input[rows[r]]`: the tokens whose logits are wanted.

    Shapes: `input` [T x columns], `rows` [R], `result` [R x columns].
    Lowers to: the gathering form of NORM.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %r: tensor<?xi32>) -> tensor<?x576xf32> {
      %0 = llmir.select_rows %x, %r : tensor<?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, LLMIR_Ids:$rows);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat =
      "$input `,` $rows attr-dict `:` type($input) `,` type($rows) `->` type($result)";
  let hasVerifier = 1;
}

def LLMIR_ColumnsOp : LLMIR_Op<"columns", [Pure]> {
  let summary = "a range of columns";
  let description = [{
    Columns `from` up to `from` + the columns of the result: how the users of a merged projection
    see their share.

    Shapes: `input` [T x columns]; the range lies inside it.
    Lowers to: a view, no kernel.

    Example:

    ```mlir
    func.func @f(%qkv: tensor<?x960xf32>) -> tensor<?x192xf32> {
      %0 = llmir.columns %qkv from 576 : tensor<?x960xf32> -> tensor<?x192xf32>
      return %0 : tensor<?x192xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, I64Attr:$from);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$input `from` $from attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // LLMIR_DIALECT_LLMIR_ROWOPS
