// RUN: llmir-opt %s --llmir-pipeline 2>/dev/null | FileCheck %s --check-prefixes=CHECK,KEEP
// RUN: llmir-opt %s --llmir-pipeline='policy=q8 group=256' 2>/dev/null | FileCheck %s --check-prefixes=CHECK,GROUP
// RUN: llmir-opt %s --llmir-pipeline=policy=f32 2>/dev/null | FileCheck %s --check-prefix=FLOAT
// RUN: llmir-opt %s --llmir-pipeline='page-tokens=16' 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A Llama of one layer as its front end leaves it, to the dispatches of DESIGN: norm and quantize, q k v, rotation and cache,
// attention, quantize, output with the residual sum, norm and quantize, gate and up, quantize, down with the sum; then
// the gathered norm and the logits.

// REMARK: remark: activations:

// KEEP: llmir.tensor @token_embd.weight : !llmir.qtensor<512x64, panel_s8, 32>
// KEEP: llmir.tensor @blk.0.attn_qkv.weight : !llmir.qtensor<96x64, panel_u4, 32> concat_rows [#llmir.part<"blk.0.attn_q.weight", 64, rope 16 of 16>, #llmir.part<"blk.0.attn_k.weight", 16, rope 16 of 16>, #llmir.part<"blk.0.attn_v.weight", 16>]
// KEEP: llmir.tensor @blk.0.ffn_gate_up.weight : !llmir.qtensor<192x64, panel_u4, 32> interleave_panels

// Other groups merge as well, and one quantized row is enough for all that read it: the dispatches stay.
// GROUP: llmir.tensor @token_embd.weight : !llmir.qtensor<512x64, panel_s8, 64>
// GROUP: llmir.tensor @blk.0.attn_qkv.weight : !llmir.qtensor<96x64, panel_s8, 64> concat_rows
// GROUP: llmir.tensor @blk.0.ffn_gate_up.weight : !llmir.qtensor<192x64, panel_s8, 64> interleave_panels
// GROUP: llmir.tensor @blk.0.ffn_down.weight : !llmir.qtensor<64x96, panel_s8, 32>

// CHECK: llmir_exec.program @forward page_tokens 16 chunk_tokens 128 slots
// CHECK: llmir_exec.dispatch %embed(
// CHECK-NEXT: llmir_exec.dispatch %rope_table{{.*}}(
// CHECK-NEXT: llmir_exec.dispatch %norm{{[_0-9]*}}(%x, _, _, %blk.0.attn_norm.weight, %{{.+}}) layer 0
// CHECK-NEXT: llmir_exec.dispatch %linear{{[_0-9]*}}(%{{.+}}, %blk.0.attn_qkv.weight, _, %[[QKV:qkv[_0-9]*]]) layer 0
// CHECK-NEXT: llmir_exec.dispatch %qkv{{[_0-9]*}}(%[[QKV]], %rope, _, _, %kv) layer 0
// CHECK-NEXT: llmir_exec.dispatch %attention{{[_0-9]*}}(%[[QKV]], %kv, %{{.+}}) layer 0
// CHECK-NEXT: llmir_exec.dispatch %quantize{{[_0-9]*}}(
// CHECK-NEXT: llmir_exec.dispatch %linear{{[_0-9]*}}(%{{.+}}, %blk.0.attn_output.weight, _, %x) layer 0
// CHECK-NEXT: llmir_exec.dispatch %norm{{[_0-9]*}}(%x, _, _, %blk.0.ffn_norm.weight, %{{.+}}) layer 0
// CHECK-NEXT: llmir_exec.dispatch %linear{{[_0-9]*}}(%{{.+}}, %blk.0.ffn_gate_up.weight, _, %{{.+}}) layer 0
// CHECK-NEXT: llmir_exec.dispatch %quantize{{[_0-9]*}}(
// CHECK-NEXT: llmir_exec.dispatch %linear{{[_0-9]*}}(%{{.+}}, %blk.0.ffn_down.weight, _, %x) layer 0
// CHECK-NEXT: llmir_exec.dispatch %norm{{[_0-9]*}}(%x, _, _, %output_norm.weight, %{{.+}}) :
// CHECK-NEXT: llmir_exec.dispatch %linear{{[_0-9]*}}(%{{.+}}, %token_embd.weight, _, %logits) :
// CHECK-NEXT: llmir_exec.return %logits

// Float weights need no quantization.
// FLOAT-NOT: variant quantize
// FLOAT-NOT: q8
// FLOAT: llmir_exec.return
module attributes {llmir.context_tokens = 512 : i64, llmir.chunk_tokens = 128 : i64} {
  llmir.tensor @token_embd.weight : !llmir.qtensor<512x64, q8_0> plain [#llmir.part<"token_embd.weight", 512>]
  llmir.tensor @rope_frequencies : !llmir.qtensor<8, f32> constant = dense<[1.0, 0.5, 0.25, 0.125, 0.1, 0.05, 0.02, 0.01]> : tensor<8xf32>
  llmir.tensor @blk.0.attn_norm.weight : !llmir.qtensor<64, f32> plain [#llmir.part<"blk.0.attn_norm.weight", 64>]
  llmir.tensor @blk.0.attn_q.weight : !llmir.qtensor<64x64, q4_1> plain [#llmir.part<"blk.0.attn_q.weight", 64>]
  llmir.tensor @blk.0.attn_k.weight : !llmir.qtensor<16x64, q4_1> plain [#llmir.part<"blk.0.attn_k.weight", 16>]
  llmir.tensor @blk.0.attn_v.weight : !llmir.qtensor<16x64, q4_1> plain [#llmir.part<"blk.0.attn_v.weight", 16>]
  llmir.tensor @blk.0.attn_output.weight : !llmir.qtensor<64x64, q4_1> plain [#llmir.part<"blk.0.attn_output.weight", 64>]
  llmir.tensor @blk.0.ffn_norm.weight : !llmir.qtensor<64, f32> plain [#llmir.part<"blk.0.ffn_norm.weight", 64>]
  llmir.tensor @blk.0.ffn_gate.weight : !llmir.qtensor<96x64, q4_1> plain [#llmir.part<"blk.0.ffn_gate.weight", 96>]
  llmir.tensor @blk.0.ffn_up.weight : !llmir.qtensor<96x64, q4_1> plain [#llmir.part<"blk.0.ffn_up.weight", 96>]
  llmir.tensor @blk.0.ffn_down.weight : !llmir.qtensor<64x96, q4_1> plain [#llmir.part<"blk.0.ffn_down.weight", 64>]
  llmir.tensor @output_norm.weight : !llmir.qtensor<64, f32> plain [#llmir.part<"output_norm.weight", 64>]
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %rows: tensor<?xi32>, %kv: !llmir.paged_kv<1x16>) -> (tensor<?x512xf32>, !llmir.paged_kv<1x16>) {
    %embd = llmir.weight @token_embd.weight : !llmir.qtensor<512x64, q8_0>
    %x = llmir.embed %tokens, %embd : tensor<?xi32>, !llmir.qtensor<512x64, q8_0> -> tensor<?x64xf32>
    %freq = llmir.weight @rope_frequencies : !llmir.qtensor<8, f32>
    %t = llmir.rope_table %positions, %freq : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
    %nw = llmir.weight @blk.0.attn_norm.weight : !llmir.qtensor<64, f32>
    %n = llmir.rms_norm %x, %nw epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32> loc("blk.0")
    %qw = llmir.weight @blk.0.attn_q.weight : !llmir.qtensor<64x64, q4_1>
    %q = llmir.linear %n, %qw : tensor<?x64xf32>, !llmir.qtensor<64x64, q4_1> -> tensor<?x64xf32> loc("blk.0")
    %kw = llmir.weight @blk.0.attn_k.weight : !llmir.qtensor<16x64, q4_1>
    %k = llmir.linear %n, %kw : tensor<?x64xf32>, !llmir.qtensor<16x64, q4_1> -> tensor<?x16xf32> loc("blk.0")
    %vw = llmir.weight @blk.0.attn_v.weight : !llmir.qtensor<16x64, q4_1>
    %v = llmir.linear %n, %vw : tensor<?x64xf32>, !llmir.qtensor<16x64, q4_1> -> tensor<?x16xf32> loc("blk.0")
    %qr = llmir.rope %q, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32> loc("blk.0")
    %kr = llmir.rope %k, %t head_dim 16 interleaved : tensor<?x16xf32>, tensor<?x16xf32> loc("blk.0")
    %c = llmir.append_kv %kv, %kr, %v, %positions : !llmir.paged_kv<1x16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32> loc("blk.0")
    %a = llmir.paged_attention %qr, %c, %positions scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32> loc("blk.0")
    %ow = llmir.weight @blk.0.attn_output.weight : !llmir.qtensor<64x64, q4_1>
    %o = llmir.linear %a, %ow : tensor<?x64xf32>, !llmir.qtensor<64x64, q4_1> -> tensor<?x64xf32> loc("blk.0")
    %x1 = llmir.add %x, %o : tensor<?x64xf32> loc("blk.0")
    %fw = llmir.weight @blk.0.ffn_norm.weight : !llmir.qtensor<64, f32>
    %f = llmir.rms_norm %x1, %fw epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32> loc("blk.0")
    %gw = llmir.weight @blk.0.ffn_gate.weight : !llmir.qtensor<96x64, q4_1>
    %g = llmir.linear %f, %gw : tensor<?x64xf32>, !llmir.qtensor<96x64, q4_1> -> tensor<?x96xf32> loc("blk.0")
    %uw = llmir.weight @blk.0.ffn_up.weight : !llmir.qtensor<96x64, q4_1>
    %u = llmir.linear %f, %uw : tensor<?x64xf32>, !llmir.qtensor<96x64, q4_1> -> tensor<?x96xf32> loc("blk.0")
    %gu = llmir.gate silu %g, %u : tensor<?x96xf32> loc("blk.0")
    %dw = llmir.weight @blk.0.ffn_down.weight : !llmir.qtensor<64x96, q4_1>
    %d = llmir.linear %gu, %dw : tensor<?x96xf32>, !llmir.qtensor<64x96, q4_1> -> tensor<?x64xf32> loc("blk.0")
    %x2 = llmir.add %x1, %d : tensor<?x64xf32> loc("blk.0")
    %s = llmir.select_rows %x2, %rows : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    %lw = llmir.weight @output_norm.weight : !llmir.qtensor<64, f32>
    %l = llmir.rms_norm %s, %lw epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
    %logits = llmir.logits %l, %embd : tensor<?x64xf32>, !llmir.qtensor<512x64, q8_0> -> tensor<?x512xf32>
    return %logits, %c : tensor<?x512xf32>, !llmir.paged_kv<1x16>
  }
}
