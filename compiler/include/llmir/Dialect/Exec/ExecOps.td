//===- ExecOps.td - The llmir_exec dialect ----------------------------------------------------===//
//
// What the runtime executes, one to one: buffers, cache layers, kernels with constant parameters,
// and the list of dispatches. The PLAN section of a bundle is a `program` written down.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_EXEC_OPS
#define LLMIR_DIALECT_EXEC_OPS

include "llmir/Dialect/Exec/ExecEnums.td"
include "llmir/Dialect/LLMIR/LLMIRTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "llmir_exec";
  let cppNamespace = "::mlir::llmir_exec";
  let summary = "programs of kernels over planned buffers";
  let description = [{
    A program is a straight list of dispatches for one flat batch of T tokens of which R rows get
    logits. Each dispatch runs a variant, that is a kernel of `llmir_bundle.h` with constant
    parameters, over buffers, weights (`llmir.weight`) and cache layers. Buffers live in slots of the
    activation arena; llmir-plan-buffers assigns them by lifetime.
  }];
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

//===-----------------------------------------------------------------------------------------===//
// Types
//===-----------------------------------------------------------------------------------------===//

class Exec_Type<string name, string typeMnemonic> : TypeDef<Exec_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Exec_Buffer : Exec_Type<"Buffer", "buffer"> {
  let summary = "rows of activations in the arena";
  let description = [{
    `<extent, format, columns>`, for q8 also the group: T rows (`tokens`) or R rows (`outputs`) of f32
    or quantized columns.

    Example:

    ```mlir
    func.func private @buffers(!llmir_exec.buffer<tokens, f32, 576>, !llmir_exec.buffer<outputs, q8, 576, 32>)
    ```
  }];
  let parameters = (ins EnumParameter<Exec_Extent>:$extent, EnumParameter<Exec_Format>:$format,
                        "int64_t":$columns, DefaultValuedParameter<"int64_t", "0">:$group);
  let assemblyFormat = "`<` $extent `,` $format `,` $columns (`,` $group^)? `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Distance of two rows in the arena, a multiple of 64.
    uint32_t getRowBytes() const;
  }];
}

def Exec_Variant : Exec_Type<"Variant", "variant"> {
  let summary = "a kernel with its constant parameters";
}

//===-----------------------------------------------------------------------------------------===//
// Operations
//===-----------------------------------------------------------------------------------------===//

class Exec_Op<string opMnemonic, list<Trait> traits = []> : Op<Exec_Dialect, opMnemonic, traits>;

def Exec_ProgramOp : Exec_Op<"program", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "list of dispatches over buffers";
  let description = [{
    `page_tokens` is the number of tokens of a cache page, `chunk_tokens` the recommended largest T.
    After llmir-plan-buffers every buffer names a slot, and `slot_token_bytes`, `slot_output_bytes`
    hold the bytes of a row of each slot: a slot takes the larger of T rows and R rows.
    Lowers to: the PLAN section.

    Example:

    ```mlir
    llmir.tensor @norm : !llmir.qtensor<576, f32> plain [#llmir.part<"output_norm.weight", 576>]
    llmir.tensor @table : !llmir.qtensor<512x576, panel_f16> plain [#llmir.part<"token_embd.weight", 512>]
    llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
      %table = llmir.weight @table : !llmir.qtensor<512x576, panel_f16>
      %norm = llmir.weight @norm : !llmir.qtensor<576, f32>
      %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 576>
      %h = llmir_exec.buffer "h" : !llmir_exec.buffer<outputs, f32, 576>
      %logits = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
      %0 = llmir_exec.variant embed {dim = 576 : i32, vocab = 512 : i32, layout = "panel_f16", scale = 1.0 : f32}
      %1 = llmir_exec.variant norm {dim = 576 : i32, epsilon = 1.0e-5 : f32, gather = 1 : i32}
      %2 = llmir_exec.variant linear {rows = 512 : i32, columns = 576 : i32, layout = "panel_f16", extent = "outputs", out_stride = 512 : i32}
      llmir_exec.dispatch %0(%table, %x) : !llmir.qtensor<512x576, panel_f16>, !llmir_exec.buffer<tokens, f32, 576>
      llmir_exec.dispatch %1(%x, _, _, %norm, %h) : !llmir_exec.buffer<tokens, f32, 576>, !llmir.qtensor<576, f32>, !llmir_exec.buffer<outputs, f32, 576>
      llmir_exec.dispatch %2(%h, %table, _, %logits) : !llmir_exec.buffer<outputs, f32, 576>, !llmir.qtensor<512x576, panel_f16>, !llmir_exec.buffer<outputs, f32, 512>
      llmir_exec.return %logits : !llmir_exec.buffer<outputs, f32, 512>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$page_tokens, I64Attr:$chunk_tokens,
                       OptionalAttr<DenseI64ArrayAttr>:$slot_token_bytes,
                       OptionalAttr<DenseI64ArrayAttr>:$slot_output_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `page_tokens` $page_tokens `chunk_tokens` $chunk_tokens
    (`slots` $slot_token_bytes^ `,` $slot_output_bytes)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Exec_BufferOp : Exec_Op<"buffer", [
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a buffer of activations";
  let description = [{
    Rows that dispatches write and read. `name` says to people what it holds; `slot` is the place in
    the arena, shared with buffers whose lifetimes do not overlap.

    Example:

    ```mlir
    llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
      %qkv = llmir_exec.buffer "qkv" : !llmir_exec.buffer<tokens, f32, 960>
      %logits = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
      llmir_exec.return %logits : !llmir_exec.buffer<outputs, f32, 512>
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<I64Attr>:$slot);
  let results = (outs Res<Exec_Buffer, "", [MemAlloc]>:$result);
  let assemblyFormat = "$name (`slot` $slot^)? attr-dict `:` type($result)";
}

def Exec_KVLayerOp : Exec_Op<"kv_layer", [
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "one layer's share of the cache pages";
  let description = [{
    Layers are numbered in the order of these operations. The type has a page size, the program's.

    Example:

    ```mlir
    llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
      %kv = llmir_exec.kv_layer : !llmir.paged_kv<3x64, page = 64>
      %logits = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
      llmir_exec.return %logits : !llmir_exec.buffer<outputs, f32, 512>
    }
    ```
  }];
  let results = (outs LLMIR_PagedKV:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Exec_VariantOp : Exec_Op<"variant", [Pure,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a kernel with its constant parameters";
  let description = [{
    `params` mirrors the parameter struct of the kernel in `llmir_bundle.h`, field by field. Layouts,
    gates, extents and formats are written as words, flags as lists of words, floats as f32, all else as
    i32; a missing field is 0.

    Example:

    ```mlir
    llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
      %0 = llmir_exec.variant linear {rows = 576 : i32, columns = 1536 : i32, layout = "panel_u4",
                                      group = 32 : i32, flags = ["add"], out_stride = 576 : i32}
      %logits = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
      llmir_exec.return %logits : !llmir_exec.buffer<outputs, f32, 512>
    }
    ```
  }];
  let arguments = (ins Exec_Kernel:$kernel, DictionaryAttr:$params);
  let results = (outs Exec_Variant:$result);
  let assemblyFormat = "$kernel $params attr-dict";
  let hasVerifier = 1;
}

def Exec_DispatchOp : Exec_Op<"dispatch"> {
  let summary = "one run of a variant over the batch";
  let description = [{
    The operands are given in the kernel's order, `_` for an absent one; `places` holds their
    positions. `layer` is the decoder layer, for traces.

    Example: see `llmir_exec.program`.
  }];
  let arguments = (ins Exec_Variant:$variant,
                       Variadic<AnyTypeOf<[Exec_Buffer, LLMIR_QTensor, LLMIR_PagedKV]>>:$arguments,
                       DenseI32ArrayAttr:$places, OptionalAttr<I64Attr>:$layer);
  let assemblyFormat = [{
    $variant `(` custom<Places>($arguments, $places) `)` (`layer` $layer^)? attr-dict `:`
    type($arguments)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The operand at the kernel's position `place`; null if absent.
    ::mlir::Value getOperandAt(unsigned place);
  }];
}

def Exec_ReturnOp : Exec_Op<"return", [Terminator, HasParent<"ProgramOp">]> {
  let summary = "end of a program";
  let description = [{
    Names the buffer that holds the logits, f32 with the extent `outputs`.

    Example: see `llmir_exec.program`.
  }];
  let arguments = (ins Exec_Buffer:$logits);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
  let hasVerifier = 1;
}

#endif // LLMIR_DIALECT_EXEC_OPS
