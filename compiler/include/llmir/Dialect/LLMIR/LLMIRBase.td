//===- LLMIRBase.td - The llmir dialect and its enumerations ----------------------------------===//
//
// The dialect in which a language model is one function over SSA tensors. Enumerations that also
// stand in the bundle format have the values of llmir_bundle.h.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_BASE
#define LLMIR_DIALECT_LLMIR_BASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def LLMIR_Dialect : Dialect {
  let name = "llmir";
  let cppNamespace = "::mlir::llmir";
  let summary = "language models as functions over tensors";
  let description = [{
    A model is one function `forward` over a flat batch of T tokens of any number of sequences: it
    takes token ids, positions, the rows whose logits are wanted, and one key/value cache per layer,
    and returns the logits of these rows and the caches. Activations are tensors `tensor<?xNxf32>`
    whose dynamic dimension is T, or R behind `llmir.select_rows`. Weights are symbols
    (`llmir.tensor`) that carry the recipe by which they are made of the source file's tensors, so
    passes merge, permute and re-encode weights without touching their bytes.

    Values have tensor semantics: no operation writes memory; caches are threaded through
    `llmir.append_kv`. Which values share memory is decided by dispatch formation.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

//===-----------------------------------------------------------------------------------------===//
// Enumerations
//===-----------------------------------------------------------------------------------------===//

class LLMIR_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::llmir";
}

// Values below 64 equal llmir_layout_t; from 64 on they name encodings of source files, which a
// weight has until llmir-choose-weight-layouts.
def LLMIR_Layout : LLMIR_Enum<"Layout", "encoding of a weight", [
    I32EnumAttrCase<"F32", 1, "f32">, I32EnumAttrCase<"F16", 2, "f16">,
    I32EnumAttrCase<"PanelF32", 3, "panel_f32">, I32EnumAttrCase<"PanelF16", 4, "panel_f16">,
    I32EnumAttrCase<"PanelBF16", 5, "panel_bf16">, I32EnumAttrCase<"PanelS4", 6, "panel_s4">,
    I32EnumAttrCase<"PanelU4", 7, "panel_u4">, I32EnumAttrCase<"PanelS8", 8, "panel_s8">,
    I32EnumAttrCase<"BF16", 64, "bf16">, I32EnumAttrCase<"Q4_0", 65, "q4_0">,
    I32EnumAttrCase<"Q4_1", 66, "q4_1">, I32EnumAttrCase<"Q5_0", 67, "q5_0">,
    I32EnumAttrCase<"Q5_1", 68, "q5_1">, I32EnumAttrCase<"Q8_0", 69, "q8_0">,
    I32EnumAttrCase<"Q2_K", 70, "q2_k">, I32EnumAttrCase<"Q3_K", 71, "q3_k">,
    I32EnumAttrCase<"Q4_K", 72, "q4_k">, I32EnumAttrCase<"Q5_K", 73, "q5_k">,
    I32EnumAttrCase<"Q6_K", 74, "q6_k">]>;

def LLMIR_GateKind : LLMIR_Enum<"GateKind", "activation function of a gate", [
    I32EnumAttrCase<"Silu", 1, "silu">, I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">]>;

def LLMIR_RopeStyle : LLMIR_Enum<"RopeStyle", "which elements of a head rotate together", [
    I32EnumAttrCase<"Halves", 0, "halves">, I32EnumAttrCase<"Interleaved", 1, "interleaved">]>;

def LLMIR_KVStorage : LLMIR_Enum<"KVStorage", "element type of cached keys and values", [
    I32EnumAttrCase<"Any", 0, "any">, I32EnumAttrCase<"F16", 1, "f16">,
    I32EnumAttrCase<"F32", 2, "f32">]>;

def LLMIR_TensorHow : LLMIR_Enum<"TensorHow", "how the parts of a weight become one tensor", [
    I32EnumAttrCase<"Constant", 0, "constant">, I32EnumAttrCase<"Plain", 1, "plain">,
    I32EnumAttrCase<"ConcatRows", 2, "concat_rows">,
    I32EnumAttrCase<"InterleavePanels", 3, "interleave_panels">]>;

def LLMIR_RouteScoring : LLMIR_Enum<"RouteScoring", "how router scores become weights", [
    I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sigmoid", 1, "sigmoid">]>;

def LLMIR_ReduceKind : LLMIR_Enum<"ReduceKind", "how a collective combines values", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Max", 1, "max">]>;

#endif // LLMIR_DIALECT_LLMIR_BASE
