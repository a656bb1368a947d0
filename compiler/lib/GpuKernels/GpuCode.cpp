//===- GpuCode.cpp - Code sections for GPUs -------------------------------===//
#include "llmir/GpuKernels/GpuCode.h"
#include "DeviceCode.h"
#include "PackModule.h"

#include <chrono>
#include <cstring>

using namespace llvm;

namespace llmir::compiler {
namespace {

GpuTarget vulkanTarget(bool hasDot, bool isSoftware) {
  GpuTarget target;
  target.dot4 = target.halfFloats = hasDot;
  target.isSoftware = isSoftware;
  return target;
}

/// Kernels with addresses as parameters: CUDA and HIP.
GpuTarget bareTarget(TensorUnit unit) {
  GpuTarget target;
  target.dot4 = target.halfFloats = target.staticSizes = true;
  target.tensorUnit = unit;
  return target;
}

GpuLevel vulkan(uint32_t level, const char *name, bool hasDot, bool isSoftware) {
  return {LLMIR_SECTION_TARGET_VULKAN, level, "vulkan", name, vulkanTarget(hasDot, isSoftware)};
}

/// Cooperative matrices: shape 0 is that of a program on a processor.
GpuLevel vulkanMatrix(uint32_t number, const char *name, MatrixShape shape) {
  GpuLevel level = vulkan(LLMIR_VULKAN_LEVEL_MATRIX(number), name, true, number == 0);
  level.kernels.matrix = shape;
  level.onlyByName = true;
  return level;
}

GpuLevel cuda(uint32_t level, const char *name, TensorUnit unit) {
  return {LLMIR_SECTION_TARGET_CUDA, level, "cuda", name, bareTarget(unit)};
}

/// The same kernels, assembled for one chip: only by name, so that what no names give is the same
/// on machines with ptxas and without.
GpuLevel cubin(uint32_t sm, const char *name, const char *assembledFor) {
  GpuLevel level =
      cuda(LLMIR_GPU_LEVEL_CUBIN(sm), name, sm < 80 ? TensorUnit::None : TensorUnit::Mma);
  level.assembledFor = assembledFor;
  level.onlyByName = true;
  return level;
}

GpuLevel hip(uint32_t chip, const char *name, TensorUnit unit) {
  return {LLMIR_SECTION_TARGET_HIP, LLMIR_GPU_LEVEL_HIP(chip), "hip", name, bareTarget(unit)};
}

template <typename T>
void put(std::vector<uint8_t> &bytes, size_t offset, const T *from, size_t n) {
  std::memcpy(bytes.data() + offset, from, n * sizeof(T));
}

std::vector<uint8_t> makeSection(const GpuFunctions &module, ArrayRef<uint8_t> packed,
                                 size_t moduleBytes, const GpuCodeOptions &options) {
  llmir_gpu_image_t image = {};
  image.record_bytes = sizeof image;
  image.function_count = static_cast<uint32_t>(module.functions.size());
  image.function_offset = sizeof image;
  image.binary_offset =
      static_cast<uint32_t>(sizeof image + module.functions.size() * sizeof(llmir_gpu_function_t));
  image.binary_bytes = static_cast<uint32_t>(packed.size());
  image.largest = module.largest;
  image.packing = LLMIR_PACKING_LZMA;
  image.module_bytes = static_cast<uint32_t>(moduleBytes);

  llmir_code_record_t record = {};
  record.record_bytes = sizeof record;
  record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
  record.entry_count = static_cast<uint32_t>(module.entries.size());
  record.entry_offset = sizeof record;
  record.image_offset = alignTo(sizeof record + module.entries.size() * sizeof(uint32_t),
                                LLMIR_BUNDLE_SECTION_ALIGNMENT);
  record.image_bytes = image.binary_offset + packed.size();
  std::memcpy(record.plan_hash, options.planHash.data(), sizeof record.plan_hash);

  std::vector<uint8_t> section(record.image_offset + record.image_bytes);
  put(section, 0, &record, 1);
  put(section, record.entry_offset, module.entries.data(), module.entries.size());
  put(section, record.image_offset, &image, 1);
  put(section, record.image_offset + image.function_offset, module.functions.data(),
      module.functions.size());
  put(section, record.image_offset + image.binary_offset, packed.data(), packed.size());
  return section;
}

} // namespace

ArrayRef<GpuLevel> gpuLevels() {
  static const GpuLevel levels[] = {
      vulkan(LLMIR_VULKAN_LEVEL_BASE, "base", false, false),
      vulkan(LLMIR_VULKAN_LEVEL_DOT, "dot", true, false),
      vulkan(LLMIR_VULKAN_LEVEL_SOFTWARE, "software", true, true),
  // clang-format off
#define LLMIR_MATRIX_LEVEL(number, rows, tokens, columns, threads) \
      vulkanMatrix(number, "matrix-" #rows "x" #tokens "x" #columns, {rows, tokens, columns, threads}),
      LLMIR_VULKAN_MATRICES(LLMIR_MATRIX_LEVEL)
#undef LLMIR_MATRIX_LEVEL
      // clang-format on
      cuda(75, "sm_75", TensorUnit::None),
      cuda(80, "sm_80", TensorUnit::Mma),
  // clang-format off
#define LLMIR_CUBIN_LEVEL(sm) cubin(sm, "cubin-sm_" #sm, "sm_" #sm),
      LLMIR_CUDA_CUBINS(LLMIR_CUBIN_LEVEL)
#undef LLMIR_CUBIN_LEVEL
      // clang-format on
      hip(0x906, "gfx906", TensorUnit::None),
      hip(0x90a, "gfx90a", TensorUnit::Mfma16),
      hip(0x942, "gfx942", TensorUnit::Mfma32),
      hip(0x1030, "gfx1030", TensorUnit::None),
      hip(0x1100, "gfx1100", TensorUnit::Wmma),
      hip(0x1201, "gfx1201", TensorUnit::WmmaGfx12),
  };
  return levels;
}

const GpuLevel *findGpuLevel(uint32_t target, uint32_t level) {
  auto *found = find_if(gpuLevels(), [&](const GpuLevel &known) {
    return known.target == target && known.level == level;
  });
  return found == gpuLevels().end() ? nullptr : found;
}

GpuTarget standInTarget(const GpuLevel &level, uint32_t pageTokens) {
  GpuTarget target = bareTarget(level.kernels.tensorUnit);
  target.matrix = level.kernels.matrix;
  target.tensorByMemory = true;
  target.pageTokens = pageTokens;
  return target;
}

Expected<GpuCode> compileGpuCode(ArrayRef<KernelVariant> variants, const GpuCodeOptions &options,
                                 const GpuLevel &level) {
  const auto start = std::chrono::steady_clock::now();
  mlir::DialectRegistry registry;
  registerGpuDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module =
      mlir::OwningOpRef<mlir::ModuleOp>(mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  GpuTarget target = level.kernels;
  target.pageTokens = options.pageTokens;
  auto functions = appendGpuKernels(*module, variants, target);
  if (!functions)
    return functions.takeError();
  auto binary = level.target == LLMIR_SECTION_TARGET_VULKAN ? makeSpirv(*module, level)
                : level.target == LLMIR_SECTION_TARGET_HIP  ? makeHsaco(*module, level)
                : level.assembledFor ? makeCubin(*module, level, options.ptxas)
                                     : makePtx(*module, level);
  if (!binary)
    return binary.takeError();
  auto packed = packModule(*binary);
  if (!packed)
    return packed.takeError();
  GpuCode code;
  code.level = &level;
  code.section = makeSection(*functions, *packed, binary->size(), options);
  code.binary = std::move(*binary);
  code.functions = static_cast<uint32_t>(functions->functions.size());
  code.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(code);
}

} // namespace llmir::compiler
