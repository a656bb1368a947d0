// RUN: llmir-opt %s --llmir-permute-rope-rows --split-input-file --verify-diagnostics | FileCheck %s

// Query: matrix, bias and head norm. Key: matrix. The value stays.
// CHECK: llmir.tensor @q : {{.+}} plain [#llmir.part<"q", 64, rope 8 of 16>]
// CHECK: llmir.tensor @qb : {{.+}} plain [#llmir.part<"qb", 64, rope 8 of 16>]
// CHECK: llmir.tensor @qn : {{.+}} plain [#llmir.part<"qn", 16, rope 8 of 16>]
// CHECK: llmir.tensor @k : {{.+}} plain [#llmir.part<"k", 16, rope 8 of 16>]
// CHECK: llmir.tensor @v : {{.+}} plain [#llmir.part<"v", 16>]
llmir.tensor @q : !llmir.qtensor<64x64, f16> plain [#llmir.part<"q", 64>]
llmir.tensor @qb : !llmir.qtensor<64, f32> plain [#llmir.part<"qb", 64>]
llmir.tensor @qn : !llmir.qtensor<16, f32> plain [#llmir.part<"qn", 16>]
llmir.tensor @k : !llmir.qtensor<16x64, f16> plain [#llmir.part<"k", 16>]
llmir.tensor @v : !llmir.qtensor<16x64, f16> plain [#llmir.part<"v", 16>]
// CHECK-LABEL: @interleaved
func.func @interleaved(%x: tensor<?x64xf32>, %t: tensor<?x8xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  %q = llmir.weight @q : !llmir.qtensor<64x64, f16>
  %qb = llmir.weight @qb : !llmir.qtensor<64, f32>
  %qn = llmir.weight @qn : !llmir.qtensor<16, f32>
  %k = llmir.weight @k : !llmir.qtensor<16x64, f16>
  %v = llmir.weight @v : !llmir.qtensor<16x64, f16>
  %0 = llmir.linear %x, %q bias(%qb : !llmir.qtensor<64, f32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  %1 = llmir.rms_norm %0, %qn epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<16, f32>
  // CHECK: llmir.rope %{{.+}}, %{{.+}} head_dim 16 halves
  %2 = llmir.rope %1, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x8xf32>
  %3 = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, f16> -> tensor<?x16xf32>
  // CHECK: llmir.rope %{{.+}}, %{{.+}} head_dim 16 halves
  %4 = llmir.rope %3, %t head_dim 16 interleaved : tensor<?x16xf32>, tensor<?x8xf32>
  %5 = llmir.linear %x, %v : tensor<?x64xf32>, !llmir.qtensor<16x64, f16> -> tensor<?x16xf32>
  %6 = llmir.append_kv %c, %4, %5, %p : !llmir.paged_kv<1x16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %7 = llmir.paged_attention %2, %6, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %7 : tensor<?x64xf32>
}

// -----

// Halves stay as they are.
// CHECK: llmir.tensor @q : {{.+}} plain [#llmir.part<"q", 64>]
llmir.tensor @q : !llmir.qtensor<64x64, f16> plain [#llmir.part<"q", 64>]
func.func @halves(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>) -> tensor<?x64xf32> {
  %q = llmir.weight @q : !llmir.qtensor<64x64, f16>
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  %1 = llmir.rope %0, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// Something else than a product of queries and keys would see the permutation.
llmir.tensor @q : !llmir.qtensor<64x64, f16> plain [#llmir.part<"q", 64>]
func.func @seen_elsewhere(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>) -> tensor<?x64xf32> {
  %q = llmir.weight @q : !llmir.qtensor<64x64, f16>
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  // expected-error@+1 {{is interleaved, and not only read as query or key of an attention}}
  %1 = llmir.rope %0, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32>
  return %1 : tensor<?x64xf32>
}

// -----

func.func @no_projection(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{is interleaved, and its input is no plain projection}}
  %1 = llmir.rope %x, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32>
  %2 = llmir.paged_attention %1, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %2 : tensor<?x64xf32>
}

// -----

llmir.tensor @q : !llmir.qtensor<64x64, f16> plain [#llmir.part<"q", 64>]
func.func @row_norm(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>, %n: !llmir.qtensor<64, f32>) -> tensor<?x64xf32> {
  %q = llmir.weight @q : !llmir.qtensor<64x64, f16>
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  // expected-error@+1 {{stands before an interleaved rope, and is no norm of its heads}}
  %1 = llmir.rms_norm %0, %n epsilon 1.0e-6 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %2 = llmir.rope %1, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32>
  %3 = llmir.paged_attention %2, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  return %3 : tensor<?x64xf32>
}

// -----

llmir.tensor @q : !llmir.qtensor<64x64, f16> plain [#llmir.part<"q", 64>]
func.func @shared_weight(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %c: !llmir.paged_kv<1x16>, %p: tensor<?xi32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llmir.weight @q : !llmir.qtensor<64x64, f16>
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  // expected-error@+1 {{is interleaved, and a weight before it has other uses}}
  %1 = llmir.rope %0, %t head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32>
  %2 = llmir.paged_attention %1, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16>, tensor<?xi32>
  %3 = llmir.linear %2, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, f16> -> tensor<?x64xf32>
  return %2, %3 : tensor<?x64xf32>, tensor<?x64xf32>
}
