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

def Gpu_MatrixLoadOp : Gpu_Op<"matrix_load"> {
  let summary = "a cooperative matrix from memory of the workgroup";
  let description = [{
    The rows of a matrix, or with `columns` its columns, lie `stride` words apart from word `index`
    on. All threads of the subgroup load it together. With a stride of 0 all rows are the same.
    Lowers to: OpCooperativeMatrixLoadKHR (Vulkan); other targets have no cooperative matrices.

    Example:

    ```mlir
    %scales = memref.alloc() : memref<16xf32>
    %first = arith.constant 0 : index
    %ofRows = llmir_gpu.matrix_load %scales[%first] stride 0 columns
      : memref<16xf32> -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "", [MemRead]>:$memory, Index:$index, I32Attr:$stride,
                       UnitAttr:$columns);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $memory `[` $index `]` `stride` $stride (`columns` $columns^)? attr-dict
      `:` type($memory) `->` type($result)
  }];
}

def Gpu_MatrixStoreOp : Gpu_Op<"matrix_store"> {
  let summary = "a cooperative matrix to memory of the workgroup, one column behind the other";
  let description = [{
    Element (i, j) goes to word `index` + i + j * `stride`.
    Lowers to: OpCooperativeMatrixStoreKHR (Vulkan).

    Example:

    ```mlir
    %memory = memref.alloc() : memref<128xf32>
    %first = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %sums = spirv.CompositeConstruct %zero : (f32) -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
    llmir_gpu.matrix_store %sums, %memory[%first] stride 16
      : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>, memref<128xf32>
    ```
  }];
  let arguments = (ins AnyType:$value, Arg<AnyMemRef, "", [MemWrite]>:$memory, Index:$index,
                       I32Attr:$stride);
  let assemblyFormat = [{
    $value `,` $memory `[` $index `]` `stride` $stride attr-dict `:` type($value) `,` type($memory)
  }];
}

def Gpu_MatrixFmaOp : Gpu_Op<"matrix_fma", [Pure, AllTypesMatch<["a", "b", "c", "result"]>]> {
  let summary = "a * b + c of each element of cooperative matrices, rounded once";
  let description = [{
    Matrices of one type have their elements at the same places, so a thread works on its own.
    Lowers to: a loop over these, because SPIR-V has Fma of numbers alone (Vulkan).

    Example:

    ```mlir
    %one = arith.constant 1.0 : f32
    %ones = spirv.CompositeConstruct %one : (f32) -> !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
    %twos = llmir_gpu.matrix_fma %ones, %ones, %ones : !spirv.coopmatrix<16x8xf32, Subgroup, MatrixAcc>
    ```
  }];
  let arguments = (ins AnyType:$a, AnyType:$b, AnyType:$c);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$a `,` $b `,` $c attr-dict `:` type($result)";
}

#endif // LLMIR_DIALECT_GPU_OPS
