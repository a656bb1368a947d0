//===- StaticArena.cpp - Memory that a bundle needs, without a heap -------===//
//
// The runtime itself loads the bundle with an allocator that keeps count. The pool is not created:
// what it takes is announced.
//
//===----------------------------------------------------------------------===//
#include "StaticArena.h"
#include "llmir.h"
#include "llmir_bundle.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace llvm;
namespace llmir::compiler {
namespace {

/// Where an array would be full to, if all memory came from its front and only its last block could
/// be given back.
struct Count {
  uint64_t used = 0, most = 0;

  static void *resize(void *self, void *block, size_t oldSize, size_t newSize, size_t alignment) {
    auto *count = static_cast<Count *>(self);
    if (block && newSize == 0 && block == count->last && count->lastSize == oldSize)
      count->used -= oldSize;
    void *moved = nullptr;
    if (newSize != 0) {
      moved = std::aligned_alloc(alignment, alignTo(newSize, alignment));
      count->used = alignTo(count->used, alignment) + newSize;
      count->most = std::max(count->most, count->used);
      count->last = moved;
      count->lastSize = newSize;
    }
    if (moved && block)
      std::memcpy(moved, block, std::min(oldSize, newSize));
    std::free(block);
    return moved;
  }

private:
  void *last = nullptr;
  size_t lastSize = 0;
};

} // namespace

/// Adds what a pool of the bundle would take.
static llmir_status_t countBundle(const void *data, size_t bytes, Count &count,
                                  llmir_error_t &error) {
  llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
  options.thread_count = 1;
  options.flags = LLMIR_RUNTIME_NO_BUNDLE_CODE;
  options.allocator = {&count, Count::resize};
  llmir_runtime_t *runtime = nullptr;
  llmir_model_t *model = nullptr;
  llmir_memory_plan_t plan = {};
  plan.struct_size = sizeof plan;
  llmir_status_t status = llmir_runtime_create(&options, &runtime, &error);
  if (status == LLMIR_STATUS_OK)
    status = llmir_model_load_memory(runtime, data, bytes, nullptr, &model, &error);
  if (status == LLMIR_STATUS_OK)
    status = llmir_model_memory_plan(model, nullptr, &plan, &error);
  const uint64_t pool = alignTo(count.used, LLMIR_BUNDLE_SECTION_ALIGNMENT) + plan.arena_bytes;
  llmir_model_destroy(model);
  llmir_runtime_destroy(runtime);
  count.most = std::max(count.most, pool);
  return status;
}

Expected<uint64_t> staticArenaBytes(StringRef path, uint64_t offset, uint64_t bytes) {
  auto file = sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  std::error_code code;
  sys::fs::mapped_file_region region(*file, sys::fs::mapped_file_region::readonly,
                                     static_cast<size_t>(offset + bytes), 0, code);
  (void)sys::fs::closeFile(*file);
  if (code)
    return createStringError(code, "'" + path + "': cannot be mapped");
  Count count;
  llmir_error_t error = {};
  if (countBundle(region.const_data() + offset, bytes, count, error) != LLMIR_STATUS_OK)
    return createStringError(
        inconvertibleErrorCode(),
        "'" + path + "': the runtime does not load what was compiled: " + error.message);
  return alignTo(count.most, LLMIR_BUNDLE_SECTION_ALIGNMENT);
}

} // namespace llmir::compiler
