//===- BareKernels.cpp - Kernels whose parameters are addresses -----------===//
#include "BareKernels.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"
#include "llmir_bundle.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

/// Workgroup memory comes behind the arguments in the entry block, so positions count.
void takeBindings(gpu::GPUFuncOp function) {
  auto numbers = function->getAttrOfType<DenseI32ArrayAttr>("llmir_gpu.bindings").asArrayRef();
  const unsigned used = function.getNumArguments();
  const Type type = function.getArgument(0).getType();
  for (unsigned i = 0; i < LLMIR_GPU_BINDING_COUNT; ++i)
    function.insertArgument(i, type, {}, function.getLoc());
  BitVector old(used + LLMIR_GPU_BINDING_COUNT);
  for (unsigned i = 0; i < used; ++i) {
    function.getArgument(LLMIR_GPU_BINDING_COUNT + i)
        .replaceAllUsesWith(function.getArgument(static_cast<unsigned>(numbers[i])));
    old.set(LLMIR_GPU_BINDING_COUNT + i);
  }
  function.eraseArguments(old);
}

void takeWords(gpu::GPUFuncOp function) {
  const unsigned first = function.getNumArguments();
  Type word = IntegerType::get(function.getContext(), 32);
  for (unsigned i = 0; i < LLMIR_GPU_WORD_COUNT; ++i)
    function.insertArgument(first + i, word, {}, function.getLoc());
  function.walk([&](llmir_gpu::ParameterOp op) {
    op.replaceAllUsesWith(Value(function.getArgument(first + op.getIndex())));
    op.erase();
  });
}

} // namespace

void takeAddresses(gpu::GPUModuleOp module) {
  for (auto function : module.getOps<gpu::GPUFuncOp>()) {
    takeBindings(function);
    takeWords(function);
  }
}

} // namespace llmir::compiler
