//===- host_kernels_main.cpp - A bundle's GPU kernels for the processor ---===//
//
//   llmir-host-kernels BUNDLE FOLDER
//
// Writes to FOLDER what the stand-in drivers execute in place of the bundle's code for CUDA, HIP
// and Vulkan. The code is generated again from the plan's variants and must be the bundle's, byte
// by byte.
//
//===----------------------------------------------------------------------===//
#include "HostKernels.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>
#include <map>

using namespace llmir::compiler;

namespace {

llvm::Error failure(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what);
}

/// A bundle that llmirc wrote; nothing is checked.
class Bundle {
public:
  explicit Bundle(llvm::StringRef bytes) : bytes(bytes) {}

  template <typename T> T read(uint64_t offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }

  /// The first section of a kind; code of a target and a level.
  llvm::StringRef section(uint32_t kind, uint32_t target = 0, uint32_t level = 0) const {
    auto header = read<llmir_bundle_header_t>(0);
    for (uint32_t i = 0; i < header.section_count; ++i) {
      auto entry = read<llmir_bundle_section_t>(header.section_table_offset +
                                                i * sizeof(llmir_bundle_section_t));
      if (entry.kind == kind &&
          (kind != LLMIR_SECTION_CODE || (entry.target == target && entry.level == level)))
        return bytes.substr(entry.offset, entry.bytes);
    }
    return {};
  }

private:
  llvm::StringRef bytes;
};

/// The variants of a plan, as llmirc had them.
std::vector<KernelVariant> variantsOf(llvm::StringRef section, llmir_plan_record_t &record) {
  const Bundle plan(section);
  record = plan.read<llmir_plan_record_t>(0);
  std::vector<KernelVariant> variants;
  for (uint32_t i = 0; i < record.variant_count; ++i) {
    llmir_plan_variant_t variant;
    variant = plan.read<llmir_plan_variant_t>(record.variant_offset + i * sizeof variant);
    llvm::StringRef params = section.substr(variant.params.offset, variant.params.bytes);
    variants.push_back({variant.kernel, {params.bytes_begin(), params.bytes_end()}});
  }
  return variants;
}

llvm::StringRef imageOf(llvm::ArrayRef<uint8_t> section) {
  llvm::StringRef bytes(reinterpret_cast<const char *>(section.data()), section.size());
  return bytes.drop_front(Bundle(bytes).read<llmir_code_record_t>(0).image_offset);
}

llvm::Error writeKernels(const Bundle &bundle, const std::string &folder) {
  llvm::StringRef plan = bundle.section(LLMIR_SECTION_PLAN);
  if (plan.empty())
    return failure("the bundle has no plan");
  llmir_plan_record_t record;
  std::vector<KernelVariant> variants = variantsOf(plan, record);
  GpuCodeOptions options;
  options.pageTokens = record.page_tokens;
  std::map<std::array<uint32_t, 5>, std::vector<uint8_t>> objects; // of each standInKind
  unsigned count = 0;
  for (const GpuLevel &level : gpuLevels()) {
    llvm::StringRef section = bundle.section(LLMIR_SECTION_CODE, level.target, level.level);
    if (section.empty() || !hasStandIn(level))
      continue;
    auto code = compileGpuCode(variants, options, level);
    if (!code)
      return code.takeError();
    if (!section.ends_with(imageOf(code->section)))
      return failure("the bundle's code is not what its variants give");
    const GpuTarget target = standInTarget(level, options.pageTokens);
    std::vector<uint8_t> &object = objects[standInKind(target)];
    if (object.empty()) {
      auto made = compileHostKernels(variants, target);
      if (!made)
        return made.takeError();
      object = std::move(*made);
    }
    if (llvm::Error error = writeHostKernels(object, *code, folder))
      return error;
    ++count;
  }
  return count > 0 ? llvm::Error::success()
                   : failure("the bundle has no code that a stand-in executes");
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    llvm::errs() << "usage: llmir-host-kernels BUNDLE FOLDER\n";
    return 2;
  }
  auto file = llvm::MemoryBuffer::getFile(argv[1], /*IsText=*/false, /*RequiresNull=*/false);
  if (!file) {
    llvm::errs() << "llmir-host-kernels: " << argv[1] << ": " << file.getError().message() << "\n";
    return 1;
  }
  if (llvm::Error error = writeKernels(Bundle((*file)->getBuffer()), argv[2])) {
    llvm::errs() << "llmir-host-kernels: " << argv[1] << ": " << toString(std::move(error)) << "\n";
    return 1;
  }
  return 0;
}
