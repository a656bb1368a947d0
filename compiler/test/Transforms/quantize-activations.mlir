// RUN: llmir-opt %s --llmir-quantize-activations=activations=int8 --split-input-file | FileCheck %s

// One quantization for two products of the same group, another for a third.
// CHECK-LABEL: @groups
func.func @groups(%x: tensor<?x64xf32>, %a: !llmir.qtensor<96x64, panel_u4, 32>, %b: !llmir.qtensor<32x64, panel_s8, 32>, %c: !llmir.qtensor<32x64, panel_s8, 64>)
    -> (tensor<?x96xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK-DAG: %[[Q32:.+]] = llmir.quantize %{{.+}} : tensor<?x64xf32> -> <64, 32>
  // CHECK-DAG: %[[Q64:.+]] = llmir.quantize %{{.+}} : tensor<?x64xf32> -> <64, 64>
  // CHECK-NOT: llmir.quantize
  // CHECK: llmir.linear %[[Q32]]
  %0 = llmir.linear %x, %a : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  // CHECK: llmir.linear %[[Q32]]
  %1 = llmir.linear %x, %b : tensor<?x64xf32>, !llmir.qtensor<32x64, panel_s8, 32> -> tensor<?x32xf32>
  // CHECK: llmir.logits %[[Q64]]
  %2 = llmir.logits %x, %c : tensor<?x64xf32>, !llmir.qtensor<32x64, panel_s8, 64> -> tensor<?x32xf32>
  return %0, %1, %2 : tensor<?x96xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: @float_weights
func.func @float_weights(%x: tensor<?x64xf32>, %a: !llmir.qtensor<96x64, panel_f16>) -> tensor<?x96xf32> {
  // CHECK-NOT: llmir.quantize
  %0 = llmir.linear %x, %a : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_f16> -> tensor<?x96xf32>
  return %0 : tensor<?x96xf32>
}

// -----

// CHECK-LABEL: @already_quantized
func.func @already_quantized(%x: !llmir.q8_rows<64, 32>, %a: !llmir.qtensor<96x64, panel_u4, 32>) -> tensor<?x96xf32> {
  // CHECK-NOT: llmir.quantize
  %0 = llmir.linear %x, %a : !llmir.q8_rows<64, 32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return %0 : tensor<?x96xf32>
}
