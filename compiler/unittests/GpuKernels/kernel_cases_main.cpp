//===- kernel_cases_main.cpp - Kernels with inputs and expected outputs ---===//
//
//   llmir-kernel-cases FOLDER [NAME]    NAME: only cases whose name begins with it
//
// With LLMIR_CASES_EVERY=N in the environment: every N-th of each kernel.
//
// Writes a file for each kernel case that GPUs have kernels for, with its code for GPUs and the
// result of the processor's kernel: tests/conformance/case_file.h. The hash of the plan is all
// zeros. FOLDER/kernels gets what the stand-in drivers execute in place of the code.
//
//===----------------------------------------------------------------------===//
#include "../CodeGen/KernelCases.h"
#include "HostKernels.h"
#include "llmir/GpuKernels/GpuKernels.h"
#include "tests/conformance/case_file.h"

extern "C" {
#include "quant/kv_layout.h"
#include "targets/cpu/cpu_level.h"
#include "targets/cpu/kernels/kernel_table.h"
}

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace llmir::compiler;

namespace {

constexpr uint32_t kvOffset = 128; // of KernelCases.cpp: bytes of a page in front of the layer

class Writer {
public:
  void add(const void *data, size_t bytes) {
    size_t at = (this->bytes.size() + 63) / 64 * 64;
    this->bytes.resize(at + bytes);
    if (bytes > 0)
      std::memcpy(this->bytes.data() + at, data, bytes);
  }
  std::vector<uint8_t> bytes;
};

/// Rows and columns of a matrix operand, from the kernel's parameters.
void describeTensor(const KernelCase &kernelCase, unsigned operand, case_operand_t &out) {
  const void *data = kernelCase.variant.params.data();
  out.layout = LLMIR_LAYOUT_F32;
  out.rows = 1;
  out.columns = out.bytes / 4;
  if (kernelCase.variant.kernel == LLMIR_KERNEL_EMBED) {
    auto *p = static_cast<const llmir_embed_params_t *>(data);
    out.layout = p->layout, out.group = p->group, out.rows = p->vocab, out.columns = p->dim;
  } else if (kernelCase.variant.kernel == LLMIR_KERNEL_LINEAR && operand == 1) {
    auto *p = static_cast<const llmir_linear_params_t *>(data);
    out.layout = p->layout, out.group = p->group, out.columns = p->columns;
    out.rows = p->gate != LLMIR_GATE_NONE ? 2 * ((p->rows + 15) / 16 * 16) : p->rows;
  }
}

bool isKvOperand(const KernelCase &kernelCase, unsigned operand) {
  return kernelCase.usesKv && operand == (kernelCase.variant.kernel == LLMIR_KERNEL_QKV ? 4u : 1u);
}

/// The head of the file; codes are added later.
case_header_t describe(KernelCase &kernelCase) {
  case_header_t header = {};
  header.magic = CASE_MAGIC;
  header.kernel = kernelCase.variant.kernel;
  header.params_bytes = static_cast<uint32_t>(kernelCase.variant.params.size());
  header.page_tokens = kernelCase.batch.page_tokens;
  header.kv_type = kernelCase.batch.kv_type;
  header.token_count = kernelCase.batch.token_count;
  header.sequence_count = kernelCase.batch.sequence_count;
  header.output_count = kernelCase.batch.output_count;
  header.table_stride = static_cast<uint32_t>(kernelCase.pageTable.size() / header.sequence_count);
  for (unsigned i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
    case_operand_t &operand = header.operands[i];
    operand.bytes = static_cast<uint32_t>(kernelCase.operands[i].bytes());
    operand.row_bytes = kernelCase.rowBytes[i];
    if (isKvOperand(kernelCase, i)) {
      operand.space = LLMIR_OPERAND_KV;
    } else if (operand.bytes != 0 && operand.row_bytes != 0) {
      operand.space = LLMIR_OPERAND_BUFFER;
    } else if (operand.bytes != 0) {
      operand.space = LLMIR_OPERAND_TENSOR;
      describeTensor(kernelCase, i, operand);
    }
  }
  if (kernelCase.usesKv) {
    const void *data = kernelCase.variant.params.data();
    header.page_bytes = kernelCase.kvLayer.page_bytes;
    header.kv_bytes = kernelCase.kv.bytes() - kvOffset;
    if (header.kernel == LLMIR_KERNEL_QKV) {
      auto *p = static_cast<const llmir_qkv_params_t *>(data);
      header.kv_heads = p->kv_heads, header.head_dim = p->head_dim;
    } else {
      auto *p = static_cast<const llmir_attention_params_t *>(data);
      header.kv_heads = p->kv_heads, header.head_dim = p->head_dim, header.window = p->window;
    }
  }
  std::strncpy(header.name, kernelCase.name.c_str(), sizeof header.name - 1);
  return header;
}

/// The same case for the first token alone, as decoding has it.
KernelCase withOneToken(KernelCase kernelCase) {
  kernelCase.pageTable.resize(kernelCase.pageTable.size() / kernelCase.batch.sequence_count);
  kernelCase.batch.token_count = kernelCase.batch.output_count = kernelCase.batch.sequence_count =
      1;
  kernelCase.outputRows = {0};
  kernelCase.name += " one token";
  return kernelCase;
}

llvm::Error writeCase(KernelCase &kernelCase, llvm::ArrayRef<GpuCode> codes,
                      const std::string &path) {
  case_header_t header = describe(kernelCase);
  for (const GpuCode &code : codes)
    header.codes[header.code_count++] = {code.level->target, code.level->level,
                                         static_cast<uint32_t>(code.section.size()), 0};

  Writer writer;
  writer.add(&header, sizeof header);
  writer.add(kernelCase.variant.params.data(), header.params_bytes);
  for (Memory &operand : kernelCase.operands)
    writer.add(operand.data(), operand.bytes());
  writer.add(kernelCase.kv.data() + kvOffset, header.kv_bytes);
  writer.add(kernelCase.tokens.data(), header.token_count * 4);
  writer.add(kernelCase.positions.data(), header.token_count * 4);
  writer.add(kernelCase.sequences.data(), header.token_count * 4);
  writer.add(kernelCase.outputRows.data(), header.output_count * 4);
  writer.add(kernelCase.pageTable.data(), kernelCase.pageTable.size() * 4);
  for (const GpuCode &code : codes)
    writer.add(code.section.data(), code.section.size());

  const llmir_cpu_kernel_table_t *kernels = llmir_cpu_level_choose(0);
  const std::vector<uint8_t> written =
      runKernel(kernelCase, kernels->run[kernelCase.variant.kernel]);
  size_t at = 0;
  for (Memory &operand : kernelCase.operands) {
    writer.add(written.data() + at, operand.bytes());
    at += operand.bytes();
  }
  writer.add(written.data() + at + kvOffset, header.kv_bytes);

  std::error_code failure;
  llvm::raw_fd_ostream file(path, failure);
  if (!failure)
    file.write(reinterpret_cast<const char *>(writer.bytes.data()), writer.bytes.size());
  return failure ? llvm::createStringError(failure, path) : llvm::Error::success();
}

/// Levels that multiply tiles, each in its own way, of which a case has one: those of AMD's chips,
/// and those of Vulkan's cooperative matrices, but for the one of software.
std::vector<const GpuLevel *> tileLevels(uint32_t target) {
  std::vector<const GpuLevel *> levels;
  for (const GpuLevel &level : gpuLevels()) {
    const bool hasTiles = level.kernels.tensorUnit != TensorUnit::None || level.kernels.matrix;
    if (level.target == target && hasTiles && !level.kernels.isSoftware)
      levels.push_back(&level);
  }
  return levels;
}

/// Whether case `number` has code of a level.
bool isFor(const GpuLevel &level, const KernelCase &kernelCase, size_t number) {
  if (level.kernels.matrix && kernelCase.variant.kernel != LLMIR_KERNEL_LINEAR)
    return false; // nothing else differs
  if (level.assembledFor)
    return false;
  if (level.target != LLMIR_SECTION_TARGET_HIP &&
      (!level.kernels.matrix || level.kernels.isSoftware))
    return true;
  const std::vector<const GpuLevel *> levels = tileLevels(level.target);
  return levels[number % levels.size()] == &level;
}

/// Writes what a stand-in executes for the codes of a case.
llvm::Error writeStandIns(const KernelCase &kernelCase, llvm::ArrayRef<GpuCode> codes,
                          const GpuCodeOptions &options, const std::string &folder) {
  std::vector<uint8_t> object;
  std::array<uint32_t, 5> made = {};
  for (const GpuCode &code : codes) {
    if (!hasStandIn(*code.level))
      continue;
    const GpuTarget target = standInTarget(*code.level, options.pageTokens);
    // Only matrix products differ by the instruction for tiles.
    const bool differs = kernelCase.variant.kernel == LLMIR_KERNEL_LINEAR;
    if (object.empty() || (differs && standInKind(target) != made)) {
      auto compiled = compileHostKernels({kernelCase.variant}, target);
      if (!compiled)
        return compiled.takeError();
      object = std::move(*compiled);
      made = standInKind(target);
    }
    if (llvm::Error error = writeHostKernels(object, code, folder + "/kernels"))
      return error;
  }
  return llvm::Error::success();
}

/// The code of all levels that the case is for.
llvm::Expected<std::vector<GpuCode>> compileCase(const KernelCase &kernelCase, size_t number,
                                                 const std::string &folder) {
  GpuCodeOptions options;
  options.pageTokens = 16; // of KernelCases.cpp
  std::vector<GpuCode> codes;
  for (const GpuLevel &level : gpuLevels()) {
    if (!isFor(level, kernelCase, number))
      continue;
    auto code = compileGpuCode({kernelCase.variant}, options, level);
    if (!code)
      return code.takeError();
    codes.push_back(std::move(*code));
  }
  if (llvm::Error error = writeStandIns(kernelCase, codes, options, folder))
    return std::move(error);
  return codes;
}

/// Writes every `step`-th case from the `first` on, each as it is and with one token; returns 0, or
/// 1 after saying what failed.
int writeCases(std::vector<KernelCase> &cases, size_t first, size_t step,
               const std::string &folder) {
  for (size_t i = first; i < cases.size(); i += step) {
    KernelCase one = withOneToken(cases[i]);
    auto codes = compileCase(cases[i], i, folder);
    llvm::Error error = codes ? llvm::Error::success() : codes.takeError();
    size_t number = 2 * i;
    for (KernelCase *each : {&cases[i], &one})
      if (!error)
        error = writeCase(*each, *codes, folder + "/" + std::to_string(number++) + ".case");
    if (error) {
      llvm::errs() << "llmir-kernel-cases: " << cases[i].name << ": "
                   << llvm::toString(std::move(error)) << "\n";
      return 1;
    }
  }
  return 0;
}

/// All cases, by a process for each processor: the linkers of code objects are not made for
/// threads.
int writeAll(std::vector<KernelCase> &cases, const std::string &folder) {
  const size_t count = std::max(1u, std::thread::hardware_concurrency());
  for (size_t i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0)
      return 1;
    if (child == 0)
      _exit(writeCases(cases, i, count, folder));
  }
  int failed = 0, status = 0;
  while (wait(&status) > 0)
    failed |= status;
  return failed != 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) {
    llvm::errs() << "usage: llmir-kernel-cases FOLDER [NAME]\n";
    return 2;
  }
  const std::string folder = argv[1];
  (void)llvm::sys::fs::create_directories(folder);
  const char *every = std::getenv("LLMIR_CASES_EVERY");
  const size_t step = every ? std::max(1, std::atoi(every)) : 1;
  std::array<size_t, LLMIR_KERNEL_COUNT> seen = {};
  std::vector<KernelCase> cases;
  for (auto *make : {makeKernelCases, makeLongCases})
    for (KernelCase &kernelCase : make(1))
      if ((argc == 2 || llvm::StringRef(kernelCase.name).starts_with(argv[2])) &&
          seen[kernelCase.variant.kernel]++ % step == 0)
        cases.push_back(std::move(kernelCase));
  if (writeAll(cases, folder) != 0)
    return 1;
  // What an earlier run left beyond them would be read as one more.
  for (size_t i = 2 * cases.size();; ++i)
    if (std::remove((folder + "/" + std::to_string(i) + ".case").c_str()) != 0)
      break;
  llvm::outs() << 2 * cases.size() << " cases\n";
}
