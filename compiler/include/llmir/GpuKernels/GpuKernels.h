//===- GpuKernels.h - The kernels of a plan for GPUs ----------------------===//
//
// Every variant of a program becomes one or a few functions of a gpu.module, written once for all
// kinds of GPU. Lowering to SPIR-V, PTX or HSACO is the business of the files beside this one.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_GPUKERNELS_GPUKERNELS_H
#define LLMIR_GPUKERNELS_GPUKERNELS_H

#include "llmir/CodeGen/CpuCodeGen.h"

#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace llmir::compiler {

/// A device's instruction for products of tiles of bytes.
enum class TensorUnit {
  None,
  Mma,       ///< sm_80 and newer: mma.sync.m16n8k32
  Mfma16,    ///< gfx90a: v_mfma_i32_16x16x16i8
  Mfma32,    ///< gfx942: v_mfma_i32_16x16x32_i8
  Wmma,      ///< gfx11: v_wmma_i32_16x16x16_iu8
  WmmaGfx12, ///< the same of gfx12, whose threads hold other parts
};

/// A product of cooperative matrices: `rows` x `columns` signed bytes times `columns` x `tokens`,
/// by the threads of a subgroup; who holds what is the driver's business.
struct MatrixShape {
  uint32_t rows, tokens, columns, threads;
};

/// What kernels are generated for.
struct GpuTarget {
  bool dot4 = false;        ///< llmir_gpu.dot4 is one instruction
  bool halfFloats = false;  ///< f16 and i16 values
  bool staticSizes = false; ///< buffers are static memrefs: for targets with bare pointers
  bool isSoftware = false;  ///< the device is a program on a processor
  TensorUnit tensorUnit = TensorUnit::None;
  std::optional<MatrixShape> matrix; ///< cooperative matrices, in place of a tensorUnit
  bool tensorByMemory = false;       ///< without the instruction: a processor stands in for the GPU
  uint32_t pageTokens = 0;           ///< of the plan: positions of a KV page
};

/// Tiles of one class of devices: the one table of what kernels are tuned by.
struct GpuTiles {
  uint32_t slices;       ///< parts of the columns that a matrix product sums apart
  uint32_t quadSlices;   ///< the same of integers, where a thread takes four rows; 0: it does not
  uint32_t vectorPanels; ///< output panels of a workgroup
  uint32_t matrixPanels; ///< with many tokens; threads are sixteen times that
  uint32_t matrixTokens; ///< tokens that a thread takes then
  uint32_t matrixMin;    ///< tokens from which that is used
  uint32_t tensorTokens; ///< that a wave takes with the device's instruction for tiles
  uint32_t tensorWaves;  ///< of a workgroup then; each takes an output panel
  uint32_t attentionThreads; ///< of a workgroup for one query head of one token
  uint32_t attentionUnroll;  ///< words of keys that a thread asks for at once
  uint32_t attentionParts;   ///< of a long context that are worked on at once; 0: it is not cut
  uint32_t largestThreads;   ///< of a workgroup for one row of logits; a power of two
  uint32_t largestUnroll;    ///< logits that a thread asks for at once
};

const GpuTiles &gpuTiles(const GpuTarget &target);

/// What the host must know to run the kernels of a program.
struct GpuFunctions {
  std::vector<llmir_gpu_function_t> functions; ///< function i is called f<i>
  std::vector<uint32_t> entries;               ///< per variant: 1 + its first function
  uint32_t largest = 0;                        ///< 1 + the function that finds the largest logits
};

/// Name of a function: "f3".
std::string gpuFunctionName(size_t function);

/// The dialects of kernels, and of what they are lowered to.
void registerGpuDialects(mlir::DialectRegistry &registry);

/// Adds the kernels of `variants` to `module` as one gpu.module; equal variants share functions.
llvm::Expected<GpuFunctions> appendGpuKernels(mlir::ModuleOp module,
                                              llvm::ArrayRef<KernelVariant> variants,
                                              const GpuTarget &target);

} // namespace llmir::compiler

#endif // LLMIR_GPUKERNELS_GPUKERNELS_H
