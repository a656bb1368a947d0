//===- LLMIRWeightOps.td - Weights: definition, recipe, use -----------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_WEIGHTOPS
#define LLMIR_DIALECT_LLMIR_WEIGHTOPS

include "llmir/Dialect/LLMIR/LLMIRTypes.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class LLMIR_Op<string opMnemonic, list<Trait> traits = []>
    : Op<LLMIR_Dialect, opMnemonic, traits>;

def LLMIR_TensorOp : LLMIR_Op<"tensor", [Symbol]> {
  let summary = "weight of the model, and how it is made of the source file's tensors";
  let description = [{
    Defines a tensor of the bundle. `how` says what is done with `parts`, after their rope
    permutation:

    - `plain`: one part as it is;
    - `concat_rows`: the parts' rows one after the other;
    - `interleave_panels`: two matrices, each padded to whole panels of 16 rows, whose panels alternate (a
      gate and the matrix it gates);
    - `constant`: no parts; `value` holds f32 numbers.

    Shape: rows are the sum of the parts' rows; for `interleave_panels` twice the rows of a part
    rounded up to 16. The type's layout is what the tensor is packed to, or before
    llmir-choose-weight-layouts the encoding of the source.
    Lowers to: an entry of the tensor table of the WEIGHTS section.

    Example:

    ```mlir
    llmir.tensor @"blk.0.attn_qkv.weight" : !llmir.qtensor<960x576, panel_u4, 32> concat_rows
        [#llmir.part<"blk.0.attn_q.weight", 576, rope 64 of 64>,
         #llmir.part<"blk.0.attn_k.weight", 192, rope 64 of 64>,
         #llmir.part<"blk.0.attn_v.weight", 192>]
    llmir.tensor @rope : !llmir.qtensor<2, f32> constant = dense<[1.0, 0.5]> : tensor<2xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<LLMIR_QTensor>:$type,
                       LLMIR_TensorHow:$how,
                       OptionalAttr<TypedArrayAttrBase<LLMIR_PartAttr, "parts">>:$parts,
                       OptionalAttr<ElementsAttr>:$value);
  let assemblyFormat =
      "$sym_name `:` $type $how ($parts^)? (`=` $value^)? attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    QTensorType getTensorType() { return ::mlir::cast<QTensorType>(getType()); }
    /// The parts; empty for a constant.
    ::llvm::SmallVector<PartAttr> getPartList();
  }];
}

def LLMIR_WeightOp : LLMIR_Op<"weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "use of a weight";
  let description = [{
    The value of the `llmir.tensor` of that name. The result has exactly the type of the definition.
    Lowers to: an operand in tensor space.

    Example:

    ```mlir
    llmir.tensor @"output_norm.weight" : !llmir.qtensor<576, f32>
        plain [#llmir.part<"output_norm.weight", 576>]
    func.func @use() -> !llmir.qtensor<576, f32> {
      %0 = llmir.weight @"output_norm.weight" : !llmir.qtensor<576, f32>
      return %0 : !llmir.qtensor<576, f32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs LLMIR_QTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

#endif // LLMIR_DIALECT_LLMIR_WEIGHTOPS
