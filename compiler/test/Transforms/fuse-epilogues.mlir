// RUN: llmir-opt %s --llmir-fuse-epilogues --split-input-file | FileCheck %s

// CHECK-LABEL: @residual
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[A:.+]]: tensor<?x96xf32>,
func.func @residual(%x: tensor<?x64xf32>, %a: tensor<?x96xf32>, %w: !llmir.qtensor<64x96, panel_f16>, %b: !llmir.qtensor<64, f32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: %[[R:.+]] = llmir.linear %[[A]], %{{.+}} bias(%{{.+}} : !llmir.qtensor<64, f32>) add(%[[X]] : tensor<?x64xf32>)
  // CHECK-NEXT: return %[[R]]
  %0 = llmir.linear %a, %w bias(%b : !llmir.qtensor<64, f32>) : tensor<?x96xf32>, !llmir.qtensor<64x96, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @residual_on_the_right
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %{{.+}}: tensor<?x96xf32>,
func.func @residual_on_the_right(%x: tensor<?x64xf32>, %a: tensor<?x96xf32>, %w: !llmir.qtensor<64x96, panel_f16>) -> tensor<?x64xf32> {
  // CHECK: llmir.linear {{.+}} add(%[[X]]
  // CHECK-NOT: llmir.add
  %0 = llmir.linear %a, %w : tensor<?x96xf32>, !llmir.qtensor<64x96, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.add %0, %x : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// The residual is read again: it cannot be updated in place.
// CHECK-LABEL: @residual_read_later
func.func @residual_read_later(%x: tensor<?x64xf32>, %a: tensor<?x96xf32>, %w: !llmir.qtensor<64x96, panel_f16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: llmir.add
  %0 = llmir.linear %a, %w : tensor<?x96xf32>, !llmir.qtensor<64x96, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  return %1, %x : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// The product is read twice.
// CHECK-LABEL: @shared_product
func.func @shared_product(%x: tensor<?x64xf32>, %a: tensor<?x96xf32>, %w: !llmir.qtensor<64x96, panel_f16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: llmir.add
  %0 = llmir.linear %a, %w : tensor<?x96xf32>, !llmir.qtensor<64x96, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.add %x, %0 : tensor<?x64xf32>
  return %1, %0 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @soft_caps
func.func @soft_caps(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64x64, panel_f16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK-NEXT: llmir.linear %{{.+}}, %{{.+}} soft_cap 5.0{{.+}} :
  // CHECK-NEXT: llmir.logits %{{.+}}, %{{.+}} soft_cap 3.0{{.+}} :
  // CHECK-NEXT: return
  %0 = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.soft_cap %0 at 50.0 : tensor<?x64xf32>
  %2 = llmir.logits %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %3 = llmir.soft_cap %2 at 30.0 : tensor<?x64xf32>
  return %1, %3 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A second cap stays.
// CHECK-LABEL: @two_caps
func.func @two_caps(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64x64, panel_f16>) -> tensor<?x64xf32> {
  // CHECK: llmir.logits {{.+}} soft_cap 3.0
  // CHECK: llmir.soft_cap %{{.+}} at 5.0
  %0 = llmir.logits %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %1 = llmir.soft_cap %0 at 30.0 : tensor<?x64xf32>
  %2 = llmir.soft_cap %1 at 50.0 : tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}
