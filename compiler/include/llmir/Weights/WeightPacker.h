//===- WeightPacker.h - Source tensors to the WEIGHTS section -------------===//
//
// Executes tensor recipes: reads rows in the source's encoding, permutes and merges them, and packs
// them into the layouts of quant/. Encodings that a layout can hold pass through value by value;
// the rest goes through binary32 and the quantizers of quant/, and what that costs is measured. The
// section is streamed in pieces of about a megabyte, so that no model is too large for the
// compiling machine.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_WEIGHTS_WEIGHTPACKER_H
#define LLMIR_WEIGHTS_WEIGHTPACKER_H

#include "llmir/Import/ImportedModel.h"
#include "llmir/Plan/TensorRecipe.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <tuple>

namespace llmir::compiler {

/// "S8 group 32", "F16": a layout in reports.
std::string layoutName(uint32_t layout, uint32_t group);

/// Sums of squares behind the figures below; doubles, so that no finite weights overflow them.
struct ConversionLoss {
  double error = 0;  ///< of (new - old)
  double energy = 0; ///< of old; only where values change
  uint64_t elements = 0;

  void add(const ConversionLoss &other);
  double relative() const; ///< root of error / energy
};

/// What one change of encoding cost, over all source tensors that it applied to.
struct WeightConversion {
  SourceType from = SourceType::F32;
  uint32_t layout = LLMIR_LAYOUT_NONE;
  uint32_t group = 0;
  uint64_t tensorCount = 0;
  uint64_t elementCount = 0;
  double relativeError = 0; ///< root of sum (new - old)^2 / sum old^2; 0: value by value
};

/// The same for one tensor of the bundle.
struct PackedTensor {
  std::string name;
  uint64_t bytes = 0;
  double relativeError = 0;
};

class WeightPacker {
public:
  using Sink = llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t>)>;
  using Progress = llvm::function_ref<void(uint64_t doneBytes, uint64_t allBytes)>;

  /// Checks the recipes against the model and lays the section out. Both must outlive the packer.
  static llvm::Expected<WeightPacker> create(const ImportedModel &model,
                                             llvm::ArrayRef<TensorRecipe> recipes);

  /// Size of the whole section and of all tensors' data in it.
  uint64_t sectionBytes() const { return allBytes; }
  uint64_t dataBytes() const { return tensorBytes; }

  /// Elements of all source tensors that the recipes name, each counted once.
  uint64_t parameterCount() const { return parameters; }

  /// Packs on `threadCount` threads (0: as many as the machine runs) and hands the section to
  /// `sink` in order, on the calling thread. The bytes do not depend on the number of threads.
  llvm::Error write(Sink sink, Progress progress = nullptr, unsigned threadCount = 0);

  /// Known after write().
  const std::vector<WeightConversion> &conversions() const { return allConversions; }
  const std::vector<PackedTensor> &tensors() const { return packedTensors; }

private:
  struct Job;
  struct JobResult;

  using ConversionKey = std::tuple<SourceType, uint32_t, uint32_t>; ///< source, layout, group

  explicit WeightPacker(const ImportedModel &model, llvm::ArrayRef<TensorRecipe> recipes)
      : model(&model), recipes(recipes) {}

  llvm::Error checkRecipe(const TensorRecipe &recipe) const;
  llvm::Error checkParts(const TensorRecipe &recipe) const;
  void layOut();
  std::vector<uint8_t> renderHead() const;
  std::vector<Job> makeJobs() const;
  JobResult runJob(const Job &job) const;
  JobResult packValues(const TensorRecipe &recipe, const Job &job) const;
  JobResult packRows(const TensorRecipe &recipe, const Job &job) const;
  void account(const Job &job, const JobResult &result);
  void summarise();

  const ImportedModel *model;
  llvm::ArrayRef<TensorRecipe> recipes;
  std::vector<uint64_t> offsets; ///< of each tensor's data in the section
  std::vector<uint32_t> nameOffsets;
  uint64_t headBytes = 0, allBytes = 0, tensorBytes = 0, parameters = 0;

  std::vector<ConversionLoss> tensorLosses; ///< by recipe
  std::map<ConversionKey, ConversionLoss> conversionLosses;
  std::vector<WeightConversion> allConversions;
  std::vector<PackedTensor> packedTensors;
};

} // namespace llmir::compiler

#endif // LLMIR_WEIGHTS_WEIGHTPACKER_H
