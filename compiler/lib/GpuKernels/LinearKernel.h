//===- LinearKernel.h - What the matrix products share --------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_LINEARKERNEL_H
#define LLMIR_LIB_GPUKERNELS_LINEARKERNEL_H

#include "Kernels.h"

namespace llmir::compiler {

/// Stores output `row` of `token` from its sum; `up` is set if there is a gate.
void finishOutput(KernelBuilder &k, const llmir_linear_params_t &p, Val row, Val token, Val value,
                  Val up);

/// What a workgroup takes.
struct LinearGroup {
  uint32_t threads, panels, tokens;
  uint32_t rowsMin; ///< tokens from which on the function is chosen
};

/// The sums over the chunks of 32 columns of a group. One or, where a chunk is small, two stand
/// side by side, and a loop takes the others, so that a kernel does not grow with its groups and
/// keeps what it loads in registers. `add` adds chunk `first + chunk`, of which `chunk` is known.
KernelBuilder::Vals
sumChunks(KernelBuilder &k, const llmir_linear_params_t &p, const KernelBuilder::Vals &zeros,
          llvm::function_ref<void(Val first, uint32_t chunk, KernelBuilder::Vals &sums)> add);

/// Adds a function, whose body `build` writes.
void addLinearFunction(VariantFunctions &out, const llmir_linear_params_t &p,
                       const LinearGroup &group, llvm::function_ref<void()> build);

/// Adds a function for one token and integer weights, whose columns are cut into `slices`.
void addLinearVector(VariantFunctions &out, const llmir_linear_params_t &p, uint32_t slices);

/// Adds a function for many tokens and integer weights, by the device's instruction for tiles.
void addLinearTensor(VariantFunctions &out, const llmir_linear_params_t &p);

/// The same by cooperative matrices; the columns are cut into `slices`.
void addLinearMatrix(VariantFunctions &out, const llmir_linear_params_t &p, uint32_t slices);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_LINEARKERNEL_H
