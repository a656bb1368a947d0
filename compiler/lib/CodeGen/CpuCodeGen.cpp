//===- CpuCodeGen.cpp - Kernels of a plan specialised to machine code -----===//
//
// Per level: distinct variants -> LLVM dialect -> LLVM IR -> kernels linked and folded in ->
// object. The levels share nothing and are compiled side by side; linking is serial (lld has global
// state).
//
//===----------------------------------------------------------------------===//
#include "llmir/CodeGen/CpuCodeGen.h"
#include "KernelBitcode.h"
#include "SharedObject.h"
#include "Specialize.h"
#include "llmir/CodeGen/VariantModule.h"
#include "targets/cpu/kernels/fingerprint.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Support/ThreadPool.h"

#include <chrono>
#include <cstring>

using namespace llvm;

namespace llmir::compiler {
namespace {

using Object = SmallVector<char, 0>;

Expected<std::unique_ptr<Module>> translateVariants(ArrayRef<KernelVariant> variants,
                                                    const DistinctVariants &distinct,
                                                    const CpuLevel &level, LLVMContext &context) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::MLIRContext mlirContext(registry, mlir::MLIRContext::Threading::DISABLED);
  mlirContext.loadDialect<mlir::LLVM::LLVMDialect>();

  auto loc = mlir::UnknownLoc::get(&mlirContext);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
  appendVariants(*module, variants, distinct, level);
  if (mlir::failed(mlir::verify(*module)))
    return createStringError(inconvertibleErrorCode(), "code generation: invalid variant module");
  std::unique_ptr<Module> translated = mlir::translateModuleToLLVMIR(*module, context, "variants");
  if (!translated)
    return createStringError(inconvertibleErrorCode(), "code generation: translation failed");
  return translated;
}

Expected<Object> compileLevel(ArrayRef<KernelVariant> variants, const DistinctVariants &distinct,
                              const CpuLevel &level) {
  LLVMContext context;
  auto kernels = loadKernels(level, context);
  if (!kernels)
    return kernels.takeError();
  auto module = translateVariants(variants, distinct, level, context);
  if (!module)
    return module.takeError();
  (*module)->setTargetTriple(kernels->module->getTargetTriple());
  (*module)->setDataLayout(kernels->machine->createDataLayout());
  for (Function &function : **module)
    if (!function.isDeclaration())
      function.addFnAttrs(AttrBuilder(context, kernels->attributes));
  if (Error error = specializeKernels(**module, std::move(kernels->module), *kernels->machine))
    return error;
  return emitObject(**module, *kernels->machine);
}

/// Lays out llmir_code_record_t, the entries and the image as llmir_bundle.h says.
std::vector<uint8_t> makeSection(const CpuCode &code, const CpuCodeOptions &options) {
  llmir_code_record_t record = {};
  record.record_bytes = sizeof record;
  record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
  record.entry_count = static_cast<uint32_t>(code.entries.size());
  record.entry_offset = sizeof record;
  size_t entryBytes = code.entries.size() * sizeof(uint32_t);
  record.image_offset = alignTo(record.entry_offset + entryBytes, LLMIR_BUNDLE_SECTION_ALIGNMENT);
  record.image_bytes = code.image.size();
  std::memcpy(record.plan_hash, options.planHash.data(), sizeof record.plan_hash);
  record.kernel_fingerprint = llmir_kernel_fingerprint();

  std::vector<uint8_t> section(record.image_offset + record.image_bytes);
  std::memcpy(section.data(), &record, sizeof record);
  std::memcpy(section.data() + record.entry_offset, code.entries.data(), entryBytes);
  std::memcpy(section.data() + record.image_offset, code.image.data(), code.image.size());
  return section;
}

Expected<CpuCode> linkLevel(const Object &object, const DistinctVariants &distinct,
                            const CpuLevel &level, const CpuCodeOptions &options) {
  auto linked = linkSharedObject(object, options.keepSymbols);
  if (!linked)
    return linked.takeError();
  CpuCode code;
  code.level = level.id;
  code.image = std::move(linked->image);
  code.codeBytes = linked->codeBytes;
  code.functions = static_cast<uint32_t>(distinct.representatives.size());
  for (size_t function : distinct.functionOf) {
    uint32_t address = linked->functions.lookup(variantSymbol(function));
    if (address == 0)
      return createStringError(inconvertibleErrorCode(),
                               "linking kernels: no address for " + variantSymbol(function));
    code.entries.push_back(address);
  }
  code.section = makeSection(code, options);
  return code;
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

Expected<std::vector<CpuCode>> compileCpuCode(ArrayRef<KernelVariant> variants,
                                              ArrayRef<const CpuLevel *> levels,
                                              const CpuCodeOptions &options) {
  if (Error error = checkVariants(variants))
    return error;
  const DistinctVariants distinct = findDistinct(variants);

  std::vector<Object> objects(levels.size());
  std::vector<std::string> failures(levels.size());
  std::vector<double> seconds(levels.size());
  DefaultThreadPool pool(hardware_concurrency(static_cast<unsigned>(levels.size())));
  for (size_t i = 0; i < levels.size(); ++i)
    pool.async([&, i] {
      auto start = std::chrono::steady_clock::now();
      auto object = compileLevel(variants, distinct, *levels[i]);
      if (object)
        objects[i] = std::move(*object);
      else
        failures[i] = toString(object.takeError());
      seconds[i] = secondsSince(start);
    });
  pool.wait();

  std::vector<CpuCode> codes;
  for (size_t i = 0; i < levels.size(); ++i) {
    if (!failures[i].empty())
      return createStringError(inconvertibleErrorCode(), levels[i]->name + ": " + failures[i]);
    auto code = linkLevel(objects[i], distinct, *levels[i], options);
    if (!code)
      return code.takeError();
    code->seconds = seconds[i];
    codes.push_back(std::move(*code));
  }
  return codes;
}

} // namespace llmir::compiler
