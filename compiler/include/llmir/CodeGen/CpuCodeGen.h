//===- CpuCodeGen.h - Kernels of a plan specialised to machine code -------===//
//
// Turns the variants of a program (kernels with constant parameters) into one freestanding ELF
// image per ISA level and wraps it as a CODE section. The kernels come as LLVM bitcode inside
// this library, made from the same C sources that are built into the runtime.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_CODEGEN_CPUCODEGEN_H
#define LLMIR_CODEGEN_CPUCODEGEN_H

#include "llmir_bundle.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// A kernel with its constant parameters, as in the PLAN section.
struct KernelVariant {
  uint32_t kernel = 0;         ///< llmir_kernel_t
  std::vector<uint8_t> params; ///< bytes of the kernel's parameter struct
};

/// An ISA level that this build of the compiler has kernels for.
struct CpuLevel {
  uint32_t id;                     ///< llmir_cpu_level_t
  llvm::StringRef processor;       ///< as on the command line: "x86-64", "aarch64"
  llvm::StringRef name;            ///< likewise: "v3", "v4-vnni", "aarch64-dotprod"
  llvm::StringRef suffix;          ///< of the kernels' functions: "x86_64_v3"
  llvm::ArrayRef<uint8_t> bitcode; ///< archive of all kernels of the level
};

/// All levels, processor by processor, weakest first.
llvm::ArrayRef<CpuLevel> cpuLevels();

/// The level of that name, or nullptr.
const CpuLevel *findCpuLevel(llvm::StringRef name);

/// "linear" for LLMIR_KERNEL_LINEAR; empty for a number that is no kernel.
llvm::StringRef kernelName(uint32_t kernel);

/// Bytes of the parameter struct of a kernel; 0 for a number that is no kernel.
uint32_t kernelParamsBytes(uint32_t kernel);

struct CpuCodeOptions {
  /// Hash of the PLAN section that the code belongs to.
  std::array<uint8_t, LLMIR_BUNDLE_HASH_BYTES> planHash{};
  /// Keep symbols and section headers in the image, for disassemblers.
  bool keepSymbols = false;
};

/// Machine code for one level.
struct CpuCode {
  uint32_t level = 0;            ///< llmir_cpu_level_t
  std::vector<uint8_t> image;    ///< the ELF shared object
  std::vector<uint32_t> entries; ///< per variant: virtual address in the image, 0: built-in kernel
  std::vector<uint8_t> section;  ///< llmir_code_record_t, entries, image
  uint32_t functions = 0;        ///< distinct specialised kernels in the image
  uint64_t codeBytes = 0;        ///< of the executable segment
  double seconds = 0;            ///< from bitcode to object
};

/// Compiles `variants` for every one of `levels`, levels side by side on the machine's processors.
/// The result has the order of `levels` and depends on nothing but the arguments.
llvm::Expected<std::vector<CpuCode>> compileCpuCode(llvm::ArrayRef<KernelVariant> variants,
                                                    llvm::ArrayRef<const CpuLevel *> levels,
                                                    const CpuCodeOptions &options);

} // namespace llmir::compiler

#endif // LLMIR_CODEGEN_CPUCODEGEN_H
