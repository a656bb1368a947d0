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

/// What kernels are generated for.
struct GpuTarget {
  bool dot4 = false;        ///< llmir_gpu.dot4 is one instruction
  bool halfFloats = false;  ///< f16 and i16 values
  bool staticSizes = false; ///< buffers are static memrefs: for targets with bare pointers
  bool isSoftware = false;  ///< the device is a program on a processor
  TensorUnit tensorUnit = TensorUnit::None;
  bool tensorByMemory = false; ///< without the instruction: a processor stands in for the GPU
  uint32_t pageTokens = 0; ///< of the plan: positions of a KV page
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

struct GpuCodeOptions {
  /// Hash of the PLAN section that the code belongs to.
  std::array<uint8_t, LLMIR_BUNDLE_HASH_BYTES> planHash{};
  uint32_t pageTokens = 0;
};

/// A CODE section for one kind of GPU.
struct GpuCode {
  uint32_t target = 0;          ///< llmir_section_target_t
  uint32_t level = 0;           ///< llmir_vulkan_level_t, 10 * major + minor, LLMIR_GPU_LEVEL_HIP
  std::vector<uint8_t> binary;  ///< SPIR-V, PTX or HSACO
  std::vector<uint8_t> section; ///< llmir_code_record_t, entries, image
  uint32_t functions = 0;
  double seconds = 0;
};

/// Replaces the kernels of `module` by a spirv.module for SPIR-V 1.3.
llvm::Error lowerToSpirv(mlir::ModuleOp module, const GpuTarget &target);

/// What kernels with addresses as parameters are generated for: CUDA and HIP.
GpuTarget bareTarget(uint32_t pageTokens);

/// The instruction for tiles of the devices that run a code: GpuCode's target and level.
TensorUnit tensorUnitOf(uint32_t target, uint32_t level);

/// Lowers the kernels of `module` in place and returns them as PTX for sm_75 or sm_80.
llvm::Expected<std::string> lowerToPtx(mlir::ModuleOp module, uint32_t level);

/// PTX, which the driver compiles for the device: one without and one with tensor cores.
llvm::Expected<std::vector<GpuCode>> compileCudaCode(llvm::ArrayRef<KernelVariant> variants,
                                                     const GpuCodeOptions &options);

/// The target of a stand-in for the kernels of a code for a GPU.
GpuTarget standInTarget(const GpuCode &code, uint32_t pageTokens);

/// The code object of one of AMD's chips: 0x90a is gfx90a.
llvm::Expected<GpuCode> compileHipChip(llvm::ArrayRef<KernelVariant> variants,
                                       const GpuCodeOptions &options, uint32_t chip);

/// Code objects of the chips that llmirc knows.
llvm::Expected<std::vector<GpuCode>> compileHipCode(llvm::ArrayRef<KernelVariant> variants,
                                                    const GpuCodeOptions &options);

/// llmir_code_record_t, the entries, and an llmir_gpu_image_t with functions and binary.
std::vector<uint8_t> makeGpuSection(const GpuFunctions &functions, llvm::ArrayRef<uint8_t> binary,
                                    const GpuCodeOptions &options);

/// SPIR-V of every Vulkan level.
llvm::Expected<std::vector<GpuCode>> compileVulkanCode(llvm::ArrayRef<KernelVariant> variants,
                                                       const GpuCodeOptions &options);

} // namespace llmir::compiler

#endif // LLMIR_GPUKERNELS_GPUKERNELS_H
