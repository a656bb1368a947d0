//===- LLMIRTypes.td - Types and attributes of the llmir dialect ------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_TYPES
#define LLMIR_DIALECT_LLMIR_TYPES

include "llmir/Dialect/LLMIR/LLMIRBase.td"

class LLMIR_Type<string name, string typeMnemonic> : TypeDef<LLMIR_Dialect, name> {
  let mnemonic = typeMnemonic;
  let genVerifyDecl = 1;
}

def LLMIR_QTensor : LLMIR_Type<"QTensor", "qtensor"> {
  let summary = "weight with its encoding";
  let description = [{
    A constant tensor of the bundle: shape (outermost dimension first; a matrix is [outputs x
    inputs]), layout, and for integer layouts the number of columns that share a scale. The layouts
    `f32 f16` are row-major, `panel_*` interleave 16 rows as `quant/quant_layout.h` draws them; all
    others are encodings of source files and only stand for weights that are not yet packed.

    Rules: rank 1 to 3, dimensions positive; vectors are `f32`, `f16` or in a source encoding; `panel_s4`,
    `panel_u4` and `panel_s8` have a group of 32, 64, 128 or 256 that divides the columns; other layouts have none.

    Example:

    ```mlir
    func.func private @weights(!llmir.qtensor<960x576, panel_u4, 32>, !llmir.qtensor<576, f32>,
                               !llmir.qtensor<49152x576, q8_0>)
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, EnumParameter<LLMIR_Layout>:$layout,
                        DefaultValuedParameter<"int64_t", "0">:$group);
  let assemblyFormat = "`<` custom<Dimensions>($shape) `,` $layout (`,` $group^)? `>`";
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    /// Outermost dimension.
    int64_t getRows() const { return getShape().front(); }
    /// Innermost dimension.
    int64_t getColumns() const { return getShape().back(); }
    /// Whether it has the layout of a bundle, not the encoding of a source file.
    bool isPacked() const { return static_cast<uint32_t>(getLayout()) < 64; }
    /// Whether products with it take quantized activations.
    bool isInteger() const {
      return getLayout() == Layout::PanelS4 || getLayout() == Layout::PanelU4 ||
             getLayout() == Layout::PanelS8;
    }
    /// The same tensor in another encoding.
    QTensorType withLayout(Layout layout, int64_t group) const {
      return get(getContext(), getShape(), layout, group);
    }
  }];
}

def LLMIR_Q8Rows : LLMIR_Type<"Q8Rows", "q8_rows"> {
  let summary = "activations quantized to int8";
  let description = [{
    Rows of quantized activations, one per token: int8 values, and per group of columns a scale and
    the sum of the values (`quant/activation.h`). `<columns, group>`; the group is 32, 64, 128 or 256 and
    divides the columns. `wide` rows hold every value as a high and a low int8 under one scale: 16 bits.

    Example:

    ```mlir
    func.func private @activations(!llmir.q8_rows<576, 32>, !llmir.q8_rows<1536, 32, wide>)
    ```
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$group, "bool":$wide);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// Columns of a row in memory.
    int64_t getRowColumns() const { return getWide() ? 2 * getColumns() : getColumns(); }
  }];
}

def LLMIR_PagedKV : LLMIR_Type<"PagedKV", "paged_kv"> {
  let summary = "one layer's paged cache of keys and values";
  let description = [{
    The keys and values that one layer keeps for the sequences of the batch, in pages of `page`
    tokens. A value of the type knows which pages belong to which sequence and which sequence each
    token of the batch belongs to.

    `<kv_heads x head_dim>`, then in any order: `page` = tokens of a page (absent until
    llmir-kv-blocking decides; a multiple of 16 from 16 to 256), `window` = tokens that are kept
    (absent: all), `storage` = `f16`, `f32` or `any` (the default: chosen for each session). `head_dim`
    is a multiple of 8 up to 512.

    Example:

    ```mlir
    func.func private @caches(!llmir.paged_kv<3x64>,
                              !llmir.paged_kv<1x256, page = 64, window = 512, storage = f16>)
    ```
  }];
  let parameters = (ins "int64_t":$kvHeads, "int64_t":$headDim, "int64_t":$pageTokens,
                        "int64_t":$window, "KVStorage":$storage);
  let hasCustomAssemblyFormat = 1;
}

def LLMIR_PartAttr : AttrDef<LLMIR_Dialect, "Part"> {
  let mnemonic = "part";
  let summary = "a tensor of the source file inside a weight";
  let description = [{
    Name and number of rows (elements of a vector) of a source tensor. With `rope N of D` the rows
    are heads of D rows each, and the pairs (2i, 2i + 1) of the first N rows of each head are moved
    apart to i and i + N / 2 while packing.

    Example:

    ```mlir
    llmir.tensor @"blk.0.attn_q.weight" : !llmir.qtensor<576x576, q4_1>
        plain [#llmir.part<"blk.0.attn_q.weight", 576, rope 64 of 64>]
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$source, "int64_t":$rows,
                        DefaultValuedParameter<"int64_t", "0">:$ropeDim,
                        DefaultValuedParameter<"int64_t", "0">:$headDim);
  let assemblyFormat =
      "`<` $source `,` $rows (`,` `rope` $ropeDim^ `of` $headDim)? `>`";
  let genVerifyDecl = 1;
}

//===-----------------------------------------------------------------------------------------===//
// Constraints of operations
//===-----------------------------------------------------------------------------------------===//

def LLMIR_Rows : 2DTensorOf<[F32]>;
def LLMIR_Ids : 1DTensorOf<[I32]>;
def LLMIR_RowsOrQ8 : AnyTypeOf<[LLMIR_Rows, LLMIR_Q8Rows]>;

#endif // LLMIR_DIALECT_LLMIR_TYPES
