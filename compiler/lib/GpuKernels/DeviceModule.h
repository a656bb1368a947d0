//===- DeviceModule.h - From LLVM's dialect to a device's code ------------===//
#ifndef LLMIR_LIB_GPUKERNELS_DEVICEMODULE_H
#define LLMIR_LIB_GPUKERNELS_DEVICEMODULE_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/Error.h"

namespace llmir::compiler {

/// What LLVM calls a device.
struct DeviceMachine {
  const char *triple;
  std::string chip;
  const char *features;
  llvm::CodeGenFileType output;
};

/// Translates a module in LLVM's dialect, optimizes it and emits assembly or an object. The target
/// of the triple has been initialized, the dialects' translations are registered.
llvm::Expected<llvm::SmallVector<char, 0>> emitDeviceModule(mlir::Operation *source,
                                                            const DeviceMachine &machine);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_DEVICEMODULE_H
