//===- Progress.h - The progress bar of llmirc ----------------------------===//
#ifndef LLMIR_TOOLS_LLMIRC_PROGRESS_H
#define LLMIR_TOOLS_LLMIRC_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace llmir::compiler {

/// One line on standard error that is redrawn, at most twenty times a second; silent where standard
/// error is no terminal.
class Progress {
public:
  explicit Progress(bool enabled);
  ~Progress() { clear(); }
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// Shows "stage" with done of total units; total 0 shows no bar.
  void show(llvm::StringRef stage, uint64_t done = 0, uint64_t total = 0);

  /// Removes the line, before other output.
  void clear();

private:
  bool enabled;
  bool visible = false;
  std::string lastStage;
  std::chrono::steady_clock::time_point lastDraw;
};

} // namespace llmir::compiler

#endif // LLMIR_TOOLS_LLMIRC_PROGRESS_H
