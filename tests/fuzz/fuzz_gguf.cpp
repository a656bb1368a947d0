// Fuzzes the GGUF front end: any bytes are an error or a model, and a model's weights can be
// packed.
//
//   gguf_corpus CORPUS && fuzz_gguf CORPUS -max_len=65536
#include "llmir/Import/Gguf.h"
#include "llmir/Weights/WeightPacker.h"

using namespace llmir::compiler;

/// One recipe per tensor; matrices take turns with the panel layouts.
static std::vector<TensorRecipe> recipesFor(const ImportedModel &model) {
  std::vector<TensorRecipe> recipes;
  for (const auto &[name, tensor] : model.tensors) {
    TensorRecipe recipe;
    recipe.name = name;
    recipe.shape.assign(tensor.shape.begin(), tensor.shape.end());
    recipe.layout = LLMIR_LAYOUT_F32;
    if (tensor.shape.size() == 2 && tensor.shape[1] % 32 == 0) {
      const uint32_t panels = LLMIR_LAYOUT_PANEL_S8 - LLMIR_LAYOUT_PANEL_F32 + 1;
      recipe.layout = LLMIR_LAYOUT_PANEL_F32 + static_cast<uint32_t>(recipes.size()) % panels;
      recipe.group = recipe.layout >= LLMIR_LAYOUT_PANEL_S4 ? 32 : 0;
    }
    recipe.parts.push_back({name, static_cast<uint32_t>(tensor.shape[0])});
    recipes.push_back(std::move(recipe));
  }
  return recipes;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::Expected<ImportedModel> model = importGgufBuffers({GgufBuffer{"fuzz", {data, size}}});
  if (!model) {
    llvm::consumeError(model.takeError());
    return 0;
  }
  const std::vector<TensorRecipe> recipes = recipesFor(*model);
  llvm::Expected<WeightPacker> packer = WeightPacker::create(*model, recipes);
  if (!packer) {
    llvm::consumeError(packer.takeError());
    return 0;
  }
  uint64_t bytes = 0;
  llvm::Error error = packer->write(
      [&](llvm::ArrayRef<uint8_t> piece) {
        bytes += piece.size();
        return llvm::Error::success();
      },
      nullptr, /*threadCount=*/1);
  const bool failed = bool(error);
  llvm::consumeError(std::move(error));
  if (!failed && bytes != packer->sectionBytes())
    __builtin_trap();
  return 0;
}
