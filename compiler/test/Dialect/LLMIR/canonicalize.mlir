// RUN: llmir-opt %s --canonicalize --split-input-file | FileCheck %s

// Quantizing what was dequantized gives the same integers.
// CHECK-LABEL: @quantize_of_dequantize
// CHECK-SAME: (%[[Q:.+]]: !llmir.q8_rows<64, 32>)
func.func @quantize_of_dequantize(%q: !llmir.q8_rows<64, 32>) -> !llmir.q8_rows<64, 32> {
  // CHECK-NEXT: return %[[Q]]
  %0 = llmir.dequantize %q : !llmir.q8_rows<64, 32> -> tensor<?x64xf32>
  %1 = llmir.quantize %0 : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  return %1 : !llmir.q8_rows<64, 32>
}

// -----

// Another group is another quantization.
// CHECK-LABEL: @quantize_to_other_group
func.func @quantize_to_other_group(%q: !llmir.q8_rows<64, 32>) -> !llmir.q8_rows<64, 64> {
  // CHECK: llmir.dequantize
  // CHECK: llmir.quantize
  %0 = llmir.dequantize %q : !llmir.q8_rows<64, 32> -> tensor<?x64xf32>
  %1 = llmir.quantize %0 : tensor<?x64xf32> -> !llmir.q8_rows<64, 64>
  return %1 : !llmir.q8_rows<64, 64>
}

// -----

// CHECK-LABEL: @dequantize_of_quantize
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>)
func.func @dequantize_of_quantize(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = llmir.quantize %x : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  %1 = llmir.dequantize %0 : !llmir.q8_rows<64, 32> -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @scale_by_one
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>)
func.func @scale_by_one(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = llmir.scale %x by 1.0 : tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @scale_of_scale
func.func @scale_of_scale(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: %[[S:.+]] = llmir.scale %{{.+}} by 6.0{{.+}}
  // CHECK-NEXT: return %[[S]]
  %0 = llmir.scale %x by 2.0 : tensor<?x64xf32>
  %1 = llmir.scale %0 by 3.0 : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @scale_of_embedding
func.func @scale_of_embedding(%t: tensor<?xi32>, %w: !llmir.qtensor<512x64, f16>) -> tensor<?x64xf32> {
  // CHECK-NEXT: %[[E:.+]] = llmir.embed %{{.+}}, %{{.+}} scale 1.6{{.+}}e+01
  // CHECK-NEXT: return %[[E]]
  %0 = llmir.embed %t, %w scale 2.0 : tensor<?xi32>, !llmir.qtensor<512x64, f16> -> tensor<?x64xf32>
  %1 = llmir.scale %0 by 8.0 : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// The unscaled rows have another reader.
// CHECK-LABEL: @scale_of_shared_embedding
func.func @scale_of_shared_embedding(%t: tensor<?xi32>, %w: !llmir.qtensor<512x64, f16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: llmir.embed
  // CHECK: llmir.scale
  %0 = llmir.embed %t, %w : tensor<?xi32>, !llmir.qtensor<512x64, f16> -> tensor<?x64xf32>
  %1 = llmir.scale %0 by 8.0 : tensor<?x64xf32>
  return %0, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @add_of_zero
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %{{.+}}: tensor<?x64xf32>)
func.func @add_of_zero(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK-NEXT: return %[[X]], %[[X]]
  %0 = llmir.scale %y by 0.0 : tensor<?x64xf32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  %2 = llmir.add %0, %x : tensor<?x64xf32>
  return %1, %2 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A cap of a cap is no cap of the smaller: it stays.
// CHECK-LABEL: @soft_cap_of_soft_cap
func.func @soft_cap_of_soft_cap(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-COUNT-2: llmir.soft_cap
  %0 = llmir.soft_cap %x at 30.0 : tensor<?x64xf32>
  %1 = llmir.soft_cap %0 at 50.0 : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @all_columns
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>)
func.func @all_columns(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = llmir.columns %x from 0 : tensor<?x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// What nobody reads goes; collectives stay, because other members wait for them.
// CHECK-LABEL: @dead
func.func @dead(%x: tensor<?x64xf32>) {
  // CHECK-NEXT: llmir.all_reduce
  // CHECK-NEXT: return
  %0 = llmir.soft_cap %x at 30.0 : tensor<?x64xf32>
  %1 = llmir.all_reduce sum %x across "tensor" : tensor<?x64xf32>
  return
}
