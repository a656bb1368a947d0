//===- HostKernels.cpp - GPU kernels as functions of the processor --------===//
//
// A gpu.func becomes a func.func that one thread runs: where the thread is are arguments, memory of
// a workgroup is a global, since workgroups run one after the other, and a barrier calls the
// executor, which goes on with the other threads first.
//
//===----------------------------------------------------------------------===//
#include "HostKernels.h"
#include "../../lib/CodeGen/SharedObject.h"
#include "../../lib/GpuKernels/BareKernels.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"
#include "tests/support/fake_driver/fake_kernel.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

llvm::Error failure(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "kernels for the host: " + what);
}

/// Rewrites one kernel.
class HostFunction {
public:
  HostFunction(gpu::GPUFuncOp from, ModuleOp module)
      : from(from), module(module), builder(module.getContext()), loc(from.getLoc()) {}
  void build();

private:
  void replaceWords(Block &block);
  void replaceShared(Block &block);
  func::FuncOp dot4Function();
  Value dot4(llmir_gpu::Dot4Op op);
  void replaceOps(func::FuncOp function, Value thread, Value groupX, Value groupY, Value barrier,
                  Value executor);

  gpu::GPUFuncOp from;
  ModuleOp module;
  OpBuilder builder;
  Location loc;
};

constexpr unsigned wordsArgument = LLMIR_GPU_BINDING_COUNT;

/// Words come as the address of an array; behind the bindings there are arguments for each.
void HostFunction::replaceWords(Block &block) {
  auto type = MemRefType::get({LLMIR_GPU_WORD_COUNT}, builder.getI32Type());
  Value words = block.insertArgument(wordsArgument, type, loc);
  builder.setInsertionPointToStart(&block);
  for (int64_t i = 0; i < LLMIR_GPU_WORD_COUNT; ++i) {
    Value index = builder.create<arith::ConstantIndexOp>(loc, i);
    Value word = builder.create<memref::LoadOp>(loc, words, ValueRange{index});
    block.getArgument(wordsArgument + 1).replaceAllUsesWith(word);
    block.eraseArgument(wordsArgument + 1);
  }
}

void HostFunction::replaceShared(Block &block) {
  unsigned number = 0;
  while (block.getNumArguments() > wordsArgument + 1) {
    BlockArgument shared = block.getArgument(wordsArgument + 1);
    auto old = cast<MemRefType>(shared.getType());
    auto type = MemRefType::get(old.getShape(), old.getElementType());
    std::string name = (from.getName() + "_shared_" + llvm::Twine(number++)).str();
    builder.setInsertionPointToStart(module.getBody());
    builder.create<memref::GlobalOp>(loc, name, builder.getStringAttr("private"), type,
                                     builder.getUnitAttr(), /*constant=*/false,
                                     /*alignment=*/builder.getI64IntegerAttr(64));
    builder.setInsertionPointToStart(&block);
    shared.replaceAllUsesWith(builder.create<memref::GetGlobalOp>(loc, type, name));
    block.eraseArgument(wordsArgument + 1);
  }
}

/// A function of the module: unrolled products have hundreds of calls of it, which inlined are most
/// of a compilation.
func::FuncOp HostFunction::dot4Function() {
  constexpr llvm::StringLiteral name("dot4");
  if (auto function = module.lookupSymbol<func::FuncOp>(name))
    return function;
  OpBuilder::InsertionGuard guard(builder);
  Type i32 = builder.getI32Type();
  builder.setInsertionPointToStart(module.getBody());
  auto function =
      builder.create<func::FuncOp>(loc, name, builder.getFunctionType({i32, i32, i32}, {i32}));
  function.setPrivate();
  function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  auto constant = [&](int bits) {
    return builder.create<arith::ConstantOp>(loc, builder.getI32IntegerAttr(bits));
  };
  auto byte = [&](Value word, int i) -> Value {
    Value up = builder.create<arith::ShLIOp>(loc, word, constant(24 - 8 * i));
    return builder.create<arith::ShRSIOp>(loc, up, constant(24));
  };
  Value sum = block->getArgument(2);
  for (int i = 0; i < 4; ++i)
    sum = builder.create<arith::AddIOp>(
        loc, sum,
        builder.create<arith::MulIOp>(loc, byte(block->getArgument(0), i),
                                      byte(block->getArgument(1), i)));
  builder.create<func::ReturnOp>(loc, sum);
  return function;
}

Value HostFunction::dot4(llmir_gpu::Dot4Op op) {
  return builder
      .create<func::CallOp>(loc, dot4Function(), ValueRange{op.getA(), op.getB(), op.getAcc()})
      .getResult(0);
}

void HostFunction::replaceOps(func::FuncOp function, Value thread, Value groupX, Value groupY,
                              Value barrier, Value executor) {
  auto pointer = LLVM::LLVMPointerType::get(module.getContext());
  auto barrierType =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {pointer});
  function.walk([&](Operation *op) {
    builder.setInsertionPoint(op);
    if (auto id = dyn_cast<gpu::ThreadIdOp>(op)) {
      id.replaceAllUsesWith(thread); // workgroups have threads along x alone
    } else if (auto id = dyn_cast<gpu::BlockIdOp>(op)) {
      id.replaceAllUsesWith(id.getDimension() == gpu::Dimension::x ? groupX : groupY);
    } else if (auto dot = dyn_cast<llmir_gpu::Dot4Op>(op)) {
      dot.replaceAllUsesWith(dot4(dot));
    } else if (isa<gpu::BarrierOp>(op)) {
      builder.create<LLVM::CallOp>(loc, barrierType, ValueRange{barrier, executor});
    } else if (isa<gpu::ReturnOp>(op)) {
      builder.create<func::ReturnOp>(loc);
    } else if (auto view = dyn_cast<UnrealizedConversionCastOp>(op)) {
      auto old = cast<MemRefType>(view.getResult(0).getType());
      view.getResult(0).setType(MemRefType::get(old.getShape(), old.getElementType()));
      return;
    } else {
      return;
    }
    op->erase();
  });
}

void HostFunction::build() {
  builder.setInsertionPointToEnd(module.getBody());
  auto function =
      builder.create<func::FuncOp>(loc, from.getName(), builder.getFunctionType({}, {}));
  function.getBody().takeBody(from.getBody());
  Block &block = function.getBody().front();
  for (unsigned i = 0; i < LLMIR_GPU_BINDING_COUNT; ++i) {
    auto old = cast<MemRefType>(block.getArgument(i).getType());
    block.getArgument(i).setType(MemRefType::get(old.getShape(), old.getElementType()));
  }
  replaceWords(block);
  replaceShared(block);
  Type index = builder.getIndexType(), pointer = LLVM::LLVMPointerType::get(module.getContext());
  Value thread = block.addArgument(index, loc), groupX = block.addArgument(index, loc);
  Value groupY = block.addArgument(index, loc), barrier = block.addArgument(pointer, loc);
  Value executor = block.addArgument(pointer, loc);
  replaceOps(function, thread, groupX, groupY, barrier, executor);
  function.setType(builder.getFunctionType(block.getArgumentTypes(), {}));
}

LogicalResult lowerToLlvm(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createConvertSCFToCFPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  ConvertFuncToLLVMPassOptions options;
  options.useBarePtrCallConv = true;
  passes.addPass(createConvertFuncToLLVMPass(options));
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

std::unique_ptr<llvm::TargetMachine> hostMachine() {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  std::string message, features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    features += (feature.second ? "+" : "-") + feature.first().str() + ",";
  const std::string triple = llvm::sys::getDefaultTargetTriple();
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, message);
  return std::unique_ptr<llvm::TargetMachine>(
      target ? target->createTargetMachine(triple, llvm::sys::getHostCPUName(), features, {},
                                           llvm::Reloc::PIC_)
             : nullptr);
}

/// The C library is not there for the object, so nothing may become a call of it.
void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(&machine);
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graph);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graph, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O1).run(module, modules);
}

llvm::Expected<std::vector<uint8_t>> emitObject(ModuleOp source) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  source.getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  auto module = translateModuleToLLVMIR(source, context, "kernels");
  auto machine = hostMachine();
  if (!module || !machine)
    return failure("no LLVM module, or no target for this machine");
  module->setTargetTriple(machine->getTargetTriple().str());
  module->setDataLayout(machine->createDataLayout());
  optimize(*module, *machine);
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return failure("no object files for this machine");
  emission.run(*module);
  auto linked = linkSharedObject(object, /*keepSymbols=*/true);
  if (!linked)
    return linked.takeError();
  return std::move(linked->image);
}

} // namespace

llvm::Expected<std::vector<uint8_t>> compileHostKernels(llvm::ArrayRef<KernelVariant> variants,
                                                        const GpuTarget &target) {
  DialectRegistry registry;
  registerGpuDialects(registry);
  registry.insert<func::FuncDialect, LLVM::LLVMDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  auto functions = appendGpuKernels(*module, variants, target);
  if (!functions)
    return functions.takeError();
  gpu::GPUModuleOp kernels = *module->getOps<gpu::GPUModuleOp>().begin();
  takeAddresses(kernels);
  for (auto function : kernels.getOps<gpu::GPUFuncOp>())
    HostFunction(function, *module).build();
  kernels.erase();
  if (failed(lowerToLlvm(*module)))
    return failure("an operation has no lowering");
  return emitObject(*module);
}

std::array<uint32_t, 5> standInKind(const GpuTarget &target) {
  const MatrixShape shape = target.matrix.value_or(MatrixShape());
  return {static_cast<uint32_t>(target.tensorUnit), shape.rows, shape.tokens, shape.columns,
          shape.threads};
}

bool hasStandIn(const GpuLevel &level) { return !level.kernels.isSoftware; }

llvm::Error writeHostKernels(llvm::ArrayRef<uint8_t> object, const GpuCode &code,
                             const std::string &folder) {
  char name[FAKE_KERNEL_NAME_BYTES];
  fake_kernel_file_name(code.binary.data(), code.binary.size(), name);
  (void)llvm::sys::fs::create_directories(folder);
  std::error_code error;
  llvm::raw_fd_ostream file(folder + "/" + name, error);
  if (error)
    return failure(folder + "/" + name + ": " + error.message());
  file.write(reinterpret_cast<const char *>(object.data()), object.size());
  return llvm::Error::success();
}

} // namespace llmir::compiler
