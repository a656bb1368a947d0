//===- Passes.td - Lowering out of our dialects -------------------------------------------------===//
#ifndef LLMIR_CONVERSION_PASSES
#define LLMIR_CONVERSION_PASSES

include "mlir/Pass/PassBase.td"

def ExecToLLVMPass : Pass<"llmir-exec-to-llvm", "::mlir::ModuleOp"> {
  let summary = "lower the variants of a program to functions that call CPU kernels";
  let description = [{
    Replaces the module's program, and the tensors that it names, by one LLVM-dialect function per distinct variant.
    The function calls the kernel of `level` with its parameters as a constant, so that inlining the kernel's
    bitcode folds every shape. Dispatches need no code: the runtime walks them.

    ```
    llmir_exec.program @forward ... { %0 = llmir_exec.variant gate {dim = 1536 : i32, gate = "silu"} ... }
      ==>
    llvm.func @llmir_kernel_gate_x86_64_v3(!llvm.ptr, !llvm.ptr, i32, i32)
    llvm.mlir.global internal constant @params_0("\00\06...")
    llvm.func hidden @variant_0(%call: !llvm.ptr, %params: !llvm.ptr, %begin: i32, %end: i32) {
      %0 = llvm.mlir.addressof @params_0
      llvm.call @llmir_kernel_gate_x86_64_v3(%call, %0, %begin, %end)
      llvm.return
    }
    ```
  }];
  let options = [Option<"level", "level", "std::string", "\"v3\"", "v2, v3 or v4-vnni">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def ExecToGpuPass : Pass<"llmir-exec-to-gpu", "::mlir::ModuleOp"> {
  let summary = "build the GPU kernels of a program's variants";
  let description = [{
    Replaces the module's program, and the tensors that it names, by a gpu.module with the functions of each distinct
    variant. How the host chooses among them is not part of the module: see `llmir_gpu_function_t`.

    ```
    llmir_exec.program @forward ... { %0 = llmir_exec.variant gate {dim = 1536 : i32, gate = "silu"} ... }
      ==>
    gpu.module @kernels {
      gpu.func @f0(%in: memref<?xi32, ...>, %out: memref<?xi32, ...>) kernel { ... }
    }
    ```
  }];
  let options = [Option<"dot4", "dot4", "bool", "false", "the device has packed integer dot products">,
                 Option<"halves", "halves", "bool", "false", "the device has 16-bit floats and integers">,
                 Option<"software", "software", "bool", "false", "the device is a program on a processor">];
  let dependentDialects = ["::mlir::gpu::GPUDialect", "::mlir::llmir_gpu::GpuDialect"];
}

def GpuToSpirvPass : Pass<"llmir-gpu-to-spirv", "::mlir::ModuleOp"> {
  let summary = "lower GPU kernels to SPIR-V 1.3 for Vulkan";
  let description = [{
    Binding i of a kernel becomes descriptor set 0, binding i; parameter words become push constants.

    ```
    gpu.func @f0(%in: memref<?xi32, ...>) kernel { %0 = llmir_gpu.parameter 12 ... }
      ==>
    spirv.module Logical GLSL450 requires #spirv.vce<v1.3, ...> {
      spirv.EntryPoint "GLCompute" @f0, ...
    }
    ```
  }];
  let options = [Option<"dot4", "dot4", "bool", "false", "as of llmir-exec-to-gpu">,
                 Option<"halves", "halves", "bool", "false", "as of llmir-exec-to-gpu">];
  let dependentDialects = ["::mlir::spirv::SPIRVDialect"];
}

#endif // LLMIR_CONVERSION_PASSES
