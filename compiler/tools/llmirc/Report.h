//===- Report.h - What llmirc did: the summary and the REPORT section -----===//
#ifndef LLMIR_TOOLS_LLMIRC_REPORT_H
#define LLMIR_TOOLS_LLMIRC_REPORT_H

#include "Options.h"
#include "llmir/Bundle/BundleWriter.h"
#include "llmir/GpuKernels/GpuCode.h"
#include "llmir/Import/ImportedModel.h"
#include "llmir/Plan/PlanBuilder.h"
#include "llmir/Weights/WeightPacker.h"

#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// Memory of a pool with default options: one session of the model's whole context.
struct ArenaFigures {
  uint64_t kvBytes = 0, activationBytes = 0;
  uint64_t total() const { return kvBytes + activationBytes; }
};

struct Report {
  std::vector<WeightConversion> conversions;
  std::vector<WrittenSection> sections;
  std::vector<CpuCode> codes;
  std::vector<GpuCode> gpuCodes;
  uint64_t parameterCount = 0;
  uint64_t weightBytes = 0; ///< of all tensors' data
  uint64_t fileBytes = 0;
  uint32_t contextCount = 0;
  std::string chatTemplate; ///< where the template is from; empty: none
  ArenaFigures arena;
  double seconds = 0;
};

/// The arena for a pool with default options, as the runtime plans it.
ArenaFigures arenaOf(const ProgramSummary &program, uint32_t contextCount);

/// JSON for the REPORT section: source, options, conversions. Equal input gives equal text.
std::string reportJson(const Options &options, const ImportedModel &model,
                       const CompiledProgram &program, const Report &report);

/// The summary for people.
void printSummary(llvm::raw_ostream &stream, const Options &options, const ImportedModel &model,
                  const CompiledProgram &program, const Report &report);

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_REPORT_H
