//===- Kernels.h - The kernel families, one file each ---------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_KERNELS_H
#define LLMIR_LIB_GPUKERNELS_KERNELS_H

#include "KernelBuilder.h"

namespace llmir::compiler {

/// Collects the functions of one variant.
class VariantFunctions {
public:
  VariantFunctions(KernelBuilder &builder, std::vector<llmir_gpu_function_t> &functions)
      : kernel(builder), functions(functions) {}

  /// Begins a function; the caller builds its body and calls KernelBuilder::end. Returns its index.
  size_t begin(const llmir_gpu_function_t &function, llvm::ArrayRef<uint32_t> bindings);
  /// The same for one that only another function names (llmir_gpu_function_t.split).
  size_t beginApart(const llmir_gpu_function_t &function, llvm::ArrayRef<uint32_t> bindings);
  llmir_gpu_function_t &at(size_t function) { return functions[function]; }

  KernelBuilder &kernel;

private:
  std::vector<llmir_gpu_function_t> &functions;
  size_t last = SIZE_MAX; ///< the variant's last function; SIZE_MAX: none yet
};

/// A function that takes one row of a dispatch, whatever the cache.
llmir_gpu_function_t rowFunction(uint32_t threads, uint32_t gridX);

void buildEmbed(VariantFunctions &out, const llmir_embed_params_t &params);
void buildRopeTable(VariantFunctions &out, const llmir_rope_table_params_t &params);
void buildNorm(VariantFunctions &out, const llmir_norm_params_t &params);
void buildQuantize(VariantFunctions &out, const llmir_quantize_params_t &params);
void buildLinear(VariantFunctions &out, const llmir_linear_params_t &params);
void buildQkv(VariantFunctions &out, const llmir_qkv_params_t &params);
void buildAttention(VariantFunctions &out, const llmir_attention_params_t &params);
void buildGate(VariantFunctions &out, const llmir_gate_params_t &params);
/// Of no variant.
void buildLargest(VariantFunctions &out);

constexpr uint32_t batchBinding = LLMIR_GPU_BATCH_BINDING;

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_KERNELS_H
