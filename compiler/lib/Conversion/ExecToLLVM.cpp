//===- ExecToLLVM.cpp - Variants of a program to functions that call CPU kernels -===//
#include "llmir/CodeGen/VariantModule.h"
#include "llmir/Conversion/Passes.h"
#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/Plan/PlanBuilder.h"

namespace mlir::llmir {

#define GEN_PASS_DEF_EXECTOLLVMPASS
#include "llmir/Conversion/Passes.h.inc"

namespace {

struct ExecToLLVMPass : impl::ExecToLLVMPassBase<ExecToLLVMPass> {
  using ExecToLLVMPassBase::ExecToLLVMPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    const ::llmir::compiler::CpuLevel *cpuLevel = ::llmir::compiler::findCpuLevel(level);
    if (!cpuLevel) {
      module.emitError() << "unknown level '" << level << "'";
      return signalPassFailure();
    }
    auto programs = module.getOps<llmir_exec::ProgramOp>();
    if (!llvm::hasSingleElement(programs)) {
      module.emitError() << "expected one program";
      return signalPassFailure();
    }
    llmir_exec::ProgramOp program = *programs.begin();
    auto variants = ::llmir::compiler::kernelVariants(program);
    program.erase();
    for (TensorOp tensor : llvm::make_early_inc_range(module.getOps<TensorOp>()))
      tensor.erase();
    ::llmir::compiler::appendVariants(module, variants, ::llmir::compiler::findDistinct(variants),
                                      *cpuLevel);
  }
};

} // namespace
} // namespace mlir::llmir
