// RUN: llmir-opt %s --verify-roundtrip | FileCheck %s
// RUN: llmir-opt %s --cse | FileCheck %s --check-prefix=CSE

// CHECK-LABEL: @helpers
// CHECK: %[[A:.+]] = llmir_gpu.parameter 12
// CHECK: llmir_gpu.dot4 %[[A]], %[[A]], %{{.+}}
// They have no effects, so equal ones are one.
// CSE-LABEL: @helpers
// CSE-COUNT-1: llmir_gpu.parameter
// CSE-NOT: llmir_gpu.parameter
func.func @helpers() -> i32 {
  %a = llmir_gpu.parameter 12
  %b = llmir_gpu.parameter 12
  %sum = llmir_gpu.dot4 %a, %a, %b
  return %sum : i32
}

// CHECK-LABEL: func.func @matrices
func.func @matrices(%scales: memref<16xf32>, %sums: memref<128xf32>, %at: index) {
  // CHECK: %[[ROWS:.+]] = llmir_gpu.matrix_load %{{.+}}[%{{.+}}] stride 0 columns : memref<16xf32> -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  %rows = llmir_gpu.matrix_load %scales[%at] stride 0 columns : memref<16xf32> -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  // CHECK: %[[TOKENS:.+]] = llmir_gpu.matrix_load %{{.+}}[%{{.+}}] stride 0 : memref<16xf32> -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  %tokens = llmir_gpu.matrix_load %scales[%at] stride 0 : memref<16xf32> -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  // CHECK: %[[SUM:.+]] = llmir_gpu.matrix_fma %[[ROWS]], %[[TOKENS]], %[[ROWS]] : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  %sum = llmir_gpu.matrix_fma %rows, %tokens, %rows : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
  // CHECK: llmir_gpu.matrix_store %[[SUM]], %{{.+}}[%{{.+}}] stride 16 : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>, memref<128xf32>
  llmir_gpu.matrix_store %sum, %sums[%at] stride 16 : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>, memref<128xf32>
  return
}
