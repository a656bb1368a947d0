//===- GpuOps.td - The llmir_gpu dialect ------------------------------------------------------===//
//
// What kernels need beyond gpu, arith, scf and memref, and what each kind of device says its own way.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_GPU_OPS
#define LLMIR_DIALECT_GPU_OPS

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Gpu_Dialect : Dialect {
  let name = "llmir_gpu";
  let cppNamespace = "::mlir::llmir_gpu";
  let summary = "helpers of GPU kernels that every target lowers its own way";
}

class Gpu_Op<string mnemonic, list<Trait> traits = []> : Op<Gpu_Dialect, mnemonic, traits>;

def Gpu_ParameterOp : Gpu_Op<"parameter", [Pure]> {
  let summary = "a word that the host passes with a dispatch";
  let description = [{
    Word `index` of the LLMIR_GPU_WORD_COUNT parameter words of `llmir_bundle.h`.
    Lowers to: a push constant (Vulkan), a kernel parameter (CUDA, HIP).

    Example:

    ```mlir
    %rows = llmir_gpu.parameter 12
    ```
  }];
  let arguments = (ins I32Attr:$index);
  let results = (outs I32:$result);
  let assemblyFormat = "$index attr-dict";
}

def Gpu_Dot4Op : Gpu_Op<"dot4", [Pure]> {
  let summary = "four products of signed bytes, summed";
  let description = [{
    `acc` plus the products of the four signed bytes of `a` with those of `b`; exact.
    Lowers to: OpSDot (Vulkan), dp4a (CUDA), v_dot4 (HIP).

    Example:

    ```mlir
    %a = llmir_gpu.parameter 0
    %sum = llmir_gpu.dot4 %a, %a, %a
    ```
  }];
  let arguments = (ins I32:$a, I32:$b, I32:$acc);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b `,` $acc attr-dict";
}

#endif // LLMIR_DIALECT_GPU_OPS
