// RUN: llmir-opt %s --llmir-choose-weight-layouts | FileCheck %s --check-prefixes=CHECK,KEEP
// RUN: llmir-opt %s --llmir-choose-weight-layouts=policy=q4 | FileCheck %s --check-prefixes=CHECK,Q4
// RUN: llmir-opt %s --llmir-choose-weight-layouts=policy=q8 | FileCheck %s --check-prefixes=CHECK,Q8
// RUN: llmir-opt %s --llmir-choose-weight-layouts=policy=f16 | FileCheck %s --check-prefixes=CHECK,F16
// RUN: llmir-opt %s --llmir-choose-weight-layouts=policy=f32 | FileCheck %s --check-prefixes=CHECK,F32
// RUN: llmir-opt %s --llmir-choose-weight-layouts='policy=q4 group=128' | FileCheck %s --check-prefixes=CHECK,GROUP,Q4G128
// RUN: llmir-opt %s --llmir-choose-weight-layouts='policy=q8 group=256' | FileCheck %s --check-prefixes=CHECK,GROUP,Q8G256
// RUN: not llmir-opt %s --llmir-choose-weight-layouts='policy=q8 group=48' 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not llmir-opt %s --llmir-choose-weight-layouts='group=64' 2>&1 | FileCheck %s --check-prefix=KEPT
// RUN: not llmir-opt %s --llmir-choose-weight-layouts=policy=q3 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: llmir-opt %s --llmir-choose-weight-layouts 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// UNKNOWN: error: unknown weight policy 'q3'; known are keep, q4, q8, f16, f32
// SIZE: error: groups are 32, 64, 128 or 256 columns, found 48
// KEPT: error: groups of 64 columns need the policy q4 or q8, found 'keep'

// CHECK: llmir.tensor @vector : !llmir.qtensor<64, f32>
llmir.tensor @vector : !llmir.qtensor<64, f16> plain [#llmir.part<"vector", 64>]
// CHECK: llmir.tensor @constant : !llmir.qtensor<2, f32> constant
llmir.tensor @constant : !llmir.qtensor<2, f32> constant = dense<1.0> : tensor<2xf32>

// KEEP: @q4_0 : !llmir.qtensor<96x64, panel_s4, 32>
// Q4: @q4_0 : !llmir.qtensor<96x64, panel_s4, 32>
// Q8: @q4_0 : !llmir.qtensor<96x64, panel_s8, 32>
// Q4G128: @q4_0 : !llmir.qtensor<96x64, panel_s4, 64>
// Q8G256: @q4_0 : !llmir.qtensor<96x64, panel_s8, 64>
// F16: @q4_0 : !llmir.qtensor<96x64, panel_f16>
// F32: @q4_0 : !llmir.qtensor<96x64, panel_f32>
llmir.tensor @q4_0 : !llmir.qtensor<96x64, q4_0> plain [#llmir.part<"q4_0", 96>]
// KEEP: @q4_1 : !llmir.qtensor<96x64, panel_u4, 32>
// Q4: @q4_1 : !llmir.qtensor<96x64, panel_u4, 32>
llmir.tensor @q4_1 : !llmir.qtensor<96x64, q4_1> plain [#llmir.part<"q4_1", 96>]
// KEEP: @q4_k : !llmir.qtensor<96x256, panel_u4, 32>
// Q4: @q4_k : !llmir.qtensor<96x256, panel_u4, 32>
// Q4G128: @q4_k : !llmir.qtensor<96x256, panel_u4, 128>
// Q8G256: @q4_k : !llmir.qtensor<96x256, panel_s8, 256>
llmir.tensor @q4_k : !llmir.qtensor<96x256, q4_k> plain [#llmir.part<"q4_k", 96>]
// KEEP: @q8_0 : !llmir.qtensor<96x64, panel_s8, 32>
// Q4: @q8_0 : !llmir.qtensor<96x64, panel_u4, 32>
llmir.tensor @q8_0 : !llmir.qtensor<96x64, q8_0> plain [#llmir.part<"q8_0", 96>]
// The largest group that divides the columns.
// Q4G128: @three : !llmir.qtensor<96x96, panel_u4, 32>
// Q8G256: @three : !llmir.qtensor<96x96, panel_s8, 32>
// Q4G128: @nine : !llmir.qtensor<96x576, panel_u4, 64>
// Q8G256: @nine : !llmir.qtensor<96x576, panel_s8, 64>
// Q4G128: @twelve : !llmir.qtensor<96x384, panel_u4, 128>
// Q8G256: @twelve : !llmir.qtensor<96x384, panel_s8, 128>
llmir.tensor @three : !llmir.qtensor<96x96, q8_0> plain [#llmir.part<"three", 96>]
llmir.tensor @nine : !llmir.qtensor<96x576, q8_0> plain [#llmir.part<"nine", 96>]
llmir.tensor @twelve : !llmir.qtensor<96x384, q8_0> plain [#llmir.part<"twelve", 96>]
// KEEP: @q6_k : !llmir.qtensor<96x256, panel_s8, 32>
// KEEP: @q5_0 : !llmir.qtensor<96x64, panel_s8, 32>
// KEEP: @q2_k : !llmir.qtensor<96x256, panel_s8, 32>
llmir.tensor @q6_k : !llmir.qtensor<96x256, q6_k> plain [#llmir.part<"q6_k", 96>]
llmir.tensor @q5_0 : !llmir.qtensor<96x64, q5_0> plain [#llmir.part<"q5_0", 96>]
llmir.tensor @q2_k : !llmir.qtensor<96x256, q2_k> plain [#llmir.part<"q2_k", 96>]
// KEEP: @f16 : !llmir.qtensor<96x64, panel_f16>
// KEEP: @bf16 : !llmir.qtensor<96x64, panel_bf16>
// KEEP: @f32 : !llmir.qtensor<96x64, panel_f32>
// Q4: @f16 : !llmir.qtensor<96x64, panel_u4, 32>
// Q4: @bf16 : !llmir.qtensor<96x64, panel_u4, 32>
// Q4: @f32 : !llmir.qtensor<96x64, panel_u4, 32>
llmir.tensor @f16 : !llmir.qtensor<96x64, f16> plain [#llmir.part<"f16", 96>]
llmir.tensor @bf16 : !llmir.qtensor<96x64, bf16> plain [#llmir.part<"bf16", 96>]
llmir.tensor @f32 : !llmir.qtensor<96x64, f32> plain [#llmir.part<"f32", 96>]
// No groups fit into 50 columns.
// KEEP: @narrow : !llmir.qtensor<96x50, panel_f16>
// Q4: @narrow : !llmir.qtensor<96x50, panel_f16>
// GROUP: @narrow : !llmir.qtensor<96x50, panel_f16>
// REMARK: remark: 'narrow': 50 columns are no multiple of 32, packed as panel_f16
// F32: @narrow : !llmir.qtensor<96x50, panel_f32>
llmir.tensor @narrow : !llmir.qtensor<96x50, q8_0> plain [#llmir.part<"narrow", 96>]
// The output matrix keeps 8 bits.
// Q4: @output : !llmir.qtensor<96x64, panel_s8, 32>
// GROUP: @output : !llmir.qtensor<96x64, panel_s8, 64>
llmir.tensor @output : !llmir.qtensor<96x64, f16> plain [#llmir.part<"output", 96>]

// CHECK-LABEL: @uses
func.func @uses(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
  // KEEP: llmir.weight @output : <96x64, panel_f16>
  // Q8: llmir.weight @output : <96x64, panel_s8, 32>
  %w = llmir.weight @output : !llmir.qtensor<96x64, f16>
  // Q8: llmir.logits %{{.+}}, %output : tensor<?x64xf32>, <96x64, panel_s8, 32> -> tensor<?x96xf32>
  %0 = llmir.logits %x, %w : tensor<?x64xf32>, !llmir.qtensor<96x64, f16> -> tensor<?x96xf32>
  return %0 : tensor<?x96xf32>
}
