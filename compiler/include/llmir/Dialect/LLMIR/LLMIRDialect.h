//===- LLMIRDialect.h - The llmir dialect: types, attributes, operations ----------------------===//
#ifndef LLMIR_DIALECT_LLMIR_LLMIRDIALECT_H
#define LLMIR_DIALECT_LLMIR_LLMIRDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llmir/Dialect/LLMIR/LLMIREnums.h.inc"

#include "llmir/Dialect/LLMIR/LLMIRDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "llmir/Dialect/LLMIR/LLMIRAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "llmir/Dialect/LLMIR/LLMIRTypes.h.inc"

#define GET_OP_CLASSES
#include "llmir/Dialect/LLMIR/LLMIROps.h.inc"

namespace mlir::llmir {

/// Discardable attributes of a module that is a model.
inline constexpr llvm::StringLiteral kContextAttr = "llmir.context_tokens"; ///< i64
inline constexpr llvm::StringLiteral kChunkAttr = "llmir.chunk_tokens";     ///< i64
inline constexpr llvm::StringLiteral kPageReasonAttr = "llmir.page_reason"; ///< string

/// Argument numbers of the function `forward`; caches follow, one a layer.
enum ForwardArgument : unsigned { kTokensArgument, kPositionsArgument, kRowsArgument, kFirstCache };

} // namespace mlir::llmir

#endif // LLMIR_DIALECT_LLMIR_LLMIRDIALECT_H
