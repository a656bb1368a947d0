// RUN: llmir-opt %s --verify-roundtrip | FileCheck %s

llmir.tensor @table : !llmir.qtensor<512x64, panel_f16> plain [#llmir.part<"token_embd.weight", 512>]
llmir.tensor @norm : !llmir.qtensor<64, f32> plain [#llmir.part<"output_norm.weight", 64>]

// CHECK: llmir_exec.program @forward page_tokens 64 chunk_tokens 256 slots [256, 256, 0], [0, 0, 2048] {
llmir_exec.program @forward page_tokens 64 chunk_tokens 256 slots [256, 256, 0], [0, 0, 2048] {
  %table = llmir.weight @table : !llmir.qtensor<512x64, panel_f16>
  %norm = llmir.weight @norm : !llmir.qtensor<64, f32>
  // CHECK: %kv = llmir_exec.kv_layer : <1x16, page = 64, window = 512>
  %kv = llmir_exec.kv_layer : !llmir.paged_kv<1x16, page = 64, window = 512>
  // Values are named after the buffers' names and the kernels.
  // CHECK: %x = llmir_exec.buffer "x" slot 0 : <tokens, f32, 64>
  %0 = llmir_exec.buffer "x" slot 0 : !llmir_exec.buffer<tokens, f32, 64>
  // CHECK: %q = llmir_exec.buffer "q" slot 1 : <tokens, q8, 64, 32>
  %1 = llmir_exec.buffer "q" slot 1 : !llmir_exec.buffer<tokens, q8, 64, 32>
  %2 = llmir_exec.buffer "logits" slot 2 : !llmir_exec.buffer<outputs, f32, 512>
  // CHECK: %embed = llmir_exec.variant embed {dim = 64 : i32, layout = "panel_f16", scale = 1.000000e+00 : f32, vocab = 512 : i32}
  %3 = llmir_exec.variant embed {dim = 64 : i32, vocab = 512 : i32, layout = "panel_f16", scale = 1.0 : f32}
  // CHECK: %[[NORM:norm_[0-9]+]] = llmir_exec.variant norm {{.*}}flags = ["no_output"]
  %4 = llmir_exec.variant norm {dim = 64 : i32, flags = ["no_output"]}
  // CHECK: llmir_exec.dispatch %embed(%table, %x) :
  llmir_exec.dispatch %3(%table, %0) : !llmir.qtensor<512x64, panel_f16>, !llmir_exec.buffer<tokens, f32, 64>
  // CHECK: llmir_exec.dispatch %[[NORM]](%x) layer 3 :
  llmir_exec.dispatch %4(%0) layer 3 : !llmir_exec.buffer<tokens, f32, 64>
  // CHECK: %[[GATHER:norm_[0-9]+]] = llmir_exec.variant norm {{.*}}gather = 1
  %5 = llmir_exec.variant norm {dim = 64 : i32, epsilon = 1.0e-5 : f32, out_format = "q8", group = 32 : i32}
  %6 = llmir_exec.variant norm {dim = 64 : i32, epsilon = 1.0e-5 : f32, gather = 1 : i32}
  // Absent operands are gaps.
  // CHECK: llmir_exec.dispatch %{{.+}}(%x, _, _, %norm, %q) :
  llmir_exec.dispatch %5(%0, _, _, %norm, %1) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.qtensor<64, f32>, !llmir_exec.buffer<tokens, q8, 64, 32>
  // CHECK: llmir_exec.return %logits : <outputs, f32, 512>
  llmir_exec.return %2 : !llmir_exec.buffer<outputs, f32, 512>
}
