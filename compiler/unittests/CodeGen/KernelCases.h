//===- KernelCases.h - Kernels with random inputs -------------------------===//
//
// What the tests of code generation run: kernels with the parameters of real models, over random
// batches. A case owns all memory that a kernel reads and writes.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_UNITTESTS_CODEGEN_KERNELCASES_H
#define LLMIR_UNITTESTS_CODEGEN_KERNELCASES_H

#include "llmir/CodeGen/CpuCodeGen.h"

extern "C" {
#include "targets/cpu/kernels/kernel_table.h"
}

#include <string>
#include <vector>

namespace llmir::compiler {

/// Bytes that begin at a multiple of 64.
class Memory {
public:
  explicit Memory(size_t bytes = 0) : lines((bytes + 63) / 64), size(bytes) {}
  uint8_t *data() { return reinterpret_cast<uint8_t *>(lines.data()); }
  size_t bytes() const { return size; }

private:
  struct alignas(64) Line {
    uint8_t bytes[64] = {};
  };
  std::vector<Line> lines;
  size_t size;
};

struct KernelCase {
  std::string name;
  KernelVariant variant;
  llmir_cpu_batch_t batch{};
  llmir_cpu_kv_layer_t kvLayer{};
  bool usesKv = false;
  std::vector<Memory> operands; ///< operand i; empty: absent. The KV operand is `kvLayer`
  std::vector<uint32_t> rowBytes;
  Memory kv;
  std::vector<int32_t> tokens, positions;
  std::vector<uint32_t> sequences, outputRows, pageTable;
};

/// One case for every kernel and for each layout, format and flag that selects other code.
std::vector<KernelCase> makeKernelCases(uint32_t seed);

/// Attention over contexts longer than what GPUs take at once.
std::vector<KernelCase> makeLongCases(uint32_t seed);

/// Runs all tiles over a copy of the inputs and returns every byte that the kernel may have
/// written: the operands and the KV pages, one after the other.
std::vector<uint8_t> runKernel(KernelCase kernelCase, llmir_cpu_kernel_fn kernel);

} // namespace llmir::compiler

#endif // LLMIR_UNITTESTS_CODEGEN_KERNELCASES_H
