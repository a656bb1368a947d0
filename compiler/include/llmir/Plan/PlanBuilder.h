//===- PlanBuilder.h - From a program to the bytes of its PLAN section
//-------------------------===//
//
// The end of the MLIR part of the compiler: an `llmir_exec.program` with planned buffers becomes
// the PLAN section of a bundle, the recipes of the tensors it names, and the kernel variants that
// code generation specialises. compileToProgram runs everything from the imported model on.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_PLAN_PLANBUILDER_H
#define LLMIR_PLAN_PLANBUILDER_H

#include "llmir/CodeGen/CpuCodeGen.h"
#include "llmir/Import/ImportedModel.h"
#include "llmir/Plan/TensorRecipe.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <string>
#include <vector>

namespace mlir::llmir_exec {
class ProgramOp;
} // namespace mlir::llmir_exec

namespace llmir::compiler {

/// What `--quantize` asks for.
enum class WeightPolicy {
  Keep, ///< the layout that holds the source's values best
  Q4,
  Q8,
  F16,
  F32,
};

struct CompileOptions {
  WeightPolicy weights = WeightPolicy::Keep;
  /// Most columns that share a scale with Q4 and Q8 (quant/quant_layout.h: llmir_group_is_valid).
  uint32_t group = 32;
  std::string activations = "mixed"; ///< as the pass llmir-quantize-activations takes it
  int64_t contextCount = 0;          ///< positions to plan for, 0: what the model was trained for
  uint32_t chunkTokens = 256;        ///< largest T of one pass that the plan recommends
  uint32_t pageTokens = 0;           ///< tokens of a KV page, 0: chosen from the model
  /// Passes ("llmir-merge-qkv", or "build" for the IR before the first) after which the module is
  /// printed to `dumpStream`.
  std::vector<std::string> dumpAfter;
  llvm::raw_ostream *dumpStream = nullptr;
  /// Called before each pass with its name, the number of passes done and of all; may be empty.
  std::function<void(llvm::StringRef pass, unsigned done, unsigned total)> progress;
};

/// Figures for the summary that llmirc prints.
struct ProgramSummary {
  uint32_t dispatches = 0, variants = 0, buffers = 0, slots = 0, kvLayers = 0;
  uint32_t pageTokens = 0, chunkTokens = 0;
  std::string pageReason;              ///< why pageTokens was chosen
  uint64_t activationBytes = 0;        ///< of all slots for chunkTokens tokens and 1 output row
  uint64_t unplannedBytes = 0;         ///< the same without sharing
  uint64_t kvElementsPerToken = 0;     ///< keys and values of layers that look back to the start
  uint64_t windowElementsPerToken = 0; ///< of the others
  uint32_t longestWindow = 0;          ///< 0: no layer has one
};

struct CompiledProgram {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< llmir.tensor ops and one llmir_exec.program
  std::vector<uint8_t> plan;                ///< the PLAN section
  std::vector<TensorRecipe> tensors;        ///< in the order of operand indices
  std::vector<KernelVariant> variants;      ///< in the order of the PLAN section
  ProgramSummary summary;
  std::vector<std::string> remarks; ///< what passes had to say, for --verbose output
};

/// Loads the dialects that the functions below need.
void registerCompilerDialects(mlir::MLIRContext &context);

/// The PLAN section, deterministic, padding zeroed. The program must have passed verification and
/// llmir-plan-buffers.
std::vector<uint8_t> serializePlan(mlir::llmir_exec::ProgramOp program);

/// Recipes of all `llmir.tensor` ops of the module, in operand order.
std::vector<TensorRecipe> tensorRecipes(mlir::ModuleOp module);

/// Kernels with their parameters, in the order of the PLAN section.
std::vector<KernelVariant> kernelVariants(mlir::llmir_exec::ProgramOp program);

/// Builds the model's graph, runs the pipeline and serialises the result. Errors carry the first
/// diagnostic of the pass that failed.
llvm::Expected<CompiledProgram> compileToProgram(mlir::MLIRContext &context,
                                                 const ImportedModel &model,
                                                 const CompileOptions &options);

/// The module before any pass, as `llmirc --emit mlir` prints it.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildModule(mlir::MLIRContext &context, const ImportedModel &model, const CompileOptions &options);

/// Every name that CompileOptions::dumpAfter accepts, in order.
std::vector<std::string> pipelinePassNames();

} // namespace llmir::compiler

#endif // LLMIR_PLAN_PLANBUILDER_H
