//===- KernelParams.h - The kernels' parameter structs as attributes --------------------------===//
//
// One table describes every kernel: its operands and the fields of its parameter struct in
// llmir_bundle.h. It turns structs into attributes and back and drives the verifiers.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_EXEC_KERNELPARAMS_H
#define LLMIR_DIALECT_EXEC_KERNELPARAMS_H

#include "llmir/Dialect/Exec/ExecDialect.h"

#include "llmir_bundle.h"

#include <vector>

namespace mlir::llmir_exec {

/// How a 32-bit field of a parameter struct reads.
enum class FieldKind { U32, F32, Layout, Gate, Extent, Format, LinearFlags, NormFlags, QkvFlags };

struct ParamField {
  llvm::StringLiteral name;
  uint32_t offset; ///< bytes in the struct
  FieldKind kind;
};

enum class OperandAccess { Read, Write, ReadWrite };

struct KernelOperand {
  llvm::StringLiteral name;
  llmir_operand_space_t space;
  OperandAccess access;
  bool optional;
};

struct KernelInfo {
  Kernel kernel;
  uint32_t paramsBytes;
  llvm::ArrayRef<ParamField> fields;
  llvm::ArrayRef<KernelOperand> operands;
};

const KernelInfo &getKernelInfo(Kernel kernel);

/// The attribute form of a parameter struct; fields that are 0 are left out.
DictionaryAttr paramsToAttr(MLIRContext *context, Kernel kernel, const void *params);

/// The bytes of the parameter struct. Emits an error for unknown fields, wrong types and words.
FailureOr<std::vector<uint8_t>> attrToParams(Kernel kernel, DictionaryAttr params,
                                             llvm::function_ref<InFlightDiagnostic()> emitError);

/// The parameters of a verified variant as their struct.
template <typename Params> Params getParams(VariantOp variant) {
  Params params;
  FailureOr<std::vector<uint8_t>> bytes =
      attrToParams(variant.getKernel(), variant.getParams(), [&] { return variant.emitOpError(); });
  assert(succeeded(bytes) && bytes->size() == sizeof(Params) && "variant was verified");
  std::memcpy(&params, bytes->data(), sizeof(Params));
  return params;
}

} // namespace mlir::llmir_exec

#endif // LLMIR_DIALECT_EXEC_KERNELPARAMS_H
