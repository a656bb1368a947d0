//===- KernelBuilder.h - A small language to write GPU kernels in ---------===//
//
// Values with operators over the arith, math, scf, memref and gpu dialects. A kernel is a C++
// function that builds one gpu.func; what is constant in C++ (shapes, tiles) is constant in the
// kernel. Buffers are arrays of 32-bit words, because those exist everywhere; floats are
// reinterpreted, halves unpacked.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_KERNELBUILDER_H
#define LLMIR_LIB_GPUKERNELS_KERNELBUILDER_H

#include "llmir/GpuKernels/GpuKernels.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <array>
#include <utility>

namespace llmir::compiler {

class KernelBuilder;

/// A value of the kernel that is being built.
class Val {
public:
  Val() = default;
  Val(mlir::Value value, KernelBuilder *builder) : value(value), builder(builder) {}

  bool isFloat() const { return mlir::isa<mlir::FloatType>(value.getType()); }

  mlir::Value value;
  KernelBuilder *builder = nullptr;
};

/// Integers are unsigned unless a name says otherwise; both sides have one type.
Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator/(Val a, Val b);
Val operator%(Val a, Val b);
Val operator&(Val a, Val b);
Val operator|(Val a, Val b);
Val operator<<(Val a, Val b);
Val operator>>(Val a, Val b);
Val operator<(Val a, Val b);
Val operator==(Val a, Val b);
Val operator+(Val a, int64_t b);
Val operator-(Val a, int64_t b);
Val operator*(Val a, int64_t b);
Val operator/(Val a, int64_t b);
Val operator%(Val a, int64_t b);
Val operator&(Val a, int64_t b);
Val operator<<(Val a, int64_t b);
Val operator>>(Val a, int64_t b);
Val operator<(Val a, int64_t b);
Val operator==(Val a, int64_t b);

/// Memory of a workgroup.
struct Shared {
  mlir::Value memory;
};

class KernelBuilder {
public:
  KernelBuilder(mlir::gpu::GPUModuleOp module, const GpuTarget &target);

  const GpuTarget &target() const { return gpuTarget; }

  /// A function of `threads` threads that uses `bindings`; what follows is its body until end().
  void begin(llvm::StringRef name, uint32_t threads, llvm::ArrayRef<uint32_t> bindings);
  void end();

  Val i32(int64_t value);
  Val f32(double value);

  // ---- Where a thread is ----
  Val thread();
  Val groupX();
  Val groupY();
  Val word(uint32_t index);               ///< LLMIR_GPU_WORD_...
  Val rowBase(uint32_t operand, Val row); ///< first word of a row of an operand
  Val rowBase(uint32_t operand) { return word(LLMIR_GPU_WORD_OFFSET + operand); }

  // ---- Memory ----
  Val load(uint32_t binding, Val index);
  /// The word `offset` words behind `index`: neighbours share an address.
  Val load(uint32_t binding, Val index, int64_t offset);
  /// Four adjacent words; both numbers are multiples of 4, as is where the buffer begins.
  using Quad = std::array<Val, 4>;
  Quad loadQuad(uint32_t binding, Val index, int64_t offset);
  Val loadF32(uint32_t binding, Val index);
  void store(uint32_t binding, Val index, Val value); ///< i32 or f32
  /// Replaces the bits of `mask` in a word; other threads may change the others meanwhile.
  void storeBits(uint32_t binding, Val index, Val mask, Val bits);
  Shared shared(uint32_t words, bool isFloat);
  Val load(Shared memory, Val index);
  void store(Shared memory, Val index, Val value);
  void barrier();

  // ---- Arithmetic ----
  Val select(Val condition, Val a, Val b);
  Val both(Val a, Val b);   ///< of conditions
  Val either(Val a, Val b); ///< of conditions
  Val umin(Val a, Val b);
  Val fmax(Val a, Val b);
  Val fmin(Val a, Val b);
  Val fabs(Val a);
  Val fma(Val a, Val b, Val c);
  Val sqrt(Val a);
  Val roundEven(Val a);
  Val greater(Val a, Val b); ///< of floats
  Val atLeast(Val a, Val b); ///< of floats
  Val toFloat(Val signedInteger);
  Val toSigned(Val number);
  Val asFloat(Val bits);
  Val asBits(Val number);
  Val shiftSigned(Val a, int64_t bits); ///< right, with the sign
  Val mulHigh(Val a, Val b);            ///< upper half of the 64-bit product
  Val exp(Val a);                       ///< within 2^-22; 0 below -87, as of 88 above
  Val tanh(Val a);
  Val gate(Val a, uint32_t gate);
  Val softCap(Val a, float cap);

  /// The half in bits 0 .. 15 (`high`: 16 .. 31) of a word as f32.
  Val half(Val word, bool high);
  /// Bits of the half nearest to a float, ties to even, in the low 16 bits.
  Val toHalf(Val number);
  /// The float whose upper half is a bf16 in bits 0 .. 15 (`high`: 16 .. 31).
  Val bfloat(Val word, bool high);

  /// acc + the sum of four products of signed bytes.
  Val dot4(Val a, Val b, Val acc);
  /// acc + the products of the two signed halves of `a` with two signed bytes of `b`: bytes 0 and
  /// 1, `high`: 2 and 3.
  Val dot2(Val a, Val b, bool high, Val acc);

  // ---- Control ----
  using Vals = llvm::SmallVector<Val, 8>;
  /// for (i = from; i < to; i += step) state = body(i, state); with matrices in `state`, at least
  /// once.
  Vals loop(Val from, Val to, Val step, Vals state, llvm::function_ref<Vals(Val, Vals)> body);
  void loop(Val from, Val to, Val step, llvm::function_ref<void(Val)> body);
  void when(Val condition, llvm::function_ref<void()> body);
  Val when(Val condition, llvm::function_ref<Val()> yes, llvm::function_ref<Val()> no);

  /// Sum over all threads of the workgroup, in the order of the threads. `scratch` has a word for
  /// each thread and may be used again afterwards.
  Val sumThreads(Shared scratch, Val value);
  Val maxThreads(Shared scratch, Val value);

  mlir::ImplicitLocOpBuilder &ops() { return builder; }

private:
  Val foldThreads(Shared scratch, Val value, llvm::function_ref<Val(Val, Val)> join);
  mlir::Value buffer(uint32_t binding) const;
  Val made(mlir::Value value) { return Val(value, this); }
  mlir::Value index(Val value);

  mlir::gpu::GPUModuleOp module;
  GpuTarget gpuTarget;
  mlir::ImplicitLocOpBuilder builder;
  mlir::gpu::GPUFuncOp function;
  uint32_t threadCount = 0;
  llvm::SmallVector<std::pair<uint32_t, mlir::Value>, 8> buffers;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_KERNELBUILDER_H
