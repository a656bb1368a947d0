// RUN: llmir-opt %s --llmir-merge-qkv --split-input-file | FileCheck %s

// CHECK: llmir.tensor @blk.0.attn_qkv.weight : !llmir.qtensor<96x64, panel_u4, 32> concat_rows
// CHECK-SAME: [#llmir.part<"q", 64, rope 16 of 16>, #llmir.part<"k", 16, rope 16 of 16>, #llmir.part<"v", 16>]
// CHECK: llmir.tensor @blk.0.attn_qkv.bias : !llmir.qtensor<96, f32> concat_rows
// CHECK-SAME: [#llmir.part<"qb", 64, rope 16 of 16>, #llmir.part<"kb", 16>, #llmir.part<"vb", 16>]
// CHECK-NOT: llmir.tensor
llmir.tensor @blk.0.attn_q.weight : !llmir.qtensor<64x64, panel_u4, 32> plain [#llmir.part<"q", 64, rope 16 of 16>]
llmir.tensor @blk.0.attn_q.bias : !llmir.qtensor<64, f32> plain [#llmir.part<"qb", 64, rope 16 of 16>]
llmir.tensor @blk.0.attn_k.weight : !llmir.qtensor<16x64, panel_u4, 32> plain [#llmir.part<"k", 16, rope 16 of 16>]
llmir.tensor @blk.0.attn_k.bias : !llmir.qtensor<16, f32> plain [#llmir.part<"kb", 16>]
llmir.tensor @blk.0.attn_v.weight : !llmir.qtensor<16x64, panel_u4, 32> plain [#llmir.part<"v", 16>]
llmir.tensor @blk.0.attn_v.bias : !llmir.qtensor<16, f32> plain [#llmir.part<"vb", 16>]
// CHECK-LABEL: @all
func.func @all(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK: %[[W:.+]] = llmir.weight @blk.0.attn_qkv.weight
  // CHECK: %[[B:.+]] = llmir.weight @blk.0.attn_qkv.bias
  // CHECK: %[[QKV:.+]] = llmir.linear %{{.+}}, %[[W]] bias(%[[B]] : {{.+}}) : {{.+}} -> tensor<?x96xf32>
  // CHECK: %[[Q:.+]] = llmir.columns %[[QKV]] from 0 : tensor<?x96xf32> -> tensor<?x64xf32>
  // CHECK: %[[K:.+]] = llmir.columns %[[QKV]] from 64 : tensor<?x96xf32> -> tensor<?x16xf32>
  // CHECK: %[[V:.+]] = llmir.columns %[[QKV]] from 80 : tensor<?x96xf32> -> tensor<?x16xf32>
  // CHECK-NOT: llmir.linear
  %qw = llmir.weight @blk.0.attn_q.weight : !llmir.qtensor<64x64, panel_u4, 32>
  %qb = llmir.weight @blk.0.attn_q.bias : !llmir.qtensor<64, f32>
  %kw = llmir.weight @blk.0.attn_k.weight : !llmir.qtensor<16x64, panel_u4, 32>
  %kb = llmir.weight @blk.0.attn_k.bias : !llmir.qtensor<16, f32>
  %vw = llmir.weight @blk.0.attn_v.weight : !llmir.qtensor<16x64, panel_u4, 32>
  %vb = llmir.weight @blk.0.attn_v.bias : !llmir.qtensor<16, f32>
  %q = llmir.linear %x, %qw bias(%qb : !llmir.qtensor<64, f32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %k = llmir.linear %x, %kw bias(%kb : !llmir.qtensor<16, f32>) : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_u4, 32> -> tensor<?x16xf32>
  %v = llmir.linear %x, %vw bias(%vb : !llmir.qtensor<16, f32>) : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_u4, 32> -> tensor<?x16xf32>
  // CHECK: llmir.rope %[[Q]]
  // CHECK: llmir.rope %[[K]]
  %qr = llmir.rope %q, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %kr = llmir.rope %k, %t head_dim 16 halves : tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK: llmir.append_kv %{{.+}}, %{{.+}}, %[[V]], %{{.+}}
  %a = llmir.append_kv %c, %kr, %v, %p : !llmir.paged_kv<1x16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %qr, %a, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %o : tensor<?x64xf32>
}

// -----

// The value has another layout: it stays alone.
// CHECK: llmir.tensor @blk.0.attn_qk.weight : !llmir.qtensor<80x64, panel_u4, 32> concat_rows
// CHECK: llmir.tensor @blk.0.attn_v.weight : !llmir.qtensor<16x64, panel_s8, 32> plain
llmir.tensor @blk.0.attn_q.weight : !llmir.qtensor<64x64, panel_u4, 32> plain [#llmir.part<"q", 64>]
llmir.tensor @blk.0.attn_k.weight : !llmir.qtensor<16x64, panel_u4, 32> plain [#llmir.part<"k", 16>]
llmir.tensor @blk.0.attn_v.weight : !llmir.qtensor<16x64, panel_s8, 32> plain [#llmir.part<"v", 16>]
// CHECK-LABEL: @two
func.func @two(%x: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK: llmir.linear {{.+}} -> tensor<?x80xf32>
  // CHECK: llmir.linear {{.+}} -> tensor<?x16xf32>
  // CHECK-NOT: llmir.linear
  %qw = llmir.weight @blk.0.attn_q.weight : !llmir.qtensor<64x64, panel_u4, 32>
  %kw = llmir.weight @blk.0.attn_k.weight : !llmir.qtensor<16x64, panel_u4, 32>
  %vw = llmir.weight @blk.0.attn_v.weight : !llmir.qtensor<16x64, panel_s8, 32>
  %q = llmir.linear %x, %qw : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %k = llmir.linear %x, %kw : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_u4, 32> -> tensor<?x16xf32>
  %v = llmir.linear %x, %vw : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_s8, 32> -> tensor<?x16xf32>
  %a = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<1x16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %q, %a, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %o : tensor<?x64xf32>
}

// -----

// Eight columns cannot lie beside others unless they are merged, so all get the layout that loses least.
// CHECK: llmir.tensor @blk.0.attn_qkv.weight : !llmir.qtensor<40x64, panel_s8, 32> concat_rows
llmir.tensor @blk.0.attn_q.weight : !llmir.qtensor<24x64, panel_u4, 32> plain [#llmir.part<"q", 24>]
llmir.tensor @blk.0.attn_k.weight : !llmir.qtensor<8x64, panel_u4, 32> plain [#llmir.part<"k", 8>]
llmir.tensor @blk.0.attn_v.weight : !llmir.qtensor<8x64, panel_s8, 32> plain [#llmir.part<"v", 8>]
// CHECK-LABEL: @misaligned
func.func @misaligned(%x: tensor<?x64xf32>, %c: !llmir.paged_kv<1x8>, %p: tensor<?xi32>) -> tensor<?x24xf32> {
  // CHECK: llmir.linear {{.+}} -> tensor<?x40xf32>
  // CHECK-NOT: llmir.linear
  %qw = llmir.weight @blk.0.attn_q.weight : !llmir.qtensor<24x64, panel_u4, 32>
  %kw = llmir.weight @blk.0.attn_k.weight : !llmir.qtensor<8x64, panel_u4, 32>
  %vw = llmir.weight @blk.0.attn_v.weight : !llmir.qtensor<8x64, panel_s8, 32>
  %q = llmir.linear %x, %qw : tensor<?x64xf32>, !llmir.qtensor<24x64, panel_u4, 32> -> tensor<?x24xf32>
  %k = llmir.linear %x, %kw : tensor<?x64xf32>, !llmir.qtensor<8x64, panel_u4, 32> -> tensor<?x8xf32>
  %v = llmir.linear %x, %vw : tensor<?x64xf32>, !llmir.qtensor<8x64, panel_s8, 32> -> tensor<?x8xf32>
  %a = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<1x8>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>
  %o = llmir.paged_attention %q, %a, %p scale 0.25 : tensor<?x24xf32>, !llmir.paged_kv<1x8>, tensor<?xi32>
  return %o : tensor<?x24xf32>
}

// -----

// Only the query has a bias: the others merge.
// CHECK: llmir.tensor @q : !llmir.qtensor<64x64, panel_f16> plain
// CHECK: llmir.tensor @kv : !llmir.qtensor<32x64, panel_f16> concat_rows
llmir.tensor @q : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"q", 64>]
llmir.tensor @b : !llmir.qtensor<64, f32> plain [#llmir.part<"b", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @v : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"v", 16>]
// CHECK-LABEL: @one_bias
func.func @one_bias(%x: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  %qw = llmir.weight @q : !llmir.qtensor<64x64, panel_f16>
  %qb = llmir.weight @b : !llmir.qtensor<64, f32>
  %kw = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %vw = llmir.weight @v : !llmir.qtensor<16x64, panel_f16>
  %q = llmir.linear %x, %qw bias(%qb : !llmir.qtensor<64, f32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %k = llmir.linear %x, %kw : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %v = llmir.linear %x, %vw : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %a = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<1x16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %q, %a, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %o : tensor<?x64xf32>
}
