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

#endif // LLMIR_CONVERSION_PASSES
