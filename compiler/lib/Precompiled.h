//===- Precompiled.h - Headers that are parsed once for all sources -------===//
//
// MLIR's headers take two thirds of the time that a source of the compiler needs. Sources still
// include what they use: a build through ccache goes without this file.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_PRECOMPILED_H
#define LLMIR_LIB_PRECOMPILED_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <map>
#include <string>
#include <vector>

#endif // LLMIR_LIB_PRECOMPILED_H
