//===- Pipelines.cpp - The order of the passes ------------------------------------------------===//

#include "llmir/Transforms/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void llmir::buildLlmirPipeline(OpPassManager &manager, const LlmirPipelineOptions &options) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createChooseWeightLayoutsPass({options.policy, options.group}));
  manager.addPass(createPermuteRopeRowsPass());
  manager.addPass(createMergeQkvPass());
  manager.addPass(createMergeGateUpPass());
  manager.addPass(createKVBlockingPass({options.pageTokens}));
  manager.addNestedPass<func::FuncOp>(createFuseEpiloguesPass());
  manager.addNestedPass<func::FuncOp>(createQuantizeActivationsPass({options.activations}));
  manager.addNestedPass<func::FuncOp>(createFuseNormsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createFormDispatchesPass());
  manager.addNestedPass<llmir_exec::ProgramOp>(createPlanBuffersPass());
}

void llmir::registerLlmirPipelines() {
  PassPipelineRegistration<LlmirPipelineOptions>(
      "llmir-pipeline", "from a model to a program with planned buffers", buildLlmirPipeline);
}
