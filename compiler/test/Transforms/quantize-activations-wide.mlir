// RUN: llmir-opt %s --llmir-quantize-activations --split-input-file | FileCheck %s --check-prefixes=CHECK,MIXED
// RUN: llmir-opt %s --llmir-quantize-activations=activations=int16 --split-input-file | FileCheck %s --check-prefixes=CHECK,INT16
// RUN: not llmir-opt %s --llmir-quantize-activations=activations=int12 2>&1 | FileCheck %s --check-prefix=INVALID

// INVALID: activations are int8, int16 or mixed, found 'int12'

// Only the last sixth of the gated products is wide, and at least one; the products behind gates all are.
// CHECK-LABEL: @feed_forward
func.func @feed_forward(%x: tensor<?x64xf32>, %gu: !llmir.qtensor<128x64, panel_u4, 32>, %d: !llmir.qtensor<64x64, panel_u4, 32>)
    -> tensor<?x64xf32> {
  // MIXED: llmir.quantize %{{.+}} -> <64, 32>{{$}}
  // INT16: llmir.quantize %{{.+}} -> <64, 32, wide>
  %0 = llmir.linear %x, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  // CHECK: llmir.quantize %{{.+}} -> <64, 32, wide>
  %1 = llmir.linear %0, %d : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  // CHECK: llmir.quantize %{{.+}} -> <64, 32, wide>
  %2 = llmir.linear %1, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: @queries_and_logits
func.func @queries_and_logits(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %q: !llmir.qtensor<64x64, panel_u4, 32>, %o: !llmir.qtensor<32x64, panel_s8, 32>)
    -> (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // The same value, once wide and (mixed) once not.
  // MIXED-DAG: llmir.quantize %[[X:.+]] : tensor<?x64xf32> -> <64, 32, wide>
  // MIXED-DAG: llmir.quantize %[[X]] : tensor<?x64xf32> -> <64, 32>{{$}}
  // INT16: llmir.quantize %{{.+}} -> <64, 32, wide>
  // INT16-NOT: llmir.quantize
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %1 = llmir.rope %0, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %2 = llmir.logits %x, %o : tensor<?x64xf32>, !llmir.qtensor<32x64, panel_s8, 32> -> tensor<?x32xf32>
  %3 = llmir.linear %x, %o : tensor<?x64xf32>, !llmir.qtensor<32x64, panel_s8, 32> -> tensor<?x32xf32>
  return %1, %2, %3 : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// A norm behind a product: then all are wide.
// CHECK-LABEL: @normed
func.func @normed(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %gu: !llmir.qtensor<128x64, panel_u4, 32>, %d: !llmir.qtensor<64x64, panel_u4, 32>)
    -> tensor<?x64xf32> {
  // CHECK-NOT: llmir.quantize {{.+}} -> <64, 32>{{$}}
  // CHECK: llmir.quantize %{{.+}} -> <64, 32, wide>
  %0 = llmir.linear %x, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  %1 = llmir.linear %0, %d : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %2 = llmir.rms_norm %1, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %3 = llmir.linear %2, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// A norm behind a residual sum, as in every model: that changes nothing.
// CHECK-LABEL: @normed_sum
func.func @normed_sum(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %gu: !llmir.qtensor<128x64, panel_u4, 32>, %d: !llmir.qtensor<64x64, panel_u4, 32>)
    -> tensor<?x64xf32> {
  // MIXED: llmir.quantize %{{.+}} -> <64, 32>{{$}}
  // INT16: llmir.quantize %{{.+}} -> <64, 32, wide>
  %0 = llmir.linear %x, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  %1 = llmir.linear %0, %d add(%x : tensor<?x64xf32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %2 = llmir.rms_norm %1, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %3 = llmir.linear %2, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// Norms of heads, as in Qwen3, lie behind products that are wide anyway.
// CHECK-LABEL: @normed_heads
func.func @normed_heads(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>, %w: !llmir.qtensor<16, f32>, %q: !llmir.qtensor<64x64, panel_u4, 32>, %gu: !llmir.qtensor<128x64, panel_u4, 32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK-DAG: llmir.quantize %[[X:.+]] : tensor<?x64xf32> -> <64, 32, wide>
  %0 = llmir.linear %x, %q : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  %1 = llmir.rms_norm %0, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<16, f32>
  %2 = llmir.rope %1, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  // MIXED-DAG: llmir.quantize %[[X]] : tensor<?x64xf32> -> <64, 32>{{$}}
  %3 = llmir.linear %x, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  %4 = llmir.linear %2, %gu gate silu : tensor<?x64xf32>, !llmir.qtensor<128x64, panel_u4, 32> -> tensor<?x64xf32>
  return %3, %4 : tensor<?x64xf32>, tensor<?x64xf32>
}
