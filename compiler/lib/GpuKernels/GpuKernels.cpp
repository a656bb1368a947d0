//===- GpuKernels.cpp - The kernels of a plan for GPUs --------------------===//
#include "llmir/GpuKernels/GpuKernels.h"
#include "Kernels.h"
#include "llmir/CodeGen/VariantModule.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/IR/Verifier.h"

#include <cstring>

using namespace llvm;

namespace llmir::compiler {

const GpuTiles &gpuTiles(const GpuTarget &target) {
  // A software device runs a workgroup on one core, so it wants work for each thread; a parallel
  // one wants threads, and few tokens leave it too few without slices.
  static const GpuTiles software = {
      /*slices=*/1,          /*quadSlices=*/0,     /*vectorPanels=*/4,
      /*matrixPanels=*/4,    /*matrixTokens=*/4,   /*matrixMin=*/2,
      /*tensorTokens=*/8,    /*tensorWaves=*/1,    /*attentionThreads=*/32,
      /*attentionUnroll=*/1, /*attentionParts=*/0, /*largestThreads=*/32,
      /*largestUnroll=*/1};
  static const GpuTiles parallel = {/*slices=*/8,
                                    /*quadSlices=*/32,
                                    /*vectorPanels=*/1,
                                    /*matrixPanels=*/4,
                                    /*matrixTokens=*/8,
                                    /*matrixMin=*/5,
                                    /*tensorTokens=*/32,
                                    /*tensorWaves=*/4,
                                    /*attentionThreads=*/128,
                                    /*attentionUnroll=*/16,
                                    /*attentionParts=*/LLMIR_GPU_PARTS,
                                    /*largestThreads=*/128,
                                    /*largestUnroll=*/16};
  return target.isSoftware ? software : parallel;
}

std::string gpuFunctionName(size_t function) { return "f" + std::to_string(function); }

void registerGpuDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect, mlir::gpu::GPUDialect,
                  mlir::LLVM::LLVMDialect, mlir::llmir_gpu::GpuDialect, mlir::math::MathDialect,
                  mlir::memref::MemRefDialect, mlir::scf::SCFDialect, mlir::spirv::SPIRVDialect>();
}

llmir_gpu_function_t rowFunction(uint32_t threads, uint32_t gridX) {
  llmir_gpu_function_t function = {};
  function.threads = threads;
  function.grid_x = gridX;
  function.rows = 1;
  function.rows_min = 1;
  function.kv_type = LLMIR_GPU_ANY;
  return function;
}

size_t VariantFunctions::begin(const llmir_gpu_function_t &function, ArrayRef<uint32_t> bindings) {
  if (last != SIZE_MAX)
    functions[last].next = static_cast<uint32_t>(functions.size()) + 1;
  last = beginApart(function, bindings);
  return last;
}

size_t VariantFunctions::beginApart(const llmir_gpu_function_t &function,
                                    ArrayRef<uint32_t> bindings) {
  kernel.begin(gpuFunctionName(functions.size()), function.threads, bindings);
  functions.push_back(function);
  return functions.size() - 1;
}

namespace {

template <typename Params> Params paramsOf(const KernelVariant &variant) {
  Params params;
  std::memcpy(&params, variant.params.data(), sizeof params);
  return params;
}

void buildVariant(VariantFunctions &out, const KernelVariant &variant) {
  switch (variant.kernel) {
  case LLMIR_KERNEL_EMBED:
    return buildEmbed(out, paramsOf<llmir_embed_params_t>(variant));
  case LLMIR_KERNEL_ROPE_TABLE:
    return buildRopeTable(out, paramsOf<llmir_rope_table_params_t>(variant));
  case LLMIR_KERNEL_NORM:
    return buildNorm(out, paramsOf<llmir_norm_params_t>(variant));
  case LLMIR_KERNEL_QUANTIZE:
    return buildQuantize(out, paramsOf<llmir_quantize_params_t>(variant));
  case LLMIR_KERNEL_LINEAR:
    return buildLinear(out, paramsOf<llmir_linear_params_t>(variant));
  case LLMIR_KERNEL_QKV:
    return buildQkv(out, paramsOf<llmir_qkv_params_t>(variant));
  case LLMIR_KERNEL_ATTENTION:
    return buildAttention(out, paramsOf<llmir_attention_params_t>(variant));
  case LLMIR_KERNEL_GATE:
    return buildGate(out, paramsOf<llmir_gate_params_t>(variant));
  default:
    llvm_unreachable("checkVariants refuses unknown kernels");
  }
}

} // namespace

Expected<GpuFunctions> appendGpuKernels(mlir::ModuleOp module, ArrayRef<KernelVariant> variants,
                                        const GpuTarget &target) {
  if (Error error = checkVariants(variants))
    return error;
  module->setAttr(mlir::gpu::GPUDialect::getContainerModuleAttrName(),
                  mlir::UnitAttr::get(module.getContext()));
  auto builder = mlir::OpBuilder::atBlockEnd(module.getBody());
  auto kernels = builder.create<mlir::gpu::GPUModuleOp>(module.getLoc(), "kernels");
  KernelBuilder kernel(kernels, target);

  GpuFunctions result;
  const DistinctVariants distinct = findDistinct(variants);
  std::vector<uint32_t> firsts;
  for (size_t variant : distinct.representatives) {
    firsts.push_back(static_cast<uint32_t>(result.functions.size()) + 1);
    VariantFunctions out(kernel, result.functions);
    buildVariant(out, variants[variant]);
  }
  VariantFunctions out(kernel, result.functions);
  buildLargest(out);
  result.largest = static_cast<uint32_t>(result.functions.size());
  for (size_t function : distinct.functionOf)
    result.entries.push_back(firsts[function]);
  if (mlir::failed(mlir::verify(module)))
    return createStringError(inconvertibleErrorCode(), "GPU kernels: invalid module");
  return result;
}

} // namespace llmir::compiler
