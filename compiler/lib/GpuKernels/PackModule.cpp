//===- PackModule.cpp - A module of code, packed for a bundle -------------===//
//
// By liblzma. The runtime's side is targets/gpu/lzma.c.
//
//===----------------------------------------------------------------------===//
#include "PackModule.h"

#include "llmir_bundle.h"

#include <lzma.h>

using namespace llvm;

namespace llmir::compiler {

Expected<std::vector<uint8_t>> packModule(ArrayRef<uint8_t> module) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME);
  options.dict_size = LLMIR_GPU_MODULE_BYTES_MAX;
  options.lc = LLMIR_LZMA_LC;
  options.lp = LLMIR_LZMA_LP;
  options.pb = LLMIR_LZMA_PB;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  // What cannot be packed grows by less than this.
  std::vector<uint8_t> packed(module.size() + module.size() / 8 + 64);
  size_t bytes = 0;
  const lzma_ret result =
      module.size() > LLMIR_GPU_MODULE_BYTES_MAX
          ? LZMA_BUF_ERROR
          : lzma_raw_buffer_encode(filters, nullptr, module.data(), module.size(), packed.data(),
                                   &bytes, packed.size());
  if (result != LZMA_OK)
    return createStringError(inconvertibleErrorCode(), "packing %zu bytes of code: liblzma says %d",
                             module.size(), static_cast<int>(result));
  packed.resize(bytes);
  return packed;
}

} // namespace llmir::compiler
