//===- llmir-opt.cpp - Runs passes over llmir modules, for tests and for looking inside -------===//

#include "llmir/Conversion/Passes.h"
#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/GpuKernels/GpuKernels.h"
#include "llmir/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry
      .insert<mlir::func::FuncDialect, mlir::llmir::LLMIRDialect, mlir::llmir_exec::ExecDialect>();
  llmir::compiler::registerGpuDialects(registry);
  mlir::registerTransformsPasses(); // canonicalize, cse, symbol-dce, ...
  mlir::llmir::registerLLMIRPasses();
  mlir::llmir::registerLLMIRConversionPasses();
  mlir::llmir::registerLlmirPipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "llmir-opt: passes over the llmir dialects\n", registry));
}
