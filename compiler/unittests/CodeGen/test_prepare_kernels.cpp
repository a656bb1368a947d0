//===- test_prepare_kernels.cpp - Kernels made ready for specialisation ---===//
//
// Splitting of local structs, and that constants then reach every use of a kernel's parameters. The
// functions are written as clang writes them before any pass.
//
//===----------------------------------------------------------------------===//
#include "compiler/lib/CodeGen/KernelTarget.h"
#include "compiler/lib/CodeGen/PrepareKernels.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/SourceMgr.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

using namespace llvm;
using namespace llmir::compiler;

namespace {

/// %tile is { const params *, uint32_t, float sums[8] }, %outer holds one behind a number.
constexpr const char *prologue = R"(
  target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
  target triple = "x86_64-unknown-linux-gnu"
  %tile = type { ptr, i32, [8 x float] }
  %outer = type { i32, %tile }
  declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
  declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
  declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
  declare void @llvm.lifetime.start.p0(i64, ptr)
  declare void @elsewhere(ptr)
)";

class ParsedModule {
public:
  explicit ParsedModule(const std::string &functions) {
    SMDiagnostic diagnostic;
    module = parseAssemblyString(prologue + functions, diagnostic, context);
    if (!module)
      fail_msg("line %d: %s", diagnostic.getLineNo(), diagnostic.getMessage().str().c_str());
  }

  Function &function(StringRef name) { return *module->getFunction(name); }

  LLVMContext context;
  std::unique_ptr<Module> module;
};

unsigned countStructs(Function &function) {
  return count_if(instructions(function), [](Instruction &instruction) {
    auto *local = dyn_cast<AllocaInst>(&instruction);
    return local && local->getAllocatedType()->isStructTy();
  });
}

/// Splits @f of `body` and returns how many local structs are left.
unsigned structsAfterSplit(const std::string &body, bool expectChange) {
  ParsedModule parsed(body);
  Function &function = parsed.function("f");
  assert_int_equal(splitLocalStructs(function), expectChange);
  assert_false(static_cast<bool>(verifyKernels(*parsed.module, "splitting")));
  return countStructs(function);
}

void test_split_structs_variable_index_is_split(void **state) {
  (void)state;
  assert_int_equal(structsAfterSplit(R"(
    define float @f(ptr %p, i64 %i) {
      %t = alloca %tile, align 64
      call void @llvm.lifetime.start.p0(i64 48, ptr %t)
      store ptr %p, ptr %t
      %count = getelementptr inbounds %tile, ptr %t, i32 0, i32 1
      store i32 3, ptr %count
      %sums = getelementptr inbounds %tile, ptr %t, i32 0, i32 2
      %sum = getelementptr inbounds [8 x float], ptr %sums, i64 0, i64 %i
      %v = load float, ptr %sum
      ret float %v
    })",
                                     true),
                   0);
}

void test_split_structs_nested_struct_is_split_to_the_end(void **state) {
  (void)state;
  assert_int_equal(structsAfterSplit(R"(
    define void @f(ptr %p) {
      %o = alloca %outer
      %t = getelementptr inbounds %outer, ptr %o, i32 0, i32 1
      %count = getelementptr inbounds %tile, ptr %t, i32 0, i32 1
      store i32 3, ptr %count
      %both = getelementptr inbounds %outer, ptr %o, i32 0, i32 1, i32 0
      store ptr %p, ptr %both
      ret void
    })",
                                     true),
                   0);
}

void test_split_structs_whole_copies_are_split(void **state) {
  (void)state;
  assert_int_equal(structsAfterSplit(R"(
    define void @f(ptr %from, ptr %to) {
      %t = alloca %tile
      call void @llvm.memset.p0.i64(ptr %t, i8 0, i64 48, i1 false)
      call void @llvm.memcpy.p0.p0.i64(ptr %t, ptr %from, i64 48, i1 false)
      call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %t, i64 48, i1 false)
      ret void
    })",
                                     true),
                   0);
}

void test_split_structs_partial_copy_is_left(void **state) {
  (void)state;
  assert_int_equal(structsAfterSplit(R"(
    define void @f(ptr %from) {
      %t = alloca %tile
      call void @llvm.memcpy.p0.p0.i64(ptr %t, ptr %from, i64 12, i1 false)
      ret void
    })",
                                     false),
                   1);
}

void test_split_structs_escaping_address_is_left(void **state) {
  (void)state;
  const std::vector<std::string> uses = {
      "call void @elsewhere(ptr %t)",
      "store ptr %t, ptr %p",
      "%q = getelementptr inbounds i8, ptr %t, i64 %i\n store i8 0, ptr %q",
      "%q = getelementptr inbounds %tile, ptr %t, i64 %i, i32 1\n store i32 0, ptr %q",
      "%q = load i128, ptr %t", // more than the first member
  };
  for (const std::string &use : uses)
    assert_int_equal(structsAfterSplit(("define void @f(ptr %p, i64 %i) {\n"
                                        "%t = alloca %tile\n") +
                                           use + "\nret void\n}",
                                       false),
                     1);
}

/// A kernel keeps its parameters beside an array that it indexes, and reads them in a helper. After
/// preparation the load of the parameter hangs on the argument alone.
void test_prepare_kernels_parameters_reach_helpers(void **state) {
  (void)state;
  ParsedModule parsed(R"(
    define internal i32 @helper(ptr %t, i64 %i) noinline #0 {
      %slot = alloca ptr
      store ptr %t, ptr %slot
      %again = load ptr, ptr %slot
      %sums = getelementptr inbounds %tile, ptr %again, i32 0, i32 2
      %sum = getelementptr inbounds [8 x float], ptr %sums, i64 0, i64 %i
      store float 1.0, ptr %sum
      %params = load ptr, ptr %again
      %dim = load i32, ptr %params
      ret i32 %dim
    }
    define i32 @llmir_kernel_f(ptr %params, i64 %i) #0 {
      %t = alloca %tile
      store ptr %params, ptr %t
      %dim = call i32 @helper(ptr %t, i64 %i)
      ret i32 %dim
    }
    attributes #0 = { "target-cpu"="x86-64-v3" "target-features"="+avx2,+fma" })");
  auto machine = targetMachineFor(*parsed.module);
  assert_true(static_cast<bool>(machine));
  assert_false(static_cast<bool>(prepareKernels(*parsed.module, **machine)));
  Function &kernel = parsed.function("llmir_kernel_f");
  assert_null(parsed.module->getFunction("helper"));
  auto *result = cast<ReturnInst>(kernel.getEntryBlock().getTerminator())->getReturnValue();
  auto *load = dyn_cast<LoadInst>(result);
  assert_non_null(load);
  assert_ptr_equal(load->getPointerOperand(), kernel.getArg(0));
}

/// Counts the memory intrinsics of @f that are longer than 128 bytes or of unknown length.
unsigned countLongIntrinsics(Function &function) {
  return count_if(instructions(function), [](Instruction &instruction) {
    auto *intrinsic = dyn_cast<MemIntrinsic>(&instruction);
    auto *length = intrinsic ? dyn_cast<ConstantInt>(intrinsic->getLength()) : nullptr;
    return intrinsic && (!length || length->getZExtValue() > 128);
  });
}

void test_expand_memory_no_call_is_left(void **state) {
  (void)state;
  ParsedModule parsed(R"(
    define void @f(ptr %to, ptr %from, i64 %n) #0 {
      call void @llvm.memset.p0.i64(ptr align 8 %to, i8 0, i64 408, i1 false)
      call void @llvm.memset.p0.i64(ptr %to, i8 1, i64 %n, i1 false)
      call void @llvm.memset.p0.i64(ptr %to, i8 0, i64 64, i1 false)
      call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 300, i1 false)
      call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 100000, i1 false)
      call void @llvm.memmove.p0.p0.i64(ptr %to, ptr %from, i64 300, i1 false)
      ret void
    }
    attributes #0 = { "target-cpu"="x86-64-v3" "target-features"="+avx2,+fma" })");
  auto machine = targetMachineFor(*parsed.module);
  assert_true(static_cast<bool>(machine));
  Function &function = parsed.function("f");
  assert_int_equal(countLongIntrinsics(function), 5);
  expandMemoryIntrinsics(function, **machine);
  assert_int_equal(countLongIntrinsics(function), 0);
  assert_false(static_cast<bool>(verifyKernels(*parsed.module, "expansion")));
  unsigned bytesSet = 0;
  for (Instruction &instruction : instructions(function))
    if (auto *set = dyn_cast<MemSetInst>(&instruction))
      bytesSet += cast<ConstantInt>(set->getLength())->getZExtValue();
  assert_int_equal(bytesSet, 408 + 64);
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_split_structs_variable_index_is_split),
      cmocka_unit_test(test_split_structs_nested_struct_is_split_to_the_end),
      cmocka_unit_test(test_split_structs_whole_copies_are_split),
      cmocka_unit_test(test_split_structs_partial_copy_is_left),
      cmocka_unit_test(test_split_structs_escaping_address_is_left),
      cmocka_unit_test(test_prepare_kernels_parameters_reach_helpers),
      cmocka_unit_test(test_expand_memory_no_call_is_left),
  };
  return cmocka_run_group_tests_name("prepare_kernels", tests, nullptr, nullptr);
}
