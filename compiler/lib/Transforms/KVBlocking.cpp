//===- KVBlocking.cpp - Choose the page size of the key/value cache ---------------------------===//

#include "llmir/Transforms/Passes.h"

#include "llvm/Support/FormatVariadic.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_KVBLOCKINGPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

/// Attention reads whole tiles of 16 tokens. Pages lie apart, and a processor that fetches ahead
/// stops at their ends: 64 tokens are where longer runs no longer help (Passes.td has figures).
static constexpr int64_t kSmallestPage = 16, kUsualPage = 64;

namespace {

struct KVBlocking : llmir::impl::KVBlockingPassBase<KVBlocking> {
  using KVBlockingPassBase::KVBlockingPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    int64_t context = 0, window = 0;
    if (auto attr = module->getAttrOfType<IntegerAttr>(kContextAttr))
      context = attr.getInt();
    forEachCache([&](PagedKVType type) {
      if (type.getWindow() != 0)
        window = window == 0 ? type.getWindow() : std::min(window, type.getWindow());
      return type;
    });

    std::string reason = llvm::formatv("{0} tokens as asked for", pageTokens);
    int64_t page = pageTokens;
    if (page == 0)
      page = choose(context, window, reason);
    if (page < 16 || page > 256 || page % 16 != 0) {
      module.emitError() << "a page has a multiple of 16 tokens from 16 to 256, found " << page;
      return signalPassFailure();
    }
    forEachCache([&](PagedKVType type) {
      return PagedKVType::get(type.getContext(), type.getKvHeads(), type.getHeadDim(), page,
                              type.getWindow(), type.getStorage());
    });
    module->setAttr(kPageReasonAttr, StringAttr::get(module.getContext(), reason));
  }

private:
  /// Halves the usual size until neither the context nor a window wastes much; tells the last
  /// reason.
  static int64_t choose(int64_t context, int64_t window, std::string &reason) {
    int64_t page = kUsualPage;
    reason = llvm::formatv("{0} tokens: larger ones are no faster on CPUs", page);
    while (page > kSmallestPage && context != 0 && page * 32 > context) {
      page /= 2;
      reason = llvm::formatv("{0} tokens: at most a 32nd of the context of {1}", page, context);
    }
    while (page > kSmallestPage && window != 0 && page * 4 > window) {
      page /= 2;
      reason = llvm::formatv("{0} tokens: at most a quarter of the window of {1}", page, window);
    }
    return page;
  }

  /// Replaces the type of every cache value by `change` of it.
  void forEachCache(function_ref<PagedKVType(PagedKVType)> change) {
    auto changeValue = [&](Value value) {
      if (auto type = dyn_cast<PagedKVType>(value.getType()))
        value.setType(change(type));
    };
    getOperation().walk([&](Operation *op) {
      for (Value result : op->getResults())
        changeValue(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            changeValue(argument);
    });
    auto changeType = [&](Type type) -> Type {
      auto cache = dyn_cast<PagedKVType>(type);
      return cache ? change(cache) : type;
    };
    getOperation().walk([&](func::FuncOp function) {
      FunctionType type = function.getFunctionType();
      SmallVector<Type> inputs(llvm::map_range(type.getInputs(), changeType));
      SmallVector<Type> results(llvm::map_range(type.getResults(), changeType));
      function.setFunctionType(FunctionType::get(type.getContext(), inputs, results));
    });
  }
};

} // namespace
