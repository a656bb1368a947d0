//===- LLMIRProjectionOps.td - Products with weights ------------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_PROJECTIONOPS
#define LLMIR_DIALECT_LLMIR_PROJECTIONOPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"

def LLMIR_EmbedOp : LLMIR_Op<"embed", [Pure]> {
  let summary = "rows of the embedding table";
  let description = [{
    `result[t] = scale * table[tokens[t]]`.

    Shapes: `tokens` [T] i32 in [0, vocab), `table` [vocab x dim] in any encoding, `result` [T x
    dim] f32. `scale` is 1 if absent.
    Lowers to: kernel EMBED.

    Example:

    ```mlir
    func.func @f(%tokens: tensor<?xi32>, %table: !llmir.qtensor<49152x576, panel_s8, 32>) -> tensor<?x576xf32> {
      %0 = llmir.embed %tokens, %table scale 24.0 : tensor<?xi32>, !llmir.qtensor<49152x576, panel_s8, 32> -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Ids:$tokens, LLMIR_QTensor:$table,
                       DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $tokens `,` $table (`scale` $scale^)? attr-dict `:` type($tokens) `,` type($table) `->`
    type($result)
  }];
  let hasVerifier = 1;
}

def LLMIR_LinearOp : LLMIR_Op<"linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "product with a weight matrix, with its epilogue";
  let description = [{
    `result = epilogue(input . weight^T)`: first `+ bias`, then `gate`, then the soft cap
    `c * tanh(v / c)`, then `+ residual`.

    With `gate`, `weight` interleaves the panels of a gate and an up matrix of n rows each
    (`interleave_panels`) and `result = gate(g) * u` has n columns; bias, residual and soft cap are
    then absent.

    Shapes: `input` [T x columns], `weight` [rows x columns], `bias` [rows], `result` and `residual`
    [T x rows]. Types: integer panel layouts take `!llmir.q8_rows` of their own group (or f32 rows
    before llmir-quantize-activations); all other encodings take f32 rows.
    Lowers to: kernel LINEAR.

    Example:

    ```mlir
    func.func @f(%h: !llmir.q8_rows<576, 32>, %x: tensor<?x1536xf32>, %w: !llmir.qtensor<1536x576, panel_u4, 32>,
                 %both: !llmir.qtensor<3072x576, panel_u4, 32>, %b: !llmir.qtensor<1536, f32>) {
      %0 = llmir.linear %h, %w bias(%b : !llmir.qtensor<1536, f32>) add(%x : tensor<?x1536xf32>)
          : !llmir.q8_rows<576, 32>, !llmir.qtensor<1536x576, panel_u4, 32> -> tensor<?x1536xf32>
      %1 = llmir.linear %h, %both gate silu
          : !llmir.q8_rows<576, 32>, !llmir.qtensor<3072x576, panel_u4, 32> -> tensor<?x1536xf32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_RowsOrQ8:$input, LLMIR_QTensor:$weight,
                       Optional<LLMIR_QTensor>:$bias, Optional<LLMIR_Rows>:$residual,
                       OptionalAttr<LLMIR_GateKind>:$gate, OptionalAttr<F32Attr>:$soft_cap);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` `(` $bias^ `:` type($bias) `)`)?
    (`add` `(` $residual^ `:` type($residual) `)`)? (`gate` $gate^)? (`soft_cap` $soft_cap^)?
    attr-dict `:` type($input) `,` type($weight) `->` type($result)
  }];
  let builders = [OpBuilder<(ins "Type":$result, "Value":$input, "Value":$weight,
      CArg<"Value", "{}">:$bias), [{
      build($_builder, $_state, result, input, weight, bias, Value(), GateKindAttr(), FloatAttr());
    }]>];
  let hasVerifier = 1;
}

def LLMIR_LogitsOp : LLMIR_Op<"logits", [Pure]> {
  let summary = "product with the output matrix";
  let description = [{
    `result = cap(input . weight^T)`: what the sampler reads, one row for each row of `input`, one
    column for each token of the vocabulary. `soft_cap` as in `llmir.linear`.

    Shapes and types: as in `llmir.linear`; `weight` [vocab x dim] may be the embedding table.
    Lowers to: kernel LINEAR over the output rows.

    Example:

    ```mlir
    func.func @f(%h: tensor<?x576xf32>, %w: !llmir.qtensor<49152x576, panel_f16>) -> tensor<?x49152xf32> {
      %0 = llmir.logits %h, %w soft_cap 30.0 : tensor<?x576xf32>, !llmir.qtensor<49152x576, panel_f16> -> tensor<?x49152xf32>
      return %0 : tensor<?x49152xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_RowsOrQ8:$input, LLMIR_QTensor:$weight,
                       OptionalAttr<F32Attr>:$soft_cap);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`soft_cap` $soft_cap^)? attr-dict `:` type($input) `,` type($weight) `->`
    type($result)
  }];
  let hasVerifier = 1;
}

def LLMIR_QuantizeOp : LLMIR_Op<"quantize", [Pure]> {
  let summary = "activations to int8";
  let description = [{
    Rounds each group of columns of a row to int8 with scale max|x| / 127 (`quant/activation.h`).

    Shapes: `input` [T x columns] f32; the result type has the same columns.
    `quantize(dequantize(q))` of equal types is `q`.
    Lowers to: kernel QUANTIZE, or into the norm that makes `input`.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>) -> !llmir.q8_rows<576, 32> {
      %0 = llmir.quantize %x : tensor<?x576xf32> -> !llmir.q8_rows<576, 32>
      return %0 : !llmir.q8_rows<576, 32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input);
  let results = (outs LLMIR_Q8Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def LLMIR_DequantizeOp : LLMIR_Op<"dequantize", [Pure]> {
  let summary = "int8 activations to f32";
  let description = [{
    The f32 rows that a quantized value stands for. `dequantize(quantize(x))` is `x`: the round trip
    only loses precision, and a compiler is free not to make it.

    Shapes: [T x columns] of the operand's columns.
    Lowers to: nothing yet; it disappears by folding.

    Example:

    ```mlir
    func.func @f(%q: !llmir.q8_rows<576, 32>) -> tensor<?x576xf32> {
      %0 = llmir.dequantize %q : !llmir.q8_rows<576, 32> -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Q8Rows:$input);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // LLMIR_DIALECT_LLMIR_PROJECTIONOPS
