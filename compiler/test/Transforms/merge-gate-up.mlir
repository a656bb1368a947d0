// RUN: llmir-opt %s --llmir-merge-gate-up --split-input-file | FileCheck %s

// 100 rows take 7 panels of 16 each.
// CHECK: llmir.tensor @blk.0.ffn_gate_up.weight : !llmir.qtensor<224x64, panel_u4, 32> interleave_panels
// CHECK-SAME: [#llmir.part<"g", 100>, #llmir.part<"u", 100>]
// CHECK-NOT: llmir.tensor
llmir.tensor @blk.0.ffn_gate.weight : !llmir.qtensor<100x64, panel_u4, 32> plain [#llmir.part<"g", 100>]
llmir.tensor @blk.0.ffn_up.weight : !llmir.qtensor<100x64, panel_u4, 32> plain [#llmir.part<"u", 100>]
// CHECK-LABEL: @merged
func.func @merged(%x: tensor<?x64xf32>) -> tensor<?x100xf32> {
  // CHECK: %[[W:.+]] = llmir.weight @blk.0.ffn_gate_up.weight
  // CHECK: %[[R:.+]] = llmir.linear %{{.+}}, %[[W]] gate silu : {{.+}} -> tensor<?x100xf32>
  // CHECK-NEXT: return %[[R]]
  %gw = llmir.weight @blk.0.ffn_gate.weight : !llmir.qtensor<100x64, panel_u4, 32>
  %uw = llmir.weight @blk.0.ffn_up.weight : !llmir.qtensor<100x64, panel_u4, 32>
  %g = llmir.linear %x, %gw : tensor<?x64xf32>, !llmir.qtensor<100x64, panel_u4, 32> -> tensor<?x100xf32>
  %u = llmir.linear %x, %uw : tensor<?x64xf32>, !llmir.qtensor<100x64, panel_u4, 32> -> tensor<?x100xf32>
  %0 = llmir.gate silu %g, %u : tensor<?x100xf32>
  return %0 : tensor<?x100xf32>
}

// -----

// Other layouts, whole panels: both stay and kernel GATE does the rest.
llmir.tensor @g : !llmir.qtensor<96x64, panel_u4, 32> plain [#llmir.part<"g", 96>]
llmir.tensor @u : !llmir.qtensor<96x64, panel_s8, 32> plain [#llmir.part<"u", 96>]
// CHECK-LABEL: @other_layouts
func.func @other_layouts(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
  // CHECK-COUNT-2: llmir.linear
  // CHECK: llmir.gate gelu_tanh
  %gw = llmir.weight @g : !llmir.qtensor<96x64, panel_u4, 32>
  %uw = llmir.weight @u : !llmir.qtensor<96x64, panel_s8, 32>
  %g = llmir.linear %x, %gw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  %u = llmir.linear %x, %uw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_s8, 32> -> tensor<?x96xf32>
  %0 = llmir.gate gelu_tanh %g, %u : tensor<?x96xf32>
  return %0 : tensor<?x96xf32>
}

// -----

// A part of a panel cannot lie beside another matrix: one layout for both.
// CHECK: llmir.tensor @gu : !llmir.qtensor<224x64, panel_f16> interleave_panels
llmir.tensor @g : !llmir.qtensor<100x64, panel_u4, 32> plain [#llmir.part<"g", 100>]
llmir.tensor @u : !llmir.qtensor<100x64, panel_f16> plain [#llmir.part<"u", 100>]
// CHECK-LABEL: @misaligned
func.func @misaligned(%x: tensor<?x64xf32>) -> tensor<?x100xf32> {
  // CHECK: llmir.linear {{.+}} gate silu
  %gw = llmir.weight @g : !llmir.qtensor<100x64, panel_u4, 32>
  %uw = llmir.weight @u : !llmir.qtensor<100x64, panel_f16>
  %g = llmir.linear %x, %gw : tensor<?x64xf32>, !llmir.qtensor<100x64, panel_u4, 32> -> tensor<?x100xf32>
  %u = llmir.linear %x, %uw : tensor<?x64xf32>, !llmir.qtensor<100x64, panel_f16> -> tensor<?x100xf32>
  %0 = llmir.gate silu %g, %u : tensor<?x100xf32>
  return %0 : tensor<?x100xf32>
}

// -----

// The gate is read twice.
llmir.tensor @g : !llmir.qtensor<96x64, panel_u4, 32> plain [#llmir.part<"g", 96>]
llmir.tensor @u : !llmir.qtensor<96x64, panel_u4, 32> plain [#llmir.part<"u", 96>]
// CHECK-LABEL: @shared
func.func @shared(%x: tensor<?x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  // CHECK: llmir.gate
  %gw = llmir.weight @g : !llmir.qtensor<96x64, panel_u4, 32>
  %uw = llmir.weight @u : !llmir.qtensor<96x64, panel_u4, 32>
  %g = llmir.linear %x, %gw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  %u = llmir.linear %x, %uw : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  %0 = llmir.gate silu %g, %u : tensor<?x96xf32>
  return %0, %g : tensor<?x96xf32>, tensor<?x96xf32>
}
