//===- Compile.cpp - From an imported model to a serialised program ---------------------------===//

#include "llmir/Plan/PlanBuilder.h"

#include "llmir/Build/ModelBuilder.h"
#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/Transforms/Passes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLExtras.h"

namespace exec = mlir::llmir_exec;

namespace llmir::compiler {
namespace {

/// Keeps errors and remarks of a context while it lives, instead of printing them.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context)
      : handler(&context, [this](mlir::Diagnostic &diagnostic) { return collect(diagnostic); }) {}

  std::string firstError;
  std::vector<std::string> remarks;

private:
  mlir::LogicalResult collect(mlir::Diagnostic &diagnostic) {
    std::string text = diagnostic.str();
    if (auto name = mlir::dyn_cast<mlir::NameLoc>(diagnostic.getLocation()))
      text = name.getName().str() + ": " + text;
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error) {
      if (firstError.empty())
        firstError = text;
    } else {
      remarks.push_back(text);
    }
    return mlir::success();
  }

  mlir::ScopedDiagnosticHandler handler;
};

/// Reports progress and prints the module after the passes that were asked for.
class PipelineObserver : public mlir::PassInstrumentation {
public:
  PipelineObserver(mlir::ModuleOp module, const CompileOptions &options)
      : module(module), options(options),
        total(static_cast<unsigned>(pipelinePassNames().size()) - 1) {}

  void runBeforePass(mlir::Pass *pass, mlir::Operation *) override {
    if (!pass->getArgument().empty() && options.progress)
      options.progress(pass->getArgument(), done, total);
  }

  void runAfterPass(mlir::Pass *pass, mlir::Operation *) override {
    // Adaptors of nested pipelines have no name.
    if (pass->getArgument().empty())
      return;
    ++done;
    dump(pass->getArgument());
  }

  void runAfterPassFailed(mlir::Pass *pass, mlir::Operation *op) override {
    runAfterPass(pass, op);
  }

  void dump(llvm::StringRef name) {
    if (!options.dumpStream || !llvm::is_contained(options.dumpAfter, name))
      return;
    *options.dumpStream << "// after " << name << "\n";
    module.print(*options.dumpStream);
    *options.dumpStream << "\n";
  }

private:
  mlir::ModuleOp module;
  const CompileOptions &options;
  unsigned done = 0, total;
};

std::string policyName(WeightPolicy policy) {
  switch (policy) {
  case WeightPolicy::Keep:
    return "keep";
  case WeightPolicy::Q4:
    return "q4";
  case WeightPolicy::Q8:
    return "q8";
  case WeightPolicy::F16:
    return "f16";
  case WeightPolicy::F32:
    return "f32";
  }
  return "keep";
}

/// Sizes are for one output row, as a conversation has it.
ProgramSummary summarize(mlir::ModuleOp module, exec::ProgramOp program) {
  ProgramSummary summary;
  summary.pageTokens = static_cast<uint32_t>(program.getPageTokens());
  summary.chunkTokens = static_cast<uint32_t>(program.getChunkTokens());
  if (auto reason = module->getAttrOfType<mlir::StringAttr>(mlir::llmir::kPageReasonAttr))
    summary.pageReason = reason.getValue().str();
  auto bytesFor = [&](uint64_t tokenBytes, uint64_t outputBytes) {
    return std::max(tokenBytes * summary.chunkTokens, outputBytes);
  };
  for (mlir::Operation &op : program.getBody().front()) {
    summary.dispatches += mlir::isa<exec::DispatchOp>(op);
    summary.variants += mlir::isa<exec::VariantOp>(op);
    if (auto layer = mlir::dyn_cast<exec::KVLayerOp>(op)) {
      ++summary.kvLayers;
      mlir::llmir::PagedKVType type = layer.getType();
      auto window = static_cast<uint32_t>(type.getWindow());
      (window != 0 ? summary.windowElementsPerToken : summary.kvElementsPerToken) +=
          2 * static_cast<uint64_t>(type.getKvHeads() * type.getHeadDim());
      summary.longestWindow = std::max(summary.longestWindow, window);
    }
    if (auto buffer = mlir::dyn_cast<exec::BufferOp>(op)) {
      ++summary.buffers;
      uint64_t row = buffer.getType().getRowBytes();
      bool tokens = buffer.getType().getExtent() == exec::Extent::Tokens;
      summary.unplannedBytes += bytesFor(tokens ? row : 0, tokens ? 0 : row);
    }
  }
  for (auto [token, output] :
       llvm::zip(*program.getSlotTokenBytes(), *program.getSlotOutputBytes())) {
    ++summary.slots;
    summary.activationBytes += bytesFor(token, output);
  }
  return summary;
}

void buildPipeline(mlir::PassManager &manager, const CompileOptions &options) {
  mlir::llmir::LlmirPipelineOptions pipeline;
  pipeline.policy = policyName(options.weights);
  pipeline.group = options.group;
  pipeline.activations = options.activations;
  pipeline.pageTokens = options.pageTokens;
  mlir::llmir::buildLlmirPipeline(manager, pipeline);
}

mlir::OwningOpRef<mlir::ModuleOp> build(mlir::MLIRContext &context, const ImportedModel &model,
                                        const CompileOptions &options) {
  BuildOptions buildOptions;
  buildOptions.contextCount = options.contextCount;
  buildOptions.chunkTokens = options.chunkTokens;
  return buildModel(context, model, buildOptions);
}

llvm::Error failureOf(const DiagnosticCollector &diagnostics) {
  return llvm::createStringError(diagnostics.firstError.empty() ? "the compiler failed silently"
                                                                : diagnostics.firstError);
}

} // namespace

void registerCompilerDialects(mlir::MLIRContext &context) {
  context.loadDialect<mlir::llmir::LLMIRDialect, exec::ExecDialect>();
}

llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildModule(mlir::MLIRContext &context, const ImportedModel &model, const CompileOptions &options) {
  DiagnosticCollector diagnostics(context);
  mlir::OwningOpRef<mlir::ModuleOp> module = build(context, model, options);
  if (!module)
    return failureOf(diagnostics);
  return module;
}

std::vector<std::string> pipelinePassNames() {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  buildPipeline(manager, CompileOptions());
  std::vector<std::string> names = {"build"};
  std::function<void(mlir::OpPassManager &)> visit = [&](mlir::OpPassManager &passes) {
    for (mlir::Pass &pass : passes.getPasses())
      names.push_back(pass.getArgument().str());
  };
  visit(manager);
  return names;
}

llvm::Expected<CompiledProgram> compileToProgram(mlir::MLIRContext &context,
                                                 const ImportedModel &model,
                                                 const CompileOptions &options) {
  registerCompilerDialects(context);
  DiagnosticCollector diagnostics(context);
  CompiledProgram result;
  result.module = build(context, model, options);
  if (!result.module)
    return failureOf(diagnostics);

  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  buildPipeline(manager, options);
  auto observer = std::make_unique<PipelineObserver>(*result.module, options);
  observer->dump("build");
  manager.addInstrumentation(std::move(observer));
  if (mlir::failed(manager.run(*result.module)))
    return failureOf(diagnostics);

  auto programs = result.module->getOps<exec::ProgramOp>();
  exec::ProgramOp program = *programs.begin();
  result.plan = serializePlan(program);
  result.tensors = tensorRecipes(*result.module);
  result.variants = kernelVariants(program);
  result.summary = summarize(*result.module, program);
  result.remarks = std::move(diagnostics.remarks);
  return result;
}

} // namespace llmir::compiler
