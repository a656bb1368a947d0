// RUN: llmir-opt %s --verify-roundtrip | FileCheck %s
// RUN: llmir-opt %s --mlir-print-op-generic | llmir-opt | FileCheck %s

// CHECK: llmir.tensor @table : !llmir.qtensor<512x64, q8_0> plain [#llmir.part<"token_embd.weight", 512>]
llmir.tensor @table : !llmir.qtensor<512x64, q8_0> plain [#llmir.part<"token_embd.weight", 512>]
// CHECK: llmir.tensor @qkv : !llmir.qtensor<96x64, panel_u4, 32> concat_rows
llmir.tensor @qkv : !llmir.qtensor<96x64, panel_u4, 32> concat_rows [#llmir.part<"q", 64, rope 16 of 16>, #llmir.part<"k", 16, rope 16 of 16>, #llmir.part<"v", 16>]
// CHECK: llmir.tensor @gate_up : !llmir.qtensor<224x64, panel_f16> interleave_panels
llmir.tensor @gate_up : !llmir.qtensor<224x64, panel_f16> interleave_panels [#llmir.part<"g", 100>, #llmir.part<"u", 100>]
// CHECK: llmir.tensor @rope : !llmir.qtensor<2, f32> constant = dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf32>
llmir.tensor @rope : !llmir.qtensor<2, f32> constant = dense<[1.0, 0.5]> : tensor<2xf32>

// CHECK-LABEL: @projections
func.func @projections(%tokens: tensor<?xi32>, %h: !llmir.q8_rows<64, 32>, %x: tensor<?x64xf32>, %y: tensor<?x96xf32>,
                       %b: !llmir.qtensor<96, f32>) {
  // CHECK: %[[TABLE:table]] = llmir.weight @table : {{.*}}<512x64, q8_0>
  %table = llmir.weight @table : !llmir.qtensor<512x64, q8_0>
  // CHECK: llmir.embed %{{.+}}, %[[TABLE]] : tensor<?xi32>, {{.*}}<512x64, q8_0> -> tensor<?x64xf32>
  %0 = llmir.embed %tokens, %table : tensor<?xi32>, !llmir.qtensor<512x64, q8_0> -> tensor<?x64xf32>
  // CHECK: llmir.embed %{{.+}}, %{{.+}} scale 2.4{{.+}}e+01 :
  %1 = llmir.embed %tokens, %table scale 24.0 : tensor<?xi32>, !llmir.qtensor<512x64, q8_0> -> tensor<?x64xf32>
  %w = llmir.weight @qkv : !llmir.qtensor<96x64, panel_u4, 32>
  // CHECK: llmir.linear %{{.+}}, %{{.+}} : {{.*}}<64, 32>, {{.*}}<96x64, panel_u4, 32> -> tensor<?x96xf32>
  %2 = llmir.linear %h, %w : !llmir.q8_rows<64, 32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  // CHECK: llmir.linear %{{.+}}, %{{.+}} bias(%{{.+}} : {{.*}}<96, f32>) add(%{{.+}} : tensor<?x96xf32>) soft_cap 3.0{{.+}}e+01 :
  %3 = llmir.linear %x, %w bias(%b : !llmir.qtensor<96, f32>) add(%y : tensor<?x96xf32>) soft_cap 30.0 : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  %gu = llmir.weight @gate_up : !llmir.qtensor<224x64, panel_f16>
  // CHECK: llmir.linear %{{.+}}, %{{.+}} gate gelu_tanh : tensor<?x64xf32>, {{.*}}<224x64, panel_f16> -> tensor<?x100xf32>
  %4 = llmir.linear %x, %gu gate gelu_tanh : tensor<?x64xf32>, !llmir.qtensor<224x64, panel_f16> -> tensor<?x100xf32>
  // CHECK: llmir.logits %{{.+}}, %{{.+}} soft_cap 3.0{{.+}}e+01 :
  %5 = llmir.logits %x, %table soft_cap 30.0 : tensor<?x64xf32>, !llmir.qtensor<512x64, q8_0> -> tensor<?x512xf32>
  // CHECK: llmir.quantize %{{.+}} : tensor<?x64xf32> -> {{.*}}<64, 32>
  %6 = llmir.quantize %x : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  // CHECK: llmir.dequantize %{{.+}} : {{.*}}<64, 32> -> tensor<?x64xf32>
  %7 = llmir.dequantize %h : !llmir.q8_rows<64, 32> -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @attention
func.func @attention(%p: tensor<?xi32>, %q: tensor<?x64xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                     %c: !llmir.paged_kv<1x16, window = 512>, %s: !llmir.qtensor<4, f32>) {
  %f = llmir.weight @rope : !llmir.qtensor<2, f32>
  // CHECK: %[[T:.+]] = llmir.rope_table %{{.+}}, %{{.+}} attention_factor 1.2{{.+}} : tensor<?xi32>, {{.*}}<2, f32> -> tensor<?x4xf32>
  %t = llmir.rope_table %p, %f attention_factor 1.2 : tensor<?xi32>, !llmir.qtensor<2, f32> -> tensor<?x4xf32>
  // CHECK: llmir.rope %{{.+}}, %[[T]] head_dim 16 halves : tensor<?x64xf32>, tensor<?x4xf32>
  %0 = llmir.rope %q, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x4xf32>
  // CHECK: llmir.rope %{{.+}}, %[[T]] head_dim 16 interleaved
  %1 = llmir.rope %q, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x4xf32>
  // CHECK: llmir.append_kv %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} : {{.*}}<1x16, window = 512>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %2 = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<1x16, window = 512>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // CHECK: llmir.paged_attention %{{.+}}, %{{.+}}, %{{.+}} sinks(%{{.+}} : {{.*}}<4, f32>) scale 2.5{{.+}} window 128 soft_cap 5.0{{.+}} bidirectional :
  %3 = llmir.paged_attention %0, %2, %p sinks(%s : !llmir.qtensor<4, f32>) scale 0.25 window 128 soft_cap 50.0 bidirectional : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 512>, tensor<?xi32>
  return
}

// CHECK-LABEL: @rows
func.func @rows(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %r: tensor<?xi32>) {
  // CHECK: llmir.rms_norm %{{.+}}, %{{.+}} epsilon 9.{{.+}} : tensor<?x64xf32>, {{.*}}<64, f32>
  %0 = llmir.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  // CHECK: llmir.layer_norm %{{.+}}, %{{.+}} bias(%{{.+}} : {{.*}}<64, f32>) epsilon
  %1 = llmir.layer_norm %x, %w bias(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  // CHECK: %{{.+}}, %{{.+}} = llmir.residual_norm %{{.+}} delta(%{{.+}} : tensor<?x64xf32>) delta_weight(%{{.+}} : {{.*}}<64, f32>) delta_epsilon {{.+}} weight(%{{.+}} : {{.*}}<64, f32>) epsilon {{.+}} : tensor<?x64xf32> -> updated tensor<?x64xf32> output {{.*}}<64, 32>
  %2, %3 = llmir.residual_norm %x delta(%y : tensor<?x64xf32>) delta_weight(%w : !llmir.qtensor<64, f32>) delta_epsilon 1.0e-6 weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-6 : tensor<?x64xf32> -> updated tensor<?x64xf32> output !llmir.q8_rows<64, 32>
  // CHECK: llmir.residual_norm %{{.+}} delta(%{{.+}} : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  %4 = llmir.residual_norm %x delta(%y : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  // CHECK: llmir.residual_norm %{{.+}} weight(%{{.+}} : {{.*}}<64, f32>) epsilon {{.+}} rows(%{{.+}} : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  %5 = llmir.residual_norm %x weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-6 rows(%r : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // CHECK: llmir.gate silu %{{.+}}, %{{.+}} : tensor<?x64xf32>
  %6 = llmir.gate silu %x, %y : tensor<?x64xf32>
  // CHECK: llmir.add %{{.+}}, %{{.+}} : tensor<?x64xf32>
  %7 = llmir.add %x, %y : tensor<?x64xf32>
  // CHECK: llmir.scale %{{.+}} by 2.{{.+}} : tensor<?x64xf32>
  %8 = llmir.scale %x by 2.0 : tensor<?x64xf32>
  // CHECK: llmir.soft_cap %{{.+}} at 3.{{.+}} : tensor<?x64xf32>
  %9 = llmir.soft_cap %x at 30.0 : tensor<?x64xf32>
  // CHECK: llmir.select_rows %{{.+}}, %{{.+}} : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %10 = llmir.select_rows %x, %r : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  // CHECK: llmir.columns %{{.+}} from 16 : tensor<?x64xf32> -> tensor<?x48xf32>
  %11 = llmir.columns %x from 16 : tensor<?x64xf32> -> tensor<?x48xf32>
  return
}

// CHECK-LABEL: @experts
func.func @experts(%x: tensor<?x64xf32>, %s: tensor<?x8xf32>, %w: !llmir.qtensor<8x96x64, panel_u4, 32>,
                   %d: !llmir.qtensor<8x64x96, panel_u4, 32>) {
  // CHECK: %[[W:[a-z0-9]+]], %[[E:[a-z0-9]+]] = llmir.moe_route %{{.+}} top 2 softmax normalize : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %r, %e = llmir.moe_route %s top 2 softmax normalize : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  // CHECK: llmir.moe_linear %{{.+}}, %{{.+}}, %[[E]] : tensor<?x64xf32>, {{.*}}<8x96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x2x96xf32>
  %0 = llmir.moe_linear %x, %w, %e : tensor<?x64xf32>, !llmir.qtensor<8x96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x2x96xf32>
  // CHECK: llmir.moe_linear %{{.+}}, %{{.+}}, %[[E]] weights(%[[W]] : tensor<?x2xf32>) : tensor<?x2x96xf32>
  %1 = llmir.moe_linear %0, %d, %e weights(%r : tensor<?x2xf32>) : tensor<?x2x96xf32>, !llmir.qtensor<8x64x96, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @collectives
func.func @collectives(%x: tensor<?x64xf32>) {
  // CHECK: llmir.all_reduce sum %{{.+}} across "tensor" : tensor<?x64xf32>
  %0 = llmir.all_reduce sum %x across "tensor" : tensor<?x64xf32>
  // CHECK: llmir.all_gather %{{.+}} across "tensor" of 2 : tensor<?x64xf32> -> tensor<?x128xf32>
  %1 = llmir.all_gather %x across "tensor" of 2 : tensor<?x64xf32> -> tensor<?x128xf32>
  // CHECK: llmir.send %{{.+}} to 1 tag 0 across "stage" : tensor<?x64xf32>
  llmir.send %x to 1 tag 0 across "stage" : tensor<?x64xf32>
  // CHECK: llmir.recv from 0 tag 0 across "stage" : tensor<?x64xf32>
  %2 = llmir.recv from 0 tag 0 across "stage" : tensor<?x64xf32>
  return
}
