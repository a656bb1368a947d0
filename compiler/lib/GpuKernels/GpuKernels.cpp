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
      /*tensorTokens=*/0,    /*tensorWaves=*/0,    /*attentionThreads=*/32,
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

TensorUnit tensorUnitOf(uint32_t target, uint32_t level) {
  if (target == LLMIR_SECTION_TARGET_CUDA)
    return level >= 80 ? TensorUnit::Mma : TensorUnit::None;
  if (target != LLMIR_SECTION_TARGET_HIP)
    return TensorUnit::None;
  switch (level) {
  case LLMIR_GPU_LEVEL_HIP(0x90a):
    return TensorUnit::Mfma16;
  case LLMIR_GPU_LEVEL_HIP(0x942):
    return TensorUnit::Mfma32;
  case LLMIR_GPU_LEVEL_HIP(0x1100):
    return TensorUnit::Wmma;
  case LLMIR_GPU_LEVEL_HIP(0x1201):
    return TensorUnit::WmmaGfx12;
  default:
    return TensorUnit::None;
  }
}

GpuTarget standInTarget(const GpuCode &code, uint32_t pageTokens) {
  GpuTarget target = bareTarget(pageTokens);
  target.tensorUnit = tensorUnitOf(code.target, code.level);
  target.tensorByMemory = true;
  return target;
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

template <typename T>
void put(std::vector<uint8_t> &bytes, size_t offset, const T *from, size_t n) {
  std::memcpy(bytes.data() + offset, from, n * sizeof(T));
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

std::vector<uint8_t> makeGpuSection(const GpuFunctions &module, ArrayRef<uint8_t> binary,
                                    const GpuCodeOptions &options) {
  llmir_gpu_image_t image = {};
  image.record_bytes = sizeof image;
  image.function_count = static_cast<uint32_t>(module.functions.size());
  image.function_offset = sizeof image;
  image.binary_offset =
      static_cast<uint32_t>(sizeof image + module.functions.size() * sizeof(llmir_gpu_function_t));
  image.binary_bytes = static_cast<uint32_t>(binary.size());
  image.largest = module.largest;

  llmir_code_record_t record = {};
  record.record_bytes = sizeof record;
  record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
  record.entry_count = static_cast<uint32_t>(module.entries.size());
  record.entry_offset = sizeof record;
  record.image_offset = alignTo(sizeof record + module.entries.size() * sizeof(uint32_t),
                                LLMIR_BUNDLE_SECTION_ALIGNMENT);
  record.image_bytes = image.binary_offset + binary.size();
  std::memcpy(record.plan_hash, options.planHash.data(), sizeof record.plan_hash);

  std::vector<uint8_t> section(record.image_offset + record.image_bytes);
  put(section, 0, &record, 1);
  put(section, record.entry_offset, module.entries.data(), module.entries.size());
  put(section, record.image_offset, &image, 1);
  put(section, record.image_offset + image.function_offset, module.functions.data(),
      module.functions.size());
  put(section, record.image_offset + image.binary_offset, binary.data(), binary.size());
  return section;
}

} // namespace llmir::compiler
