//===- Passes.td - The passes of the compiler, in the order of the pipeline -------------------===//
#ifndef LLMIR_TRANSFORMS_PASSES
#define LLMIR_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

//===-----------------------------------------------------------------------------------------===//
// Weights
//===-----------------------------------------------------------------------------------------===//

def ChooseWeightLayoutsPass : Pass<"llmir-choose-weight-layouts", "::mlir::ModuleOp"> {
  let summary = "give every weight the layout that kernels read";
  let description = [{
    Vectors become f32. Matrices follow `policy`:

    - `keep`: the layout that holds the source's values best: q4_0 panel_s4, q4_1 and q4_k panel_u4,
      the other quantized encodings panel_s8, all in groups of 32, as what is taken over value by value has
      them; f32, f16 and bf16 panels of the same type;
    - `q4`: panel_u4 (q4_0: panel_s4), the output matrix panel_s8; `q8`: panel_s8; `f16`, `f32`: such panels.

    With `q4` and `q8`, `group` columns share a scale: fewer bits a weight, and coarser steps. A matrix whose
    columns it does not divide gets the next smaller group that does; all products of one input have the same
    columns, so they have the same group and read the same quantized rows.

    A matrix whose columns are no multiple of 32 cannot have groups; it becomes panel_f16 (f32 stays
    panel_f32) with a remark.

    ```
    llmir.tensor @w : !llmir.qtensor<576x576, q4_1> plain [...]
      ==>
    llmir.tensor @w : !llmir.qtensor<576x576, panel_u4, 32> plain [...]
    ```
  }];
  let options = [Option<"policy", "policy", "std::string", "\"keep\"",
                        "keep, q4, q8, f16 or f32">,
                 Option<"group", "group", "int64_t", "32",
                        "columns that share a scale with q4 and q8: 32, 64, 128 or 256">];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def PermuteRopeRowsPass : Pass<"llmir-permute-rope-rows", "::mlir::ModuleOp"> {
  let summary = "turn interleaved rotary pairs into halves by permuting weights";
  let description = [{
    Models whose rope pairs elements 2i and 2i + 1 get rows of their query and key matrices (and
    biases, and head norms) permuted so that i pairs with i + half. Scores do not change, because
    queries and keys are permuted alike.

    ```
    %q = llmir.linear %x, %wq ...
    %r = llmir.rope %q, %table head_dim 64 interleaved ...
      ==>
    llmir.tensor @wq ... plain [#llmir.part<"blk.0.attn_q.weight", 576, rope 64 of 64>]
    %r = llmir.rope %q, %table head_dim 64 halves ...
    ```
  }];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def MergeQkvPass : Pass<"llmir-merge-qkv", "::mlir::ModuleOp"> {
  let summary = "one product for query, key and value";
  let description = [{
    Merges neighbouring projections of an attention's query, key and value that read the same input and
    have the same layout. Projections with other layouts stay alone.

    ```
    %q = llmir.linear %x, %wq ...   %k = llmir.linear %x, %wk ...   %v = llmir.linear %x, %wv ...
      ==>
    llmir.tensor @"blk.0.attn_qkv.weight" : ... concat_rows [q, k, v]
    %qkv = llmir.linear %x, %wqkv ...
    %q = llmir.columns %qkv from 0 ...  %k = llmir.columns %qkv from 576 ...  ...
    ```
  }];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def MergeGateUpPass : Pass<"llmir-merge-gate-up", "::mlir::ModuleOp"> {
  let summary = "one product for a gate and what it gates";
  let description = [{
    ```
    %g = llmir.linear %x, %wg ...   %u = llmir.linear %x, %wu ...   %r = llmir.gate silu %g, %u
      ==>
    llmir.tensor @"blk.0.ffn_gate_up.weight" : ... interleave_panels [gate, up]
    %r = llmir.linear %x, %wgu gate silu ...
    ```
    Only if both matrices have the same layout and no bias.
  }];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

//===-----------------------------------------------------------------------------------------===//
// Activations and cache
//===-----------------------------------------------------------------------------------------===//

def FuseEpiloguesPass : Pass<"llmir-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "residual sums and soft caps into the product before them";
  let description = [{
    ```
    %o = llmir.linear %a, %w ...   %y = llmir.add %x, %o
      ==>
    %y = llmir.linear %a, %w add(%x) ...
    ```
    The sum is made in place of the residual, so nothing may read the residual afterwards.
  }];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def FuseNormsPass : Pass<"llmir-fuse-norms", "::mlir::func::FuncOp"> {
  let summary = "norm, residual sum, row selection and quantization in one pass over the rows";
  let description = [{
    ```
    %d = llmir.rms_norm %o, %post ...   %y = llmir.add %x, %d
    %n = llmir.rms_norm %y, %w ...      %q = llmir.quantize %n
      ==>
    %y, %q = llmir.residual_norm %x delta(%o) delta_weight(%post) weight(%w) ... -> updated ... output ...
    ```
    Norms of heads stay, they belong to the attention.
  }];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def KVBlockingPass : Pass<"llmir-kv-blocking", "::mlir::ModuleOp"> {
  let summary = "choose the page size of the key/value cache";
  let description = [{
    Gives all caches the same `page` and records in the module why it was chosen (`llmir.page_reason`,
    in the bundle's report too). Starts from 64 tokens, the smallest page with which a CPU decodes at full
    speed: with 2,048 positions of f16 attention takes 55, 48, 46 and 45 us a layer of SmolLM2-135M for pages
    of 16, 32, 64 and 256, and 388, 303 and 257 us for pages of 16, 32 and 64 with 8 heads of 128 (Zen 5). Halves it while a page is more than a 32nd of the context or a quarter of a window, because
    half a page is lost at the end of each sequence and each window.

    ```
    !llmir.paged_kv<3x64>  ==>  !llmir.paged_kv<3x64, page = 64>
    ```
  }];
  let options = [Option<"pageTokens", "page-tokens", "int64_t", "0", "page size, 0: choose">];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

def QuantizeActivationsPass : Pass<"llmir-quantize-activations", "::mlir::func::FuncOp"> {
  let summary = "integer inputs for products with integer weights";
  let description = [{
    Inserts one `llmir.quantize` per value, group and width. `activations` says which products get wide
    rows, which cost a second integer product and make rounding negligible (docs/QUANT.md has figures):

    - `int8`: none; `int16`: all;
    - `mixed`: those that lose most to int8 for what they cost: logits, queries, keys and values, the
      product behind a gate, and the last sixth of the gated products; all where norms stand behind products (Gemma).

    ```
    llmir.linear %x, %w : tensor<?x576xf32>, !llmir.qtensor<576x576, panel_u4, 32> -> ...
      ==>
    %q = llmir.quantize %x
    llmir.linear %q, %w : !llmir.q8_rows<576, 32>, !llmir.qtensor<576x576, panel_u4, 32> -> ...
    ```
  }];
  let options = [Option<"activations", "activations", "std::string", "\"mixed\"",
                        "int8, int16 or mixed">];
  let dependentDialects = ["::mlir::llmir::LLMIRDialect"];
}

//===-----------------------------------------------------------------------------------------===//
// Programs
//===-----------------------------------------------------------------------------------------===//

def FormDispatchesPass : Pass<"llmir-form-dispatches", "::mlir::ModuleOp"> {
  let summary = "lower the function `forward` to a program of kernels";
  let description = [{
    Decides which values share a buffer (a residual sum is made in place; query, key and value lie side by
    side) and emits one dispatch per kernel of `llmir_bundle.h`. Norms of heads, rotation and append_kv become
    one QKV dispatch. An operation without a kernel is an error that names it. The layer of a dispatch is taken
    from its location, `loc("blk.3")`.

    ```
    func.func @forward(...) { %0 = llmir.embed ... }
      ==>
    llmir_exec.program @forward page_tokens 64 chunk_tokens 256 { llmir_exec.dispatch %embed(...) ... }
    ```
  }];
  let dependentDialects = ["::mlir::llmir_exec::ExecDialect"];
}

def PlanBuffersPass : Pass<"llmir-plan-buffers", "::mlir::llmir_exec::ProgramOp"> {
  let summary = "assign buffers to slots of the arena by lifetime";
  let description = [{
    Buffers that are never alive together share a slot: largest first, each into the first slot that is
    free for its whole life. The peak for the program's chunk and `outputs` rows is printed as a remark.

    ```
    %h = llmir_exec.buffer "h" : ...  ==>  %h = llmir_exec.buffer "h" slot 2 : ...
    ```
  }];
  let options = [Option<"outputs", "outputs", "int64_t", "1", "output rows that the peak is for">];
  let dependentDialects = ["::mlir::llmir_exec::ExecDialect"];
}

#endif // LLMIR_TRANSFORMS_PASSES
