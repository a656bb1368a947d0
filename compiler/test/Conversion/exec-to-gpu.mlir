// RUN: llmir-opt %s --llmir-exec-to-gpu | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: llmir-opt %s --llmir-exec-to-gpu=dot4=true | FileCheck %s --check-prefixes=CHECK,DOT4
// RUN: llmir-opt %s --llmir-exec-to-gpu=software=true | FileCheck %s --check-prefix=SOFTWARE
// RUN: llmir-opt %s --llmir-exec-to-gpu="dot4=true halves=true" --llmir-gpu-to-spirv="dot4=true halves=true" | FileCheck %s --check-prefix=SPIRV
// RUN: llmir-opt %s --llmir-exec-to-gpu --llmir-gpu-to-spirv | FileCheck %s --check-prefix=BASE

// Equal variants share functions; a matrix product has one for few and one for many tokens; nothing of the program stays.

// CHECK-NOT: llmir_exec
// CHECK: gpu.module @kernels
// The gate: in and out, no batch.
// CHECK: gpu.func @f0(%{{.+}}: memref<?xi32, #gpu.address_space<global>>, %{{.+}}: memref<?xi32, #gpu.address_space<global>>) kernel attributes {known_block_size = array<i32: 64, 1, 1>, llmir_gpu.bindings = array<i32: 0, 1>}
// CHECK: llmir_gpu.parameter 0
// CHECK: llmir_gpu.parameter 6
// The product, one token: slices have threads of their own, and meet in shared memory behind a barrier.
// CHECK: gpu.func @f1({{.*}}known_block_size = array<i32: 128, 1, 1>, llmir_gpu.bindings = array<i32: 0, 1, 3>
// PLAIN-NOT: llmir_gpu.dot4
// DOT4: llmir_gpu.dot4
// CHECK: gpu.barrier
// Many tokens: a thread takes one slice after the other.
// CHECK: gpu.func @f2({{.*}}known_block_size = array<i32: 64, 1, 1>, llmir_gpu.bindings = array<i32: 0, 1, 3>
// CHECK-NOT: gpu.barrier
// CHECK: gpu.func @f3(
// CHECK: gpu.barrier
// The largest logit, which belongs to no variant.
// CHECK: gpu.func @f4(
// CHECK-NOT: gpu.func @f5(

// In software a thread takes a whole row, one token, then four.
// SOFTWARE: gpu.func @f1({{.*}}known_block_size = array<i32: 64, 1, 1>, llmir_gpu.bindings = array<i32: 0, 1, 3>
// SOFTWARE-NOT: gpu.barrier
// SOFTWARE: gpu.func @f3(

// SPIRV: spirv.module @{{.+}} Logical GLSL450 requires #spirv.vce<v1.0, [{{.*}}DotProduct{{.*}}]
// SPIRV: @f1_arg_2 bind(0, 3)
// SPIRV: spirv.SDot
// SPIRV: spirv.EntryPoint "GLCompute" @f0
// SPIRV: spirv.ExecutionMode @f0 "LocalSize", 64, 1, 1

// Vulkan 1.1 without any feature.
// BASE: spirv.module @{{.+}} Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]>
// BASE-NOT: spirv.SDot
// BASE: spirv.EntryPoint "GLCompute" @f3
llmir.tensor @w : !llmir.qtensor<96x64, panel_s4, 32> plain [#llmir.part<"w", 96>]
llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %w = llmir.weight @w : !llmir.qtensor<96x64, panel_s4, 32>
  %in = llmir_exec.buffer "in" : !llmir_exec.buffer<tokens, f32, 128>
  %q = llmir_exec.buffer "q" : !llmir_exec.buffer<outputs, q8, 64, 32>
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<outputs, f32, 64>
  %out = llmir_exec.buffer "out" : !llmir_exec.buffer<outputs, f32, 96>
  %0 = llmir_exec.variant gate {dim = 64 : i32, gate = "silu"}
  %1 = llmir_exec.variant linear {rows = 96 : i32, columns = 64 : i32, layout = "panel_s4", group = 32 : i32, extent = "outputs", out_stride = 96 : i32}
  %2 = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32, extent = "outputs"}
  %3 = llmir_exec.variant gate {dim = 64 : i32, gate = "silu"}
  llmir_exec.dispatch %0(%in, %x) : !llmir_exec.buffer<tokens, f32, 128>, !llmir_exec.buffer<tokens, f32, 64>
  llmir_exec.dispatch %3(%in, %x) : !llmir_exec.buffer<tokens, f32, 128>, !llmir_exec.buffer<tokens, f32, 64>
  llmir_exec.dispatch %2(%y, %q) : !llmir_exec.buffer<outputs, f32, 64>, !llmir_exec.buffer<outputs, q8, 64, 32>
  llmir_exec.dispatch %1(%q, %w, _, %out) : !llmir_exec.buffer<outputs, q8, 64, 32>, !llmir.qtensor<96x64, panel_s4, 32>, !llmir_exec.buffer<outputs, f32, 96>
  llmir_exec.return %out : !llmir_exec.buffer<outputs, f32, 96>
}
