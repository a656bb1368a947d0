//===- ExecToGpu.cpp - Variants of a program to GPU kernels, and those to SPIR-V ---===//
#include "llmir/Conversion/Passes.h"
#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/GpuKernels/GpuCode.h"
#include "llmir/Plan/PlanBuilder.h"

namespace mlir::llmir {

#define GEN_PASS_DEF_EXECTOGPUPASS
#define GEN_PASS_DEF_GPUTOSPIRVPASS
#include "llmir/Conversion/Passes.h.inc"

namespace {

using ::llmir::compiler::GpuTarget;

struct ExecToGpuPass : impl::ExecToGpuPassBase<ExecToGpuPass> {
  using ExecToGpuPassBase::ExecToGpuPassBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    ::llmir::compiler::registerGpuDialects(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto programs = module.getOps<llmir_exec::ProgramOp>();
    if (!llvm::hasSingleElement(programs)) {
      module.emitError() << "expected one program";
      return signalPassFailure();
    }
    llmir_exec::ProgramOp program = *programs.begin();
    auto variants = ::llmir::compiler::kernelVariants(program);
    GpuTarget target;
    target.dot4 = dot4;
    target.halfFloats = halves;
    target.isSoftware = software;
    target.pageTokens = static_cast<uint32_t>(program.getPageTokens());
    program.erase();
    for (TensorOp tensor : llvm::make_early_inc_range(module.getOps<TensorOp>()))
      tensor.erase();
    auto functions = ::llmir::compiler::appendGpuKernels(module, variants, target);
    if (!functions) {
      module.emitError() << llvm::toString(functions.takeError());
      signalPassFailure();
    }
  }
};

struct GpuToSpirvPass : impl::GpuToSpirvPassBase<GpuToSpirvPass> {
  using GpuToSpirvPassBase::GpuToSpirvPassBase;

  void runOnOperation() override {
    GpuTarget target;
    target.dot4 = dot4;
    target.halfFloats = halves;
    if (llvm::Error error = ::llmir::compiler::lowerToSpirv(getOperation(), target)) {
      getOperation().emitError() << llvm::toString(std::move(error));
      signalPassFailure();
    }
  }
};

} // namespace
} // namespace mlir::llmir
