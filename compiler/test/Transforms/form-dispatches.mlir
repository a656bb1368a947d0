// RUN: llmir-opt %s --llmir-form-dispatches --split-input-file | FileCheck %s

// A whole layer with merged projections and integer weights.
llmir.tensor @embd : !llmir.qtensor<512x64, panel_s8, 32> plain [#llmir.part<"embd", 512>]
llmir.tensor @rope : !llmir.qtensor<8, f32> constant = dense<1.0> : tensor<8xf32>
llmir.tensor @norm : !llmir.qtensor<64, f32> plain [#llmir.part<"norm", 64>]
llmir.tensor @qkv : !llmir.qtensor<96x64, panel_u4, 32> plain [#llmir.part<"qkv", 96>]
llmir.tensor @bias : !llmir.qtensor<96, f32> plain [#llmir.part<"bias", 96>]
llmir.tensor @heads : !llmir.qtensor<16, f32> plain [#llmir.part<"heads", 16>]
llmir.tensor @o : !llmir.qtensor<64x64, panel_u4, 32> plain [#llmir.part<"o", 64>]
llmir.tensor @gate_up : !llmir.qtensor<192x64, panel_s4, 32> interleave_panels [#llmir.part<"g", 96>, #llmir.part<"u", 96>]
llmir.tensor @down : !llmir.qtensor<64x96, panel_u4, 32> plain [#llmir.part<"down", 64>]

// CHECK-NOT: func.func
// CHECK: llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %rows: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 64, window = 128>)
    -> (tensor<?x512xf32>, !llmir.paged_kv<1x16, page = 64, window = 128>) {
  // CHECK-DAG: %[[X:.+]] = llmir_exec.buffer "x" : <tokens, f32, 64>
  // CHECK-DAG: %[[TABLE:.+]] = llmir_exec.buffer "rope" : <tokens, f32, 16>
  // CHECK-DAG: %[[QKV:.+]] = llmir_exec.buffer "qkv" : <tokens, f32, 96>
  // CHECK-DAG: %[[EMBED:.+]] = llmir_exec.variant embed {dim = 64 : i32, group = 32 : i32, layout = "panel_s8", scale = 8.000000e+00 : f32, vocab = 512 : i32}
  // CHECK-DAG: %[[ROPE:.+]] = llmir_exec.variant rope_table {attention_factor = 1.000000e+00 : f32, pair_count = 8 : i32}
  // CHECK-DAG: %[[NORM:.+]] = llmir_exec.variant norm {dim = 64 : i32, epsilon = {{.+}} : f32, group = 32 : i32, out_format = "q8"}
  // CHECK-DAG: %[[LQKV:.+]] = llmir_exec.variant linear {columns = 64 : i32, flags = ["bias"], group = 32 : i32, layout = "panel_u4", out_stride = 96 : i32, rows = 96 : i32}
  // CHECK-DAG: %[[VQKV:.+]] = llmir_exec.variant qkv {flags = ["norm", "rope"], head_dim = 16 : i32, kv_heads = 1 : i32, norm_epsilon = {{.+}} : f32, q_heads = 4 : i32, rope_dim = 16 : i32, stride = 96 : i32}
  // CHECK-DAG: %[[ATT:.+]] = llmir_exec.variant attention {head_dim = 16 : i32, kv_heads = 1 : i32, out_stride = 64 : i32, q_heads = 4 : i32, q_stride = 96 : i32, scale = 2.500000e-01 : f32, soft_cap = 5.000000e+01 : f32, window = 128 : i32}
  // CHECK-DAG: %[[QUANT:.+]] = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32}
  // CHECK-DAG: %[[LO:.+]] = llmir_exec.variant linear {columns = 64 : i32, flags = ["add"], group = 32 : i32, layout = "panel_u4", out_stride = 64 : i32, rows = 64 : i32}
  // CHECK-DAG: %[[GATED:.+]] = llmir_exec.variant linear {columns = 64 : i32, gate = "silu", group = 32 : i32, layout = "panel_s4", out_stride = 96 : i32, rows = 96 : i32}
  // CHECK-DAG: %[[GATHER:.+]] = llmir_exec.variant norm {{.+}}gather = 1 : i32
  // CHECK-DAG: %[[LOGITS:.+]] = llmir_exec.variant linear {{.+}}extent = "outputs"{{.+}}rows = 512 : i32, soft_cap = 3.000000e+01 : f32}
  %embd = llmir.weight @embd : !llmir.qtensor<512x64, panel_s8, 32>
  %freq = llmir.weight @rope : !llmir.qtensor<8, f32>
  %norm = llmir.weight @norm : !llmir.qtensor<64, f32>
  // CHECK: llmir_exec.dispatch %[[EMBED]](%{{.+}}, %[[X]]) :
  %x0 = llmir.embed %tokens, %embd scale 8.0 : tensor<?xi32>, !llmir.qtensor<512x64, panel_s8, 32> -> tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %[[ROPE]](%{{.+}}, %[[TABLE]]) :
  %t = llmir.rope_table %positions, %freq : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
  // CHECK: llmir_exec.dispatch %[[NORM]](%[[X]], _, _, %norm, %[[H:.+]]) layer 7 :
  %h0 = llmir.residual_norm %x0 weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output !llmir.q8_rows<64, 32> loc("blk.7")
  %wqkv = llmir.weight @qkv : !llmir.qtensor<96x64, panel_u4, 32>
  %bqkv = llmir.weight @bias : !llmir.qtensor<96, f32>
  // CHECK: llmir_exec.dispatch %[[LQKV]](%[[H]], %qkv, %bias, %[[QKV]]) layer 7 :
  %qkv = llmir.linear %h0, %wqkv bias(%bqkv : !llmir.qtensor<96, f32>) : !llmir.q8_rows<64, 32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32> loc("blk.7")
  %hw = llmir.weight @heads : !llmir.qtensor<16, f32>
  %q0 = llmir.columns %qkv from 0 : tensor<?x96xf32> -> tensor<?x64xf32>
  %k0 = llmir.columns %qkv from 64 : tensor<?x96xf32> -> tensor<?x16xf32>
  %v = llmir.columns %qkv from 80 : tensor<?x96xf32> -> tensor<?x16xf32>
  %q1 = llmir.rms_norm %q0, %hw epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<16, f32>
  %k1 = llmir.rms_norm %k0, %hw epsilon 1.0e-6 : tensor<?x16xf32>, !llmir.qtensor<16, f32>
  %q = llmir.rope %q1, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %k = llmir.rope %k1, %t head_dim 16 halves : tensor<?x16xf32>, tensor<?x16xf32>
  // Norms, rotation and cache are one dispatch, where the attention stands.
  // CHECK: llmir_exec.dispatch %[[VQKV]](%[[QKV]], %[[TABLE]], %heads, %heads, %kv) layer 7 :
  %c = llmir.append_kv %kv, %k, %v, %positions : !llmir.paged_kv<1x16, page = 64, window = 128>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32> loc("blk.7")
  // CHECK: llmir_exec.dispatch %[[ATT]](%[[QKV]], %kv, %[[A:.+]]) layer 7 :
  %a = llmir.paged_attention %q, %c, %positions scale 0.25 window 128 soft_cap 50.0 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 64, window = 128>, tensor<?xi32> loc("blk.7")
  // CHECK: llmir_exec.dispatch %[[QUANT]](%[[A]], %[[AQ:.+]]) :
  %aq = llmir.quantize %a : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  %wo = llmir.weight @o : !llmir.qtensor<64x64, panel_u4, 32>
  // The sum is made in place of the residual.
  // CHECK: llmir_exec.dispatch %[[LO]](%[[AQ]], %o, _, %[[X]]) :
  %x1 = llmir.linear %aq, %wo add(%x0 : tensor<?x64xf32>) : !llmir.q8_rows<64, 32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  // An equal variant is shared.
  // CHECK: llmir_exec.dispatch %[[NORM]](%[[X]], _, _, %norm, %[[H1:.+]]) :
  %h1 = llmir.residual_norm %x1 weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output !llmir.q8_rows<64, 32>
  %wg = llmir.weight @gate_up : !llmir.qtensor<192x64, panel_s4, 32>
  // CHECK: llmir_exec.dispatch %[[GATED]](%[[H1]], %gate_up, _, %[[G:.+]]) :
  %g = llmir.linear %h1, %wg gate silu : !llmir.q8_rows<64, 32>, !llmir.qtensor<192x64, panel_s4, 32> -> tensor<?x96xf32>
  // CHECK: llmir_exec.dispatch %{{.+}}(%[[G]], %[[GQ:.+]]) :
  %gq = llmir.quantize %g : tensor<?x96xf32> -> !llmir.q8_rows<96, 32>
  %wd = llmir.weight @down : !llmir.qtensor<64x96, panel_u4, 32>
  // CHECK: llmir_exec.dispatch %{{.+}}(%[[GQ]], %down, _, %[[X]]) :
  %x2 = llmir.linear %gq, %wd add(%x1 : tensor<?x64xf32>) : !llmir.q8_rows<96, 32>, !llmir.qtensor<64x96, panel_u4, 32> -> tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %[[GATHER]](%[[X]], _, _, %norm, %[[LAST:.+]]) :
  %last = llmir.residual_norm %x2 weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%rows : tensor<?xi32>) : tensor<?x64xf32> -> output !llmir.q8_rows<64, 32>
  // CHECK: llmir_exec.dispatch %[[LOGITS]](%[[LAST]], %embd, _, %[[RESULT:.+]]) :
  // CHECK: llmir_exec.return %[[RESULT]] : <outputs, f32, 512>
  %logits = llmir.logits %last, %embd soft_cap 30.0 : !llmir.q8_rows<64, 32>, !llmir.qtensor<512x64, panel_s8, 32> -> tensor<?x512xf32>
  return %logits, %c : tensor<?x512xf32>, !llmir.paged_kv<1x16, page = 64, window = 128>
}

// -----

// Projections of different layouts write side by side; a gate that is not merged is a kernel of its own;
// a post norm updates the residual.
llmir.tensor @embd : !llmir.qtensor<512x64, panel_f16> plain [#llmir.part<"embd", 512>]
llmir.tensor @norm : !llmir.qtensor<64, f32> plain [#llmir.part<"norm", 64>]
llmir.tensor @qk : !llmir.qtensor<80x64, panel_f16> plain [#llmir.part<"qk", 80>]
llmir.tensor @v : !llmir.qtensor<16x64, panel_bf16> plain [#llmir.part<"v", 16>]
llmir.tensor @o : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"o", 64>]
llmir.tensor @g : !llmir.qtensor<96x64, panel_f16> plain [#llmir.part<"g", 96>]
llmir.tensor @u : !llmir.qtensor<96x64, panel_f32> plain [#llmir.part<"u", 96>]
llmir.tensor @down : !llmir.qtensor<64x96, panel_f16> plain [#llmir.part<"down", 64>]
// CHECK: llmir_exec.program @forward page_tokens 16 chunk_tokens 256 {
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %rows: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>)
    -> (tensor<?x512xf32>, !llmir.paged_kv<1x16, page = 16>) {
  %embd = llmir.weight @embd : !llmir.qtensor<512x64, panel_f16>
  %norm = llmir.weight @norm : !llmir.qtensor<64, f32>
  %qkw = llmir.weight @qk : !llmir.qtensor<80x64, panel_f16>
  %vw = llmir.weight @v : !llmir.qtensor<16x64, panel_bf16>
  %ow = llmir.weight @o : !llmir.qtensor<64x64, panel_f16>
  %gw = llmir.weight @g : !llmir.qtensor<96x64, panel_f16>
  %uw = llmir.weight @u : !llmir.qtensor<96x64, panel_f32>
  %dw = llmir.weight @down : !llmir.qtensor<64x96, panel_f16>
  // CHECK-DAG: %[[QKV:.+]] = llmir_exec.buffer "qkv" : <tokens, f32, 96>
  // CHECK-DAG: %[[GU:.+]] = llmir_exec.buffer "gate_up" : <tokens, f32, 192>
  // CHECK-DAG: %[[LQK:.+]] = llmir_exec.variant linear {columns = 64 : i32, layout = "panel_f16", out_stride = 96 : i32, rows = 80 : i32}
  // CHECK-DAG: %[[LV:.+]] = llmir_exec.variant linear {columns = 64 : i32, layout = "panel_bf16", out_column = 80 : i32, out_stride = 96 : i32, rows = 16 : i32}
  // CHECK-DAG: %[[VQKV:.+]] = llmir_exec.variant qkv {head_dim = 16 : i32, kv_heads = 1 : i32, q_heads = 4 : i32, stride = 96 : i32}
  // CHECK-DAG: %[[POST:.+]] = llmir_exec.variant norm {delta_epsilon = {{.+}} : f32, dim = 64 : i32, epsilon = {{.+}} : f32, flags = ["add_delta", "delta_norm"]}
  // CHECK-DAG: %[[LU:.+]] = llmir_exec.variant linear {columns = 64 : i32, layout = "panel_f32", out_column = 96 : i32, out_stride = 192 : i32, rows = 96 : i32}
  // CHECK-DAG: %[[GATE:.+]] = llmir_exec.variant gate {dim = 96 : i32, gate = "gelu_tanh"}
  // CHECK-DAG: %[[SUM:.+]] = llmir_exec.variant norm {dim = 64 : i32, flags = ["add_delta", "no_output"]}
  %x0 = llmir.embed %tokens, %embd : tensor<?xi32>, !llmir.qtensor<512x64, panel_f16> -> tensor<?x64xf32>
  %h = llmir.residual_norm %x0 weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %[[LQK]](%[[H:.+]], %qk, _, %[[QKV]]) :
  %qk = llmir.linear %h, %qkw : tensor<?x64xf32>, !llmir.qtensor<80x64, panel_f16> -> tensor<?x80xf32>
  // CHECK: llmir_exec.dispatch %[[LV]](%[[H]], %v, _, %[[QKV]]) :
  %v = llmir.linear %h, %vw : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_bf16> -> tensor<?x16xf32>
  %q = llmir.columns %qk from 0 : tensor<?x80xf32> -> tensor<?x64xf32>
  %k = llmir.columns %qk from 64 : tensor<?x80xf32> -> tensor<?x16xf32>
  %c = llmir.append_kv %kv, %k, %v, %positions : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // CHECK: llmir_exec.dispatch %[[VQKV]](%[[QKV]], _, _, _, %kv) :
  %a = llmir.paged_attention %q, %c, %positions scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  // CHECK: llmir_exec.dispatch %{{.+}}(%{{.+}}, %o, _, %[[D:.+]]) :
  %d = llmir.linear %a, %ow : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %[[POST]](%[[X:.+]], %[[D]], %norm, %norm, %[[H1:.+]]) :
  %x1, %h1 = llmir.residual_norm %x0 delta(%d : tensor<?x64xf32>) delta_weight(%norm : !llmir.qtensor<64, f32>) delta_epsilon 1.0e-6
      weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-6 : tensor<?x64xf32> -> updated tensor<?x64xf32> output tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %{{.+}}(%[[H1]], %g, _, %[[GU]]) :
  %g = llmir.linear %h1, %gw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_f16> -> tensor<?x96xf32>
  // CHECK: llmir_exec.dispatch %[[LU]](%[[H1]], %u, _, %[[GU]]) :
  %u = llmir.linear %h1, %uw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_f32> -> tensor<?x96xf32>
  // CHECK: llmir_exec.dispatch %[[GATE]](%[[GU]], %[[G:.+]]) :
  %gu = llmir.gate gelu_tanh %g, %u : tensor<?x96xf32>
  %d1 = llmir.linear %gu, %dw : tensor<?x96xf32>, !llmir.qtensor<64x96, panel_f16> -> tensor<?x64xf32>
  // CHECK: llmir_exec.dispatch %[[SUM]](%[[X]], %{{.+}}) :
  %x2 = llmir.residual_norm %x1 delta(%d1 : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  %last = llmir.residual_norm %x2 weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%rows : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  %logits = llmir.logits %last, %embd : tensor<?x64xf32>, !llmir.qtensor<512x64, panel_f16> -> tensor<?x512xf32>
  return %logits, %c : tensor<?x512xf32>, !llmir.paged_kv<1x16, page = 16>
}

// -----

// Rows are padded to 64 bytes: the distance of two rows of 500 logits is that of 512.
llmir.tensor @embd : !llmir.qtensor<500x64, panel_f16> plain [#llmir.part<"embd", 500>]
llmir.tensor @norm : !llmir.qtensor<64, f32> plain [#llmir.part<"norm", 64>]
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %rows: tensor<?xi32>) -> tensor<?x500xf32> {
  // CHECK: llmir_exec.buffer "logits" : <outputs, f32, 500>
  // CHECK: llmir_exec.variant linear {{.+}}out_stride = 512 : i32, rows = 500 : i32
  %embd = llmir.weight @embd : !llmir.qtensor<500x64, panel_f16>
  %norm = llmir.weight @norm : !llmir.qtensor<64, f32>
  %x = llmir.embed %tokens, %embd : tensor<?xi32>, !llmir.qtensor<500x64, panel_f16> -> tensor<?x64xf32>
  %last = llmir.residual_norm %x weight(%norm : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%rows : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  %logits = llmir.logits %last, %embd : tensor<?x64xf32>, !llmir.qtensor<500x64, panel_f16> -> tensor<?x500xf32>
  return %logits : tensor<?x500xf32>
}
