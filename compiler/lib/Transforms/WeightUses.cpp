//===- WeightUses.cpp - Definitions and uses of a module's weights ----------------------------===//

#include "WeightUses.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::llmir;

WeightUses::WeightUses(ModuleOp module) : symbols(module) {
  module.walk([&](Operation *op) {
    if (auto tensor = dyn_cast<TensorOp>(op))
      tensors.push_back(tensor);
    else if (auto weight = dyn_cast<WeightOp>(op))
      weights[weight.getNameAttr().getAttr()].push_back(weight);
  });
}

TensorOp WeightUses::definition(Value weight) {
  auto use = weight.getDefiningOp<WeightOp>();
  return use ? symbols.lookup<TensorOp>(use.getName()) : TensorOp();
}

bool WeightUses::isExclusive(Value weight) {
  TensorOp tensor = definition(weight);
  return tensor && weight.hasOneUse() && uses(tensor).size() == 1;
}

void WeightUses::setType(TensorOp tensor, QTensorType type) {
  tensor.setTypeAttr(TypeAttr::get(type));
  for (WeightOp weight : uses(tensor))
    weight.getResult().setType(type);
}

// The tensor stands where the first of its sources stood, so that the file keeps the order of
// layers.
WeightOp WeightUses::combine(OpBuilder &builder, Location location, ArrayRef<Value> sources,
                             TensorHow how, QTensorType type) {
  SmallVector<StringRef> names;
  SmallVector<Attribute> parts;
  for (Value source : sources) {
    TensorOp tensor = definition(source);
    names.push_back(tensor.getSymName());
    llvm::append_range(parts, tensor.getPartList());
  }
  TensorOp first = definition(sources.front());
  OpBuilder atFirst(first);
  auto tensor = atFirst.create<TensorOp>(first.getLoc(), combinedName(names), type, how,
                                         builder.getArrayAttr(parts), ElementsAttr());
  StringAttr name = symbols.insert(tensor, Block::iterator(first));
  tensors.push_back(tensor);
  auto weight = builder.create<WeightOp>(location, type, FlatSymbolRefAttr::get(name));
  weights[name].push_back(weight);
  return weight;
}

void WeightUses::eraseUnused() {
  for (TensorOp &tensor : tensors) {
    SmallVector<WeightOp> &list = weights[tensor.getSymNameAttr()];
    llvm::erase_if(list, [](WeightOp weight) {
      bool unused = weight->use_empty();
      if (unused)
        weight->erase();
      return unused;
    });
    if (list.empty())
      symbols.erase(std::exchange(tensor, TensorOp()));
  }
  llvm::erase(tensors, TensorOp());
}

std::string llmir::combinedName(ArrayRef<StringRef> names) {
  size_t prefix = names.front().size(), suffix = names.front().size();
  for (StringRef name : names) {
    size_t same = 0;
    while (same < std::min(prefix, name.size()) && name[same] == names.front()[same])
      ++same;
    prefix = same;
    same = 0;
    while (same < std::min(suffix, name.size()) &&
           name[name.size() - 1 - same] == names.front()[names.front().size() - 1 - same])
      ++same;
    suffix = same;
  }
  SmallVector<StringRef> middles;
  bool letters = true;
  for (StringRef name : names) {
    // Prefix and suffix may overlap when a name is short: the prefix wins.
    StringRef middle = name.drop_front(prefix);
    middle = middle.drop_back(std::min(suffix, middle.size()));
    letters &= middle.size() <= 1;
    middles.push_back(middle);
  }
  return (names.front().take_front(prefix) + llvm::join(middles, letters ? "" : "_") +
          names.front().take_back(std::min(suffix, names.front().size() - prefix)))
      .str();
}
