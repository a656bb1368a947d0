//===- KernelBuilder.cpp - A small language to write GPU kernels in -------===//
#include "KernelBuilder.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVTypes.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

ImplicitLocOpBuilder &opsOf(Val a) { return a.builder->ops(); }

template <typename Op> Val make(KernelBuilder *builder, TypeRange type, ValueRange operands) {
  return Val(builder->ops().create<Op>(type, operands)->getResult(0), builder);
}

template <typename FloatOp, typename IntegerOp> Val binary(Val a, Val b) {
  Value result = a.isFloat() ? opsOf(a).create<FloatOp>(a.value, b.value)->getResult(0)
                             : opsOf(a).create<IntegerOp>(a.value, b.value)->getResult(0);
  return Val(result, a.builder);
}

template <typename Op> Val integers(Val a, Val b) {
  return Val(opsOf(a).create<Op>(a.value, b.value)->getResult(0), a.builder);
}

Val constantLike(Val a, int64_t value) {
  return a.isFloat() ? a.builder->f32(static_cast<double>(value)) : a.builder->i32(value);
}

/// There is no select of such; a loop over them runs at least once.
bool isMatrix(Val a) { return isa<spirv::CooperativeMatrixType>(a.value.getType()); }

Val compare(arith::CmpIPredicate predicate, Val a, Val b) {
  return Val(opsOf(a).create<arith::CmpIOp>(predicate, a.value, b.value), a.builder);
}

} // namespace

Val operator+(Val a, Val b) { return binary<arith::AddFOp, arith::AddIOp>(a, b); }
Val operator-(Val a, Val b) { return binary<arith::SubFOp, arith::SubIOp>(a, b); }
Val operator*(Val a, Val b) { return binary<arith::MulFOp, arith::MulIOp>(a, b); }
Val operator/(Val a, Val b) { return binary<arith::DivFOp, arith::DivUIOp>(a, b); }
Val operator%(Val a, Val b) { return integers<arith::RemUIOp>(a, b); }
Val operator&(Val a, Val b) { return integers<arith::AndIOp>(a, b); }
Val operator|(Val a, Val b) { return integers<arith::OrIOp>(a, b); }
Val operator<<(Val a, Val b) { return integers<arith::ShLIOp>(a, b); }
Val operator>>(Val a, Val b) { return integers<arith::ShRUIOp>(a, b); }
Val operator<(Val a, Val b) { return compare(arith::CmpIPredicate::ult, a, b); }
Val operator==(Val a, Val b) { return compare(arith::CmpIPredicate::eq, a, b); }
Val operator+(Val a, int64_t b) { return a + constantLike(a, b); }
Val operator-(Val a, int64_t b) { return a - constantLike(a, b); }
Val operator*(Val a, int64_t b) { return a * constantLike(a, b); }
Val operator/(Val a, int64_t b) { return a / constantLike(a, b); }
Val operator%(Val a, int64_t b) { return a % constantLike(a, b); }
Val operator&(Val a, int64_t b) { return a & constantLike(a, b); }
Val operator<<(Val a, int64_t b) { return a << constantLike(a, b); }
Val operator>>(Val a, int64_t b) { return a >> constantLike(a, b); }
Val operator<(Val a, int64_t b) { return a < constantLike(a, b); }
Val operator==(Val a, int64_t b) { return a == constantLike(a, b); }

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(gpu::GPUModuleOp module, const GpuTarget &target)
    : module(module), gpuTarget(target), builder(module.getLoc(), module.getContext()) {}

void KernelBuilder::begin(llvm::StringRef name, uint32_t threads,
                          llvm::ArrayRef<uint32_t> bindings) {
  // LLVM 19: gpu.module ends in an implicit terminator.
  builder.setInsertionPoint(module.getBodyRegion().front().getTerminator());
  MLIRContext *context = module.getContext();
  auto space = gpu::AddressSpaceAttr::get(context, gpu::AddressSpace::Global);
  int64_t size = gpuTarget.staticSizes ? int64_t(1) << 30 : ShapedType::kDynamic;
  auto type = MemRefType::get({size}, builder.getI32Type(), MemRefLayoutAttrInterface(), space);
  SmallVector<Type> types(bindings.size(), type);
  function = builder.create<gpu::GPUFuncOp>(name, builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  threadCount = threads;
  buffers.clear();
  SmallVector<int32_t> numbers;
  for (auto [i, binding] : llvm::enumerate(bindings)) {
    buffers.emplace_back(binding, function.getArgument(i));
    numbers.push_back(static_cast<int32_t>(binding));
  }
  function->setAttr("llmir_gpu.bindings", builder.getDenseI32ArrayAttr(numbers));
  builder.setInsertionPointToStart(&function.getBody().front());
}

void KernelBuilder::end() { builder.create<gpu::ReturnOp>(); }

mlir::Value KernelBuilder::buffer(uint32_t binding) const {
  for (auto [number, value] : buffers)
    if (number == binding)
      return value;
  llvm_unreachable("a kernel uses a binding that it did not name");
}

Val KernelBuilder::i32(int64_t value) {
  auto attribute = builder.getI32IntegerAttr(static_cast<int32_t>(value));
  return made(builder.create<arith::ConstantOp>(attribute));
}

Val KernelBuilder::f32(double value) {
  return made(builder.create<arith::ConstantOp>(builder.getF32FloatAttr(value)));
}

mlir::Value KernelBuilder::index(Val value) {
  return builder.create<arith::IndexCastUIOp>(builder.getIndexType(), value.value);
}

Val KernelBuilder::thread() {
  Value id = builder.create<gpu::ThreadIdOp>(gpu::Dimension::x);
  return make<arith::IndexCastUIOp>(this, builder.getI32Type(), id);
}

Val KernelBuilder::groupX() {
  Value id = builder.create<gpu::BlockIdOp>(gpu::Dimension::x);
  return make<arith::IndexCastUIOp>(this, builder.getI32Type(), id);
}

Val KernelBuilder::groupY() {
  Value id = builder.create<gpu::BlockIdOp>(gpu::Dimension::y);
  return make<arith::IndexCastUIOp>(this, builder.getI32Type(), id);
}

Val KernelBuilder::word(uint32_t index) {
  return made(builder.create<llmir_gpu::ParameterOp>(builder.getI32Type(), index));
}

Val KernelBuilder::rowBase(uint32_t operand, Val row) {
  return word(LLMIR_GPU_WORD_OFFSET + operand) + row * word(LLMIR_GPU_WORD_STRIDE + operand);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Val KernelBuilder::load(uint32_t binding, Val at) {
  return made(builder.create<memref::LoadOp>(buffer(binding), index(at)));
}

Val KernelBuilder::load(uint32_t binding, Val at, int64_t offset) {
  Value behind = builder.create<arith::ConstantIndexOp>(offset);
  Value place = builder.create<arith::AddIOp>(index(at), behind);
  return made(builder.create<memref::LoadOp>(buffer(binding), place));
}

KernelBuilder::Quad KernelBuilder::loadQuad(uint32_t binding, Val at, int64_t offset) {
  Quad quad;
  if (!gpuTarget.staticSizes) { // buffers of words have no vectors in SPIR-V
    for (int64_t i = 0; i < 4; ++i)
      quad[i] = load(binding, at, offset + i);
    return quad;
  }
  // The same address seen as one of vectors; both casts are gone when everything is LLVM's.
  auto words = cast<MemRefType>(buffer(binding).getType());
  auto vector = VectorType::get({4}, builder.getI32Type());
  auto type =
      MemRefType::get({words.getDimSize(0) / 4}, vector, words.getLayout(), words.getMemorySpace());
  Value view = builder.create<UnrealizedConversionCastOp>(type, buffer(binding))->getResult(0);
  Value first =
      builder.create<arith::ShRUIOp>(index(at), builder.create<arith::ConstantIndexOp>(2));
  Value place =
      builder.create<arith::AddIOp>(first, builder.create<arith::ConstantIndexOp>(offset / 4));
  Value loaded = builder.create<memref::LoadOp>(view, place);
  for (int64_t i = 0; i < 4; ++i) {
    Value element = builder.create<LLVM::ConstantOp>(builder.getI32IntegerAttr(i));
    quad[i] = made(builder.create<LLVM::ExtractElementOp>(loaded, element));
  }
  return quad;
}

Val KernelBuilder::loadF32(uint32_t binding, Val at) { return asFloat(load(binding, at)); }

void KernelBuilder::store(uint32_t binding, Val at, Val value) {
  Val bits = value.isFloat() ? asBits(value) : value;
  builder.create<memref::StoreOp>(bits.value, buffer(binding), index(at));
}

void KernelBuilder::storeBits(uint32_t binding, Val at, Val mask, Val bits) {
  Val others = made(builder.create<arith::XOrIOp>(mask.value, i32(-1).value));
  Value where = index(at);
  builder.create<memref::AtomicRMWOp>(arith::AtomicRMWKind::andi, others.value, buffer(binding),
                                      where);
  builder.create<memref::AtomicRMWOp>(arith::AtomicRMWKind::ori, bits.value, buffer(binding),
                                      where);
}

Shared KernelBuilder::shared(uint32_t words, bool isFloat) {
  Type element = isFloat ? Type(builder.getF32Type()) : Type(builder.getI32Type());
  auto space = gpu::AddressSpaceAttr::get(module.getContext(), gpu::AddressSpace::Workgroup);
  auto type = MemRefType::get({words}, element, MemRefLayoutAttrInterface(), space);
  if (gpuTarget.staticSizes)
    return {function.addWorkgroupAttribution(type, builder.getLoc())};
  return {builder.create<memref::AllocOp>(type)}; // a Workgroup variable in SPIR-V
}

Val KernelBuilder::load(Shared memory, Val at) {
  return made(builder.create<memref::LoadOp>(memory.memory, index(at)));
}

void KernelBuilder::store(Shared memory, Val at, Val value) {
  builder.create<memref::StoreOp>(value.value, memory.memory, index(at));
}

void KernelBuilder::barrier() { builder.create<gpu::BarrierOp>(); }

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

KernelBuilder::Vals KernelBuilder::loop(Val from, Val to, Val step, Vals state,
                                        llvm::function_ref<Vals(Val, Vals)> body) {
  SmallVector<Value> initial;
  for (Val value : state)
    initial.push_back(value.value);
  auto loop = builder.create<scf::ForOp>(index(from), index(to), index(step), initial);
  {
    OpBuilder::InsertionGuard guard(builder);
    if (initial.empty())
      builder.setInsertionPoint(loop.getBody()->getTerminator());
    else
      builder.setInsertionPointToEnd(loop.getBody());
    Vals inner;
    for (Value value : loop.getRegionIterArgs())
      inner.push_back(made(value));
    Val i = make<arith::IndexCastUIOp>(this, builder.getI32Type(), loop.getInductionVar());
    SmallVector<Value> results;
    for (Val value : body(i, inner))
      results.push_back(value.value);
    if (!initial.empty())
      builder.create<scf::YieldOp>(results);
  }
  Vals results;
  for (Value value : loop.getResults())
    results.push_back(made(value));
  if (!gpuTarget.staticSizes) {
    // MLIR 19 gives SPIR-V's loops a variable for each result, which only an iteration writes:
    // where there is none it has what an earlier run of the same loop left.
    Val runs = from < to;
    for (auto [result, first] : llvm::zip_equal(results, state))
      if (!isMatrix(result))
        result = select(runs, result, first);
  }
  return results;
}

void KernelBuilder::loop(Val from, Val to, Val step, llvm::function_ref<void(Val)> body) {
  loop(from, to, step, {}, [&](Val i, Vals) {
    body(i);
    return Vals();
  });
}

void KernelBuilder::when(Val condition, llvm::function_ref<void()> body) {
  auto op = builder.create<scf::IfOp>(condition.value, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  body();
}

Val KernelBuilder::when(Val condition, llvm::function_ref<Val()> yes,
                        llvm::function_ref<Val()> no) {
  auto build = [&](llvm::function_ref<Val()> part) {
    return [this, part](OpBuilder &, Location) {
      // The callbacks build at the insertion point, which scf::IfOp::build has moved.
      builder.create<scf::YieldOp>(part().value);
    };
  };
  auto op = builder.create<scf::IfOp>(condition.value, build(yes), build(no));
  return made(op.getResult(0));
}

Val KernelBuilder::foldThreads(Shared scratch, Val value, llvm::function_ref<Val(Val, Val)> join) {
  store(scratch, thread(), value);
  barrier();
  Vals result = loop(i32(1), i32(threadCount), i32(1), Vals{load(scratch, i32(0))},
                     [&](Val i, Vals state) { return Vals{join(state[0], load(scratch, i))}; });
  barrier();
  return result[0];
}

Val KernelBuilder::sumThreads(Shared scratch, Val value) {
  return foldThreads(scratch, value, [](Val a, Val b) { return a + b; });
}

Val KernelBuilder::maxThreads(Shared scratch, Val value) {
  return foldThreads(scratch, value, [this](Val a, Val b) { return fmax(a, b); });
}

} // namespace llmir::compiler
