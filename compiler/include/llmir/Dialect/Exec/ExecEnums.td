//===- ExecEnums.td - Enumerations of the llmir_exec dialect, with the values of llmir_bundle.h ===//
#ifndef LLMIR_DIALECT_EXEC_ENUMS
#define LLMIR_DIALECT_EXEC_ENUMS

include "mlir/IR/EnumAttr.td"

class Exec_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::llmir_exec";
}

def Exec_Extent : Exec_Enum<"Extent", "what the rows of a buffer are", [
    I32EnumAttrCase<"Tokens", 0, "tokens">, I32EnumAttrCase<"Outputs", 1, "outputs">]>;

def Exec_Format : Exec_Enum<"Format", "what a row of a buffer holds", [
    I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"Q8", 1, "q8">]>;

def Exec_Kernel : Exec_Enum<"Kernel", "kernel of the runtime", [
    I32EnumAttrCase<"Embed", 1, "embed">, I32EnumAttrCase<"RopeTable", 2, "rope_table">,
    I32EnumAttrCase<"Norm", 3, "norm">, I32EnumAttrCase<"Quantize", 4, "quantize">,
    I32EnumAttrCase<"Linear", 5, "linear">, I32EnumAttrCase<"QKV", 6, "qkv">,
    I32EnumAttrCase<"Attention", 7, "attention">, I32EnumAttrCase<"Gate", 8, "gate">]>;

#endif // LLMIR_DIALECT_EXEC_ENUMS
