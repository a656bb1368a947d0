//===- Pipeline.cpp - The stages of llmirc --------------------------------===//
//
// import -> graph, passes, plan -> tokenizer and chat tables -> code -> bundle, with the weights
// packed while the file is written.
//
//===----------------------------------------------------------------------===//
#include "Pipeline.h"
#include "ChatStage.h"
#include "Progress.h"
#include "Report.h"
#include "StaticArena.h"
#include "TextOutput.h"
#include "llmir.h"
#include "llmir/Bundle/BundleWriter.h"
#include "llmir/Import/Gguf.h"
#include "llmir/Plan/PlanBuilder.h"
#include "llmir/Tokenizer/TokenizerTable.h"
#include "llmir/Weights/WeightPacker.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace llvm;

namespace llmir::compiler {
namespace {

/// One run of llmirc: what the stages leave for each other.
class Compilation {
public:
  explicit Compilation(const Options &options) : options(options), progress(!options.quiet) {}

  Error run();

private:
  Error import();
  CompileOptions compileOptions();
  Error emitMlir();
  Error emitPlan();
  Error addTables();
  Error addCode();
  Error findTools();
  Error addGpuCode();
  Error writeBundle();
  Error writeObjectHeader(const ObjectFrame &frame, uint64_t bundleBytes);

  const Options &options;
  Progress progress;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  ImportedModel model;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  CompiledProgram program;
  BundleWriter writer;
  Report report;
  std::string ptxas; ///< empty: no level needs it
};

Error Compilation::import() {
  progress.show("reading the model");
  auto imported = importGguf(options.model);
  if (!imported)
    return imported.takeError();
  model = std::move(*imported);
  report.contextCount = options.contextCount != 0
                            ? options.contextCount
                            : static_cast<uint32_t>(model.config.contextCount);
  return Error::success();
}

CompileOptions Compilation::compileOptions() {
  CompileOptions result;
  result.weights = StringSwitch<WeightPolicy>(options.quantize)
                       .Case("q4", WeightPolicy::Q4)
                       .Case("q8", WeightPolicy::Q8)
                       .Case("f16", WeightPolicy::F16)
                       .Case("f32", WeightPolicy::F32)
                       .Default(WeightPolicy::Keep);
  if (options.group != 0)
    result.group = options.group;
  result.activations = options.activations;
  result.contextCount = options.contextCount;
  if (options.chunkTokens != 0)
    result.chunkTokens = options.chunkTokens;
  if (!options.dumpAfter.empty()) {
    progress.clear();
    result.dumpAfter.push_back(options.dumpAfter);
    result.dumpStream = &errs();
  } else {
    result.progress = [this](StringRef pass, unsigned done, unsigned total) {
      progress.show(pass, done, total);
    };
  }
  return result;
}

std::string moduleText(mlir::ModuleOp module) {
  std::string text;
  raw_string_ostream stream(text);
  module.print(stream);
  stream << '\n';
  return text;
}

Error Compilation::emitMlir() {
  auto module = buildModule(context, model, compileOptions());
  if (!module)
    return module.takeError();
  progress.clear();
  return writeText(options.output, moduleText(**module));
}

Error Compilation::emitPlan() {
  progress.clear();
  return writeText(options.output, moduleText(*program.module));
}

Error Compilation::addTables() {
  progress.show("tokenizer and chat template");
  if (model.hasTokenizer) {
    auto tokenizer = compileTokenizer(model.tokenizer);
    if (!tokenizer)
      return createStringError(inconvertibleErrorCode(),
                               options.model + ": " + toString(tokenizer.takeError()));
    writer.add({LLMIR_SECTION_TOKENIZER}, std::move(*tokenizer));
  }
  auto chat = makeChatSection(options, model);
  if (!chat)
    return chat.takeError();
  report.chatTemplate = chat->origin;
  if (!chat->bytes.empty())
    writer.add({LLMIR_SECTION_CHAT}, std::move(chat->bytes));
  return Error::success();
}

Error Compilation::addCode() {
  if (options.levels.empty())
    return Error::success();
  progress.show("generating code");
  CpuCodeOptions codeOptions;
  codeOptions.planHash = hashBytes(program.plan);
  auto codes = compileCpuCode(program.variants, options.levels, codeOptions);
  if (!codes)
    return codes.takeError();
  report.codes = std::move(*codes);
  for (const CpuCode &code : report.codes)
    writer.add({LLMIR_SECTION_CODE, LLMIR_SECTION_TARGET_CPU, code.level}, code.section);
  return Error::success();
}

/// Before anything that takes long.
Error Compilation::findTools() {
  if (none_of(options.gpuLevels, [](const GpuLevel *level) { return level->assembledFor; }))
    return Error::success();
  auto found = findPtxas(options.ptxas);
  if (!found)
    return found.takeError();
  ptxas = std::move(*found);
  return Error::success();
}

Error Compilation::addGpuCode() {
  if (options.gpuLevels.empty())
    return Error::success();
  progress.show("generating code for GPUs");
  GpuCodeOptions codeOptions;
  codeOptions.planHash = hashBytes(program.plan);
  codeOptions.pageTokens = program.summary.pageTokens;
  codeOptions.ptxas = ptxas;
  for (const GpuLevel *level : options.gpuLevels) {
    auto code = compileGpuCode(program.variants, codeOptions, *level);
    if (!code)
      return code.takeError();
    report.gpuCodes.push_back(std::move(*code));
  }
  for (const GpuCode &code : report.gpuCodes)
    writer.add({LLMIR_SECTION_CODE, static_cast<llmir_section_target_t>(code.level->target),
                code.level->level},
               code.section);
  return Error::success();
}

Error Compilation::writeBundle() {
  if (Error error = checkBundlePath(options.output))
    return error;
  if (Error error = findTools())
    return error;
  auto packer = WeightPacker::create(model, program.tensors);
  if (!packer)
    return packer.takeError();
  report.parameterCount = packer->parameterCount();
  report.weightBytes = packer->dataBytes();
  report.arena = arenaOf(program.summary, report.contextCount);

  writer.add({LLMIR_SECTION_MODEL},
             renderModelSection(model.config, report.contextCount, report.parameterCount));
  if (Error error = addTables())
    return error;
  writer.add({LLMIR_SECTION_PLAN}, program.plan);
  if (Error error = addCode())
    return error;
  if (Error error = addGpuCode())
    return error;
  writer.addStream({LLMIR_SECTION_WEIGHTS}, [&](BundleWriter::Sink sink) {
    return packer->write(
        sink, [&](uint64_t done, uint64_t all) { progress.show("packing weights", done, all); });
  });
  writer.addStream({LLMIR_SECTION_REPORT}, [&](BundleWriter::Sink sink) {
    report.conversions = packer->conversions(); // what packing cost is known only now
    return sink(arrayRefFromStringRef(reportJson(options, model, program, report)));
  });
  const auto frame =
      options.emit == Emit::Object
          ? std::make_unique<ObjectFrame>(*options.objectFor, symbolStem(options.output))
          : nullptr;
  auto written = writer.write(options.output, frame.get());
  if (!written)
    return written.takeError();
  if (frame)
    if (Error error = writeObjectHeader(*frame, written->fileBytes))
      return error;
  report.fileBytes = written->fileBytes;
  report.sections = std::move(written->sections);
  return Error::success();
}

/// What --emit object leaves beside the object file.
Error Compilation::writeObjectHeader(const ObjectFrame &frame, uint64_t bundleBytes) {
  auto arenaBytes = staticArenaBytes(options.output, frame.dataOffset(), bundleBytes);
  if (!arenaBytes)
    return arenaBytes.takeError();
  SmallString<256> path(options.output);
  sys::path::replace_extension(path, ".h");
  const std::string about =
      formatv("{0}, compiled by llmirc {1}.{2}.{3} for a context of {4}: a pool with default "
              "options takes "
              "{5} bytes for keys, values and buffers.",
              model.config.name.empty() ? "A model" : model.config.name, LLMIR_VERSION_MAJOR,
              LLMIR_VERSION_MINOR, LLMIR_VERSION_PATCH, report.contextCount, report.arena.total())
          .str();
  return writeText(path, frame.header(about, *arenaBytes));
}

/// The model is mapped while the output is written, and nobody wants to lose it.
Error checkOutputIsNotModel(const Options &options) {
  if (options.output != "-" && sys::fs::equivalent(options.model, options.output))
    return createStringError(inconvertibleErrorCode(),
                             "'" + options.output + "' is the model itself");
  return Error::success();
}

Error Compilation::run() {
  if (Error error = checkOutputIsNotModel(options))
    return error;
  if (Error error = import())
    return error;
  registerCompilerDialects(context);
  if (options.emit == Emit::Mlir)
    return emitMlir();
  auto compiled = compileToProgram(context, model, compileOptions());
  if (!compiled)
    return compiled.takeError();
  program = std::move(*compiled);
  if (options.emit == Emit::Plan)
    return emitPlan();
  if (Error error = writeBundle())
    return error;

  progress.clear();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!options.quiet)
    printSummary(errs(), options, model, program, report);
  return Error::success();
}

} // namespace

Error compileModel(const Options &options) {
  Compilation compilation(options);
  return compilation.run();
}

} // namespace llmir::compiler
