//===- ModelBuilder.h - From an imported model to the llmir dialect ---------------------------===//
//
// The only place that knows what architectures look like. What follows sees a graph.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_BUILD_MODELBUILDER_H
#define LLMIR_BUILD_MODELBUILDER_H

#include "llmir/Import/ImportedModel.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace llmir::compiler {

struct BuildOptions {
  int64_t contextCount = 0;   ///< positions to plan for, 0: what the model was trained for
  uint32_t chunkTokens = 256; ///< largest T of one pass
};

/// The function `forward` and the weights of `model`, verified. Null after an error, which names
/// the tensor or hyper-parameter at fault and goes to the context's diagnostic handlers.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context, const ImportedModel &model,
                                             const BuildOptions &options);

/// Names of the architectures that buildModel knows.
std::vector<std::string> knownArchitectures();

} // namespace llmir::compiler

#endif // LLMIR_BUILD_MODELBUILDER_H
