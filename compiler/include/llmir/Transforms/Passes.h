//===- Passes.h - The passes and the pipeline -------------------------------------------------===//
#ifndef LLMIR_TRANSFORMS_PASSES_H
#define LLMIR_TRANSFORMS_PASSES_H

#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir::llmir {

#define GEN_PASS_DECL
#include "llmir/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "llmir/Transforms/Passes.h.inc"

struct LlmirPipelineOptions : PassPipelineOptions<LlmirPipelineOptions> {
  Option<std::string> policy{*this, "policy", llvm::cl::desc("keep, q4, q8, f16 or f32"),
                             llvm::cl::init("keep")};
  Option<int64_t> group{*this, "group", llvm::cl::desc("columns that share a scale with q4 and q8"),
                        llvm::cl::init(32)};
  Option<std::string> activations{*this, "activations", llvm::cl::desc("int8, int16 or mixed"),
                                  llvm::cl::init("mixed")};
  Option<int64_t> pageTokens{*this, "page-tokens", llvm::cl::desc("page size, 0: choose"),
                             llvm::cl::init(0)};
};

/// From a model as its front end built it to a program with planned buffers:
///  1. canonicalize, cse: equal rope tables and constants become one;
///  2. choose-weight-layouts before all merging, because only equal layouts merge;
///  3. permute-rope-rows, merge-qkv, merge-gate-up: recipes of weights;
///  4. kv-blocking;
///  5. fuse-epilogues before quantize-activations and fuse-norms, so that a residual sum goes to
///  the
///     product where it can, and to the norm only where it must (post norms);
///  6. form-dispatches, plan-buffers.
void buildLlmirPipeline(OpPassManager &manager, const LlmirPipelineOptions &options);

/// Registers the pipeline as `--llmir-pipeline`.
void registerLlmirPipelines();

} // namespace mlir::llmir

#endif // LLMIR_TRANSFORMS_PASSES_H
