//===- ChatStage.h - The CHAT section -------------------------------------===//
#ifndef LLMIR_TOOLS_LLMIRC_CHATSTAGE_H
#define LLMIR_TOOLS_LLMIRC_CHATSTAGE_H

#include "Options.h"
#include "llmir/Import/ImportedModel.h"

#include "llvm/Support/Error.h"

namespace llmir::compiler {

struct ChatSection {
  std::vector<uint8_t> bytes; ///< empty: the bundle has no template
  std::string origin;         ///< "the model's template", "chatml", a file; for the summary
};

/// Lowers the template that the options choose: the model's own, a known one by name, a file's, or
/// ("none") none.
llvm::Expected<ChatSection> makeChatSection(const Options &options, const ImportedModel &model);

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_CHATSTAGE_H
