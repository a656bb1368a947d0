//===- HostKernels.h - GPU kernels as functions of the processor ----------===//
//
// For tests of drivers' host code without a GPU: the same kernels in the same dialects, lowered to
// the processor that runs the test. tests/support/fake_driver executes them.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_UNITTESTS_GPUKERNELS_HOSTKERNELS_H
#define LLMIR_UNITTESTS_GPUKERNELS_HOSTKERNELS_H

#include "llmir/GpuKernels/GpuCode.h"

#include <array>

namespace llmir::compiler {

/// An ELF shared object with a function f<i> for every function of the kernels, of the type
/// fake_kernel_fn (tests/support/fake_driver/fake_kernel.h).
llvm::Expected<std::vector<uint8_t>> compileHostKernels(llvm::ArrayRef<KernelVariant> variants,
                                                        const GpuTarget &target);

/// What the kernels of stand-ins differ in.
std::array<uint32_t, 5> standInKind(const GpuTarget &target);

/// Whether the functions of a level are those of its standInTarget: not those for software devices.
bool hasStandIn(const GpuLevel &level);

/// Writes such an object to the file in `folder` where the stand-in driver looks for it when `code`
/// is loaded.
llvm::Error writeHostKernels(llvm::ArrayRef<uint8_t> object, const GpuCode &code,
                             const std::string &folder);

} // namespace llmir::compiler

#endif // LLMIR_UNITTESTS_GPUKERNELS_HOSTKERNELS_H
