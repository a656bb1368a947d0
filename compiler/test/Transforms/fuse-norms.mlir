// RUN: llmir-opt %s --llmir-fuse-norms --split-input-file | FileCheck %s

// CHECK-LABEL: @norm_and_quantize
func.func @norm_and_quantize(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>) -> !llmir.q8_rows<64, 32> {
  // CHECK-NEXT: %[[N:.+]] = llmir.residual_norm %{{.+}} weight(%{{.+}} : !llmir.qtensor<64, f32>) epsilon {{.+}} : tensor<?x64xf32> -> output !llmir.q8_rows<64, 32>
  // CHECK-NEXT: return %[[N]]
  %0 = llmir.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %1 = llmir.quantize %0 : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  return %1 : !llmir.q8_rows<64, 32>
}

// -----

// The f32 rows have another reader.
// CHECK-LABEL: @norm_read_twice
func.func @norm_read_twice(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>) -> (!llmir.q8_rows<64, 32>, tensor<?x64xf32>) {
  // CHECK: llmir.residual_norm {{.+}} -> output tensor<?x64xf32>
  // CHECK: llmir.quantize
  %0 = llmir.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %1 = llmir.quantize %0 : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  return %1, %0 : !llmir.q8_rows<64, 32>, tensor<?x64xf32>
}

// -----

// Gemma: the norm of the delta, the sum, the next norm and its quantization.
// CHECK-LABEL: @post_norm
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[D:.+]]: tensor<?x64xf32>, %[[P:.+]]: !llmir.qtensor<64, f32>, %[[W:.+]]: !llmir.qtensor<64, f32>)
func.func @post_norm(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %p: !llmir.qtensor<64, f32>, %w: !llmir.qtensor<64, f32>) -> (tensor<?x64xf32>, !llmir.q8_rows<64, 32>) {
  // CHECK-NEXT: %[[U:.+]], %[[O:.+]] = llmir.residual_norm %[[X]] delta(%[[D]] : tensor<?x64xf32>) delta_weight(%[[P]] : !llmir.qtensor<64, f32>) delta_epsilon 9.99{{.+}}E-7 weight(%[[W]] : !llmir.qtensor<64, f32>) epsilon 9.99{{.+}}E-6 : tensor<?x64xf32> -> updated tensor<?x64xf32> output !llmir.q8_rows<64, 32>
  // CHECK-NEXT: return %[[U]], %[[O]]
  %0 = llmir.rms_norm %d, %p epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  %2 = llmir.rms_norm %1, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %3 = llmir.quantize %2 : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  return %1, %3 : tensor<?x64xf32>, !llmir.q8_rows<64, 32>
}

// -----

// The order of the sum does not matter.
// CHECK-LABEL: @post_norm_on_the_left
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[D:.+]]: tensor<?x64xf32>,
func.func @post_norm_on_the_left(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %p: !llmir.qtensor<64, f32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llmir.residual_norm %[[X]] delta(%[[D]] : tensor<?x64xf32>) delta_weight({{.+}}) {{.+}} -> updated tensor<?x64xf32>
  // CHECK-NEXT: return
  %0 = llmir.rms_norm %d, %p epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %1 = llmir.add %0, %x : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// The end of a model: only the rows whose logits are wanted are normed.
// CHECK-LABEL: @gather
func.func @gather(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %r: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llmir.residual_norm %{{.+}} weight({{.+}}) epsilon {{.+}} rows(%{{.+}} : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // CHECK-NEXT: return
  %0 = llmir.select_rows %x, %r : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %1 = llmir.rms_norm %0, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  return %1 : tensor<?x64xf32>
}

// -----

// The end of a Gemma: the last sum is gathered, too, and nothing is updated.
// CHECK-LABEL: @gather_sum
func.func @gather_sum(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %p: !llmir.qtensor<64, f32>, %w: !llmir.qtensor<64, f32>, %r: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llmir.residual_norm %{{.+}} delta({{.+}}) delta_weight({{.+}}) delta_epsilon {{.+}} weight({{.+}}) epsilon {{.+}} rows({{.+}}) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // CHECK-NEXT: return
  %0 = llmir.rms_norm %d, %p epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  %2 = llmir.select_rows %1, %r : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %3 = llmir.rms_norm %2, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  return %3 : tensor<?x64xf32>
}

// -----

// A sum without a norm behind it.
// CHECK-LABEL: @sum_alone
func.func @sum_alone(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llmir.residual_norm %{{.+}} delta(%{{.+}} : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  %0 = llmir.add %x, %d : tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// Both sides are read later: neither can be updated in place.
// CHECK-LABEL: @sum_of_live_values
func.func @sum_of_live_values(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: llmir.add
  %0 = llmir.add %x, %d : tensor<?x64xf32>
  return %0, %x, %d : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// One side is read later: the other is updated.
// CHECK-LABEL: @sum_of_live_value
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[D:.+]]: tensor<?x64xf32>)
func.func @sum_of_live_value(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: llmir.residual_norm %[[D]] delta(%[[X]]
  %0 = llmir.add %x, %d : tensor<?x64xf32>
  return %0, %x : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Norms of heads stay; with one key head only the reader tells.
// CHECK-LABEL: @head_norms
func.func @head_norms(%q: tensor<?x64xf32>, %k: tensor<?x16xf32>, %t: tensor<?x16xf32>, %w: !llmir.qtensor<16, f32>) -> (tensor<?x64xf32>, tensor<?x16xf32>) {
  // CHECK-COUNT-2: llmir.rms_norm
  %0 = llmir.rms_norm %q, %w epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<16, f32>
  %1 = llmir.rms_norm %k, %w epsilon 1.0e-6 : tensor<?x16xf32>, !llmir.qtensor<16, f32>
  %2 = llmir.rope %0, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %3 = llmir.rope %1, %t head_dim 16 halves : tensor<?x16xf32>, tensor<?x16xf32>
  return %2, %3 : tensor<?x64xf32>, tensor<?x16xf32>
}
