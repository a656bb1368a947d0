//===- VulkanMatrix.h - Cooperative matrices in SPIR-V --------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_VULKANMATRIX_H
#define LLMIR_LIB_GPUKERNELS_VULKANMATRIX_H

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/Transforms/SPIRVConversion.h"

namespace llmir::compiler {

/// Lowerings of the matrix operations of llmir_gpu.
void addMatrixPatterns(const mlir::SPIRVTypeConverter &types, mlir::RewritePatternSet &patterns);

/// What a module with cooperative matrices asks for.
inline constexpr mlir::spirv::Capability matrixCapabilities[] = {
    mlir::spirv::Capability::Int8, mlir::spirv::Capability::CooperativeMatrixKHR,
    mlir::spirv::Capability::VulkanMemoryModel,
    mlir::spirv::Capability::VulkanMemoryModelDeviceScope,
    mlir::spirv::Capability::GroupNonUniform};
inline constexpr mlir::spirv::Extension matrixExtensions[] = {
    mlir::spirv::Extension::SPV_KHR_cooperative_matrix,
    mlir::spirv::Extension::SPV_KHR_vulkan_memory_model};

/// Makes a module that has cooperative matrices one of Vulkan's memory model, which they ask for;
/// any other stays as it is.
void useMatrixModel(mlir::spirv::ModuleOp module);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_VULKANMATRIX_H
