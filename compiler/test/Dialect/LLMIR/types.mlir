// RUN: llmir-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: @weights
// CHECK-SAME: !llmir.qtensor<576, f32>
// CHECK-SAME: !llmir.qtensor<960x576, q4_1>
// CHECK-SAME: !llmir.qtensor<960x576, panel_u4, 32>
// CHECK-SAME: !llmir.qtensor<8x1536x640, panel_s8, 128>
// CHECK-SAME: !llmir.qtensor<960x575, panel_bf16>
func.func private @weights(!llmir.qtensor<576, f32>, !llmir.qtensor<960x576, q4_1>, !llmir.qtensor<960x576, panel_u4, 32>, !llmir.qtensor<8x1536x640, panel_s8, 128>, !llmir.qtensor<960x575, panel_bf16>)

// CHECK-LABEL: @activations
// CHECK-SAME: !llmir.q8_rows<576, 64>
func.func private @activations(!llmir.q8_rows<576, 64>)

// The keys of a cache may come in any order and are printed in one.
// CHECK-LABEL: @caches
// CHECK-SAME: !llmir.paged_kv<3x64>
// CHECK-SAME: !llmir.paged_kv<1x256, page = 16, window = 512, storage = f16>
// CHECK-SAME: !llmir.paged_kv<1x256, window = 512, storage = f32>
func.func private @caches(!llmir.paged_kv<3x64, storage = any>, !llmir.paged_kv<1x256, storage = f16, window = 512, page = 16>, !llmir.paged_kv<1x256, window = 512, storage = f32>)

// CHECK-LABEL: @buffers
// CHECK-SAME: !llmir_exec.buffer<tokens, f32, 576>
// CHECK-SAME: !llmir_exec.buffer<outputs, q8, 576, 32>
// CHECK-SAME: !llmir_exec.variant
func.func private @buffers(!llmir_exec.buffer<tokens, f32, 576>, !llmir_exec.buffer<outputs, q8, 576, 32>, !llmir_exec.variant)

// CHECK: #llmir.part<"a \22b\22", 576>
// CHECK-SAME: #llmir.part<"c", 576, rope 32 of 64>
llmir.tensor @parts : !llmir.qtensor<1152, f32> concat_rows [#llmir.part<"a \22b\22", 576>, #llmir.part<"c", 576, rope 32 of 64>]
