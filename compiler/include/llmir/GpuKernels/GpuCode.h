//===- GpuCode.h - Code sections for GPUs ---------------------------------===//
//
// Devices that run one code are a level. The table of levels says what kernels are generated for
// them, and what they are called.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_GPUKERNELS_GPUCODE_H
#define LLMIR_GPUKERNELS_GPUCODE_H

#include "llmir/GpuKernels/GpuKernels.h"

namespace llmir::compiler {

struct GpuLevel {
  uint32_t target; ///< llmir_section_target_t
  /// llmir_vulkan_level_t, 10 * major + minor, LLMIR_GPU_LEVEL_CUBIN, LLMIR_GPU_LEVEL_HIP
  uint32_t level;
  const char *targetName;             ///< "cuda"
  const char *name;                   ///< "sm_80": --target cuda:sm_80
  GpuTarget kernels;                  ///< what is generated; its pageTokens are the program's
  const char *assembledFor = nullptr; ///< "sm_90": PTX goes through ptxas; null: it does not
  bool onlyByName = false;            ///< --target with the target's name alone leaves it out

  std::string fullName() const { return std::string(targetName) + "-" + name; }
};

/// All of them, in the order that their sections have in a bundle.
llvm::ArrayRef<GpuLevel> gpuLevels();

/// Null if there is no such level.
const GpuLevel *findGpuLevel(uint32_t target, uint32_t level);

/// NVIDIA's assembler: the file `named`, or in PATH, $CUDA_HOME or where it is usually installed.
llvm::Expected<std::string> findPtxas(llvm::StringRef named);

struct GpuCodeOptions {
  /// Hash of the PLAN section that the code belongs to.
  std::array<uint8_t, LLMIR_BUNDLE_HASH_BYTES> planHash{};
  uint32_t pageTokens = 0;
  std::string ptxas; ///< for levels that are assembled; empty: it is looked for
};

/// A CODE section for one level.
struct GpuCode {
  const GpuLevel *level = nullptr;
  std::vector<uint8_t> binary;  ///< SPIR-V, PTX with its terminating zero, cubin, HSACO
  std::vector<uint8_t> section; ///< llmir_code_record_t, entries, an llmir_gpu_image_t
  uint32_t functions = 0;
  double seconds = 0;
};

llvm::Expected<GpuCode> compileGpuCode(llvm::ArrayRef<KernelVariant> variants,
                                       const GpuCodeOptions &options, const GpuLevel &level);

/// What a processor executes in place of a level's kernels: of the same functions, for all levels
/// but that of Vulkan's software devices.
GpuTarget standInTarget(const GpuLevel &level, uint32_t pageTokens);

/// Replaces the kernels of `module` by a spirv.module for SPIR-V 1.3.
llvm::Error lowerToSpirv(mlir::ModuleOp module, const GpuTarget &target);

} // namespace llmir::compiler

#endif // LLMIR_GPUKERNELS_GPUCODE_H
