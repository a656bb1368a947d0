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
