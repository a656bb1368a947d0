// RUN: llmir-opt %s --llmir-exec-to-llvm=level=v3 | FileCheck %s --check-prefixes=CHECK,V3
// RUN: llmir-opt %s --llmir-exec-to-llvm=level=v4-vnni | FileCheck %s --check-prefixes=CHECK,V4
// RUN: not llmir-opt %s --llmir-exec-to-llvm=level=v9 2>&1 | FileCheck %s --check-prefix=LEVEL

// Equal variants share a function, kernels are declared once, parameters become the bytes of their struct
// (576 = 0x240, 512 = 0x200, panel_f16 = 4), and nothing of the program stays.

// LEVEL: error: unknown level 'v9'

// CHECK-NOT: llmir
// V3: llvm.func @llmir_kernel_embed_x86_64_v3(!llvm.ptr, !llvm.ptr, i32, i32)
// V4: llvm.func @llmir_kernel_embed_x86_64_v4_vnni(!llvm.ptr, !llvm.ptr, i32, i32)
// CHECK: llvm.mlir.global internal constant @params_0("@\02\00\00\00\02\00\00\04\00\00\00\00\00\00\00\00\00\80?\00\00\00\00") {addr_space = 0 : i32, alignment = 8 : i64}
// CHECK: llvm.func hidden @variant_0(%[[CALL:.+]]: !llvm.ptr, %{{.+}}: !llvm.ptr, %[[BEGIN:.+]]: i32, %[[END:.+]]: i32)
// CHECK:   %[[PARAMS:.+]] = llvm.mlir.addressof @params_0
// CHECK:   llvm.call @llmir_kernel_embed_{{.+}}(%[[CALL]], %[[PARAMS]], %[[BEGIN]], %[[END]])
// CHECK:   llvm.return
// CHECK: @variant_1
// CHECK: @variant_2
// CHECK-NOT: @variant_3
llmir.tensor @norm : !llmir.qtensor<576, f32> plain [#llmir.part<"output_norm.weight", 576>]
llmir.tensor @table : !llmir.qtensor<512x576, panel_f16> plain [#llmir.part<"token_embd.weight", 512>]
llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %table = llmir.weight @table : !llmir.qtensor<512x576, panel_f16>
  %norm = llmir.weight @norm : !llmir.qtensor<576, f32>
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 576>
  %h = llmir_exec.buffer "h" : !llmir_exec.buffer<outputs, f32, 576>
  %logits = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
  %0 = llmir_exec.variant embed {dim = 576 : i32, vocab = 512 : i32, layout = "panel_f16", scale = 1.0 : f32}
  %1 = llmir_exec.variant norm {dim = 576 : i32, epsilon = 1.0e-5 : f32, gather = 1 : i32}
  %2 = llmir_exec.variant linear {rows = 512 : i32, columns = 576 : i32, layout = "panel_f16", extent = "outputs", out_stride = 512 : i32}
  %3 = llmir_exec.variant embed {dim = 576 : i32, vocab = 512 : i32, layout = "panel_f16", scale = 1.0 : f32}
  llmir_exec.dispatch %0(%table, %x) : !llmir.qtensor<512x576, panel_f16>, !llmir_exec.buffer<tokens, f32, 576>
  llmir_exec.dispatch %3(%table, %x) : !llmir.qtensor<512x576, panel_f16>, !llmir_exec.buffer<tokens, f32, 576>
  llmir_exec.dispatch %1(%x, _, _, %norm, %h) : !llmir_exec.buffer<tokens, f32, 576>, !llmir.qtensor<576, f32>, !llmir_exec.buffer<outputs, f32, 576>
  llmir_exec.dispatch %2(%h, %table, _, %logits) : !llmir_exec.buffer<outputs, f32, 576>, !llmir.qtensor<512x576, panel_f16>, !llmir_exec.buffer<outputs, f32, 512>
  llmir_exec.return %logits : !llmir_exec.buffer<outputs, f32, 512>
}
