//===- Progress.cpp - The progress bar of llmirc --------------------------===//
#include "Progress.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

constexpr unsigned barCells = 30;
constexpr auto redrawInterval = std::chrono::milliseconds(50);

} // namespace

Progress::Progress(bool enabled) : enabled(enabled && errs().is_displayed()) {}

void Progress::show(StringRef stage, uint64_t done, uint64_t total) {
  if (!enabled)
    return;
  auto now = std::chrono::steady_clock::now();
  bool isNewStage = stage != lastStage;
  if (!isNewStage && now - lastDraw < redrawInterval)
    return;
  lastStage = stage.str();
  lastDraw = now;
  visible = true;

  errs() << "\r\x1b[K";
  if (total != 0) {
    done = std::min(done, total);
    unsigned filled = static_cast<unsigned>(done * barCells / total);
    errs() << '[' << std::string(filled, '#') << std::string(barCells - filled, ' ') << ']'
           << format(" %3u%% ", static_cast<unsigned>(done * 100 / total));
  }
  errs() << stage;
  errs().flush();
}

void Progress::clear() {
  if (!visible)
    return;
  errs() << "\r\x1b[K";
  errs().flush();
  visible = false;
  lastStage.clear();
}

} // namespace llmir::compiler
