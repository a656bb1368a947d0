//===- Options.h - The command line of llmirc -----------------------------===//
#ifndef LLMIR_TOOLS_LLMIRC_OPTIONS_H
#define LLMIR_TOOLS_LLMIRC_OPTIONS_H

#include "llmir/Bundle/ObjectFile.h"
#include "llmir/GpuKernels/GpuCode.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

enum class Emit { Bundle, Object, Plan, Mlir };

struct Options {
  std::string model;  ///< the file to compile
  std::string output; ///< "-": standard output (text only)
  std::string quantize = "keep";
  uint32_t group = 0; ///< most columns that share a scale; 0: --quantize makes no groups
  std::string activations = "mixed";
  std::vector<const CpuLevel *> levels;    ///< levels that get code, weakest first
  std::vector<const GpuLevel *> gpuLevels; ///< the same of GPUs
  uint32_t contextCount = 0;               ///< 0: what the model was trained for
  uint32_t chunkTokens = 0;                ///< most tokens of a pass; 0: the compiler's choice
  Emit emit = Emit::Bundle;
  const ObjectMachine *objectFor = nullptr; ///< of Emit::Object; never null then
  std::string dumpAfter;                    ///< name of a pass; empty: none
  std::string ptxas;                        ///< the file; empty: it is looked for
  std::string chatTemplate; ///< name of a known template or a file; empty: the model's own
  bool quiet = false;
  bool help = false;
  bool version = false;
};

/// Reads the arguments behind the program's name. A failure is wrong usage.
llvm::Expected<Options> parseOptions(llvm::ArrayRef<llvm::StringRef> arguments);

/// The text of --help.
std::string usageText();

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_OPTIONS_H
