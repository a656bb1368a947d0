//===- Report.h - What llmirc did: the summary and the REPORT section
//---------------------------===//
#ifndef LLMIR_TOOLS_LLMIRC_REPORT_H
#define LLMIR_TOOLS_LLMIRC_REPORT_H

#include "Options.h"
#include "llmir/Import/ImportedModel.h"
#include "llmir/Plan/PlanBuilder.h"

#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// Tensors that one change of encoding applied to.
struct ConversionFigures {
  std::string from, to;     ///< "Q6_K", "S8 group 32"
  uint64_t tensorCount = 0; ///< source tensors
  uint64_t elementCount = 0;
  double relativeError = 0; ///< root of sum (new - old)^2 / sum old^2; 0: taken over value by value
};

struct SectionFigures {
  std::string name; ///< "WEIGHTS", "CODE v3"
  uint64_t bytes = 0;
};

/// Memory of a pool with default options: one session of the model's whole context.
struct ArenaFigures {
  uint64_t kvBytes = 0, activationBytes = 0;
  uint64_t total() const { return kvBytes + activationBytes; }
};

struct Report {
  std::vector<ConversionFigures> conversions;
  std::vector<SectionFigures> sections;
  std::vector<CpuCode> codes;
  uint64_t parameterCount = 0;
  uint64_t weightBytes = 0; ///< of all tensors' data
  uint64_t fileBytes = 0;
  uint32_t contextCount = 0;
  std::string chatTemplate; ///< what was recognised; empty: none
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
