//===- Report.cpp - What llmirc did: the summary and the REPORT section ---===//
#include "Report.h"
#include "llmir.h"
#include "llmir/Import/SourceTypes.h"

extern "C" {
#include "quant/kv_layout.h"
}

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

std::string formatBytes(uint64_t bytes) {
  if (bytes < 10 * 1024)
    return formatv("{0} B", bytes);
  if (bytes < 10 * 1024 * 1024)
    return formatv("{0:f1} KiB", bytes / 1024.0);
  return formatv("{0:f1} MiB", bytes / (1024.0 * 1024.0));
}

std::string formatCount(uint64_t count) {
  if (count < 10000)
    return formatv("{0}", count);
  if (count < 10000000)
    return formatv("{0:f1} k", count / 1e3);
  return formatv("{0:f1} M", count / 1e6);
}

std::string formatLoss(double relativeError) {
  return relativeError == 0.0 ? "value by value"
                              : std::string(formatv("relative error {0:e2}", relativeError));
}

double bitsPerWeight(const Report &report) {
  return report.parameterCount == 0 ? 0.0 : 8.0 * report.weightBytes / report.parameterCount;
}

void printLine(raw_ostream &stream, StringRef title, const Twine &text) {
  stream << "  " << left_justify(title, 10) << text << '\n';
}

StringRef levelName(uint32_t id) {
  auto *level = find_if(cpuLevels(), [&](const CpuLevel &l) { return l.id == id; });
  return level == cpuLevels().end() ? "?" : level->name;
}

/// "WEIGHTS", "CODE v3".
std::string sectionName(const SectionKey &key) {
  static constexpr const char *names[] = {"",     "MODEL", "TOKENIZER", "CHAT",   "WEIGHTS",
                                          "PLAN", "CODE",  "SELFTEST",  "REPORT", "SIGNATURE"};
  std::string name = names[key.kind];
  if (key.kind == LLMIR_SECTION_CODE)
    name += " " + (key.target == LLMIR_SECTION_TARGET_CPU
                       ? levelName(key.level).str()
                       : findGpuLevel(key.target, key.level)->fullName());
  return name;
}

void printCode(raw_ostream &stream, const Report &report) {
  for (const GpuCode &code : report.gpuCodes)
    printLine(stream, &code == &report.gpuCodes.front() ? "GPU code" : "",
              formatv("{0,-17} {1,10}  {2} kernels, {3:f2} s", code.level->fullName(),
                      formatBytes(code.section.size()), code.functions, code.seconds));
  if (report.codes.empty()) {
    printLine(stream, "code", "none: the built-in kernels run");
    return;
  }
  for (const CpuCode &code : report.codes) {
    printLine(stream, &code == &report.codes.front() ? "code" : "",
              formatv("{0,-17} {1,10}  {2} kernels, {3:f2} s", levelName(code.level),
                      formatBytes(code.image.size()), code.functions, code.seconds));
  }
}

} // namespace

ArenaFigures arenaOf(const ProgramSummary &program, uint32_t contextCount) {
  constexpr uint64_t kvElementBytes = 2; // f16
  uint64_t pages = (uint64_t(contextCount) + program.pageTokens - 1) / program.pageTokens;
  // Layers with a window keep no more than that, as a pool for one session lays them out.
  uint64_t windowPages =
      std::min(pages, llmir_kv_window_pages(program.longestWindow, program.pageTokens, 1,
                                            std::min(program.chunkTokens, contextCount)));
  ArenaFigures arena;
  arena.kvBytes =
      (pages * program.kvElementsPerToken + windowPages * program.windowElementsPerToken) *
      program.pageTokens * kvElementBytes;
  arena.activationBytes = program.activationBytes;
  return arena;
}

std::string reportJson(const Options &options, const ImportedModel &model,
                       const CompiledProgram &program, const Report &report) {
  json::Array conversions;
  for (const WeightConversion &figures : report.conversions)
    conversions.push_back(json::Object{{"from", sourceTypeInfo(figures.from).name},
                                       {"to", layoutName(figures.layout, figures.group)},
                                       {"tensors", figures.tensorCount},
                                       {"elements", figures.elementCount},
                                       {"relative_error", figures.relativeError}});
  json::Array levels;
  for (const CpuLevel *level : options.levels)
    levels.push_back(level->name);
  for (const GpuLevel *level : options.gpuLevels)
    levels.push_back(level->fullName());
  json::Object root{{"compiler", formatv("llmirc {0}.{1}.{2}", LLMIR_VERSION_MAJOR,
                                         LLMIR_VERSION_MINOR, LLMIR_VERSION_PATCH)
                                     .str()},
                    {"source", sys::path::filename(options.model)},
                    {"architecture", model.config.architecture},
                    {"options", json::Object{{"quantize", options.quantize},
                                             {"group", options.group},
                                             {"activations", options.activations},
                                             {"levels", std::move(levels)},
                                             {"context", report.contextCount}}},
                    {"parameters", report.parameterCount},
                    {"weight_bytes", report.weightBytes},
                    {"bits_per_weight", bitsPerWeight(report)},
                    {"conversions", std::move(conversions)},
                    {"dispatches", program.summary.dispatches},
                    {"variants", program.summary.variants},
                    {"kv_pages", json::Object{{"tokens", program.summary.pageTokens},
                                              {"reason", program.summary.pageReason},
                                              {"window", program.summary.longestWindow}}},
                    {"chat_template", report.chatTemplate}};
  return formatv("{0}", json::Value(std::move(root)));
}

void printSummary(raw_ostream &stream, const Options &options, const ImportedModel &model,
                  const CompiledProgram &program, const Report &report) {
  const ProgramSummary &plan = program.summary;
  stream << (model.config.name.empty() ? options.model : model.config.name) << " ("
         << model.config.architecture << "), " << formatCount(report.parameterCount)
         << " parameters\n";
  printLine(stream, "weights",
            formatv("{0}, {1:f2} bits per weight", formatBytes(report.weightBytes),
                    bitsPerWeight(report)));
  for (const WeightConversion &figures : report.conversions)
    printLine(stream, "",
              formatv("{0,-5} to {1,-14} {2,4} tensors {3,9}  {4}",
                      sourceTypeInfo(figures.from).name, layoutName(figures.layout, figures.group),
                      figures.tensorCount, formatCount(figures.elementCount),
                      formatLoss(figures.relativeError)));
  printLine(stream, "program",
            formatv("{0} dispatches of {1} variants, chunks of {2} tokens", plan.dispatches,
                    plan.variants, plan.chunkTokens));
  printLine(
      stream, "KV pages",
      plan.pageReason +
          (plan.longestWindow == 0
               ? std::string()
               : formatv("; layers with a window keep its {0} tokens", plan.longestWindow).str()));
  printLine(stream, "arena",
            formatv("{0} for a context of {1}: KV {2} (f16), buffers {3} ({4} before reuse)",
                    formatBytes(report.arena.total()), report.contextCount,
                    formatBytes(report.arena.kvBytes), formatBytes(report.arena.activationBytes),
                    formatBytes(plan.unplannedBytes)));
  printCode(stream, report);
  printLine(stream, "chat", report.chatTemplate.empty() ? "no template" : report.chatTemplate);
  std::string sections;
  for (const WrittenSection &section : report.sections)
    sections += (sections.empty() ? "" : ", ") + sectionName(section.key) + " " +
                formatBytes(section.bytes);
  printLine(stream, "sections", sections);
  stream << options.output << ": " << formatBytes(report.fileBytes) << " in "
         << format("%.1f", report.seconds) << " s\n";
}

} // namespace llmir::compiler
