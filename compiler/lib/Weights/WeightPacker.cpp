//===- WeightPacker.cpp - Source tensors to the WEIGHTS section -----------===//
//
//   | llmir_weights_record | llmir_tensor_record[] | names | padding | data, 64-byte aligned ... |
//
// A job packs some panels of one tensor into a buffer of its own; panels follow each other by rows,
// so the buffers of a tensor's jobs, one after the other, are its data.
//
//===----------------------------------------------------------------------===//
#include "llmir/Weights/WeightPacker.h"

#include "OrderedJobs.h"
#include "RowConverter.h"
#include "llmir/Import/SourceTypes.h"
#include "llmir/Weights/Dequantize.h"
#include "quant/quant_layout.h"

#include "llvm/Support/MathExtras.h"

#include <array>
#include <cmath>
#include <cstring>
#include <set>

using namespace llvm;
namespace llmir::compiler {

namespace {
constexpr uint64_t jobBytes = 1u << 20; // packed bytes of a job, about
constexpr size_t sourceTypeCount = static_cast<size_t>(SourceType::Q6_K) + 1;
} // namespace

struct WeightPacker::Job {
  size_t recipe = 0;
  uint32_t firstRow = 0, rowCount = 0; ///< whole panels but at the end
  bool endsTensor = false;
};

struct WeightPacker::JobResult {
  std::vector<uint8_t> bytes;
  std::array<ConversionLoss, sourceTypeCount> losses; ///< by source type
  std::string fault;                                  ///< empty: done
};

void ConversionLoss::add(const ConversionLoss &other) {
  error += other.error;
  energy += other.energy;
  elements += other.elements;
}

double ConversionLoss::relative() const { return energy > 0 ? std::sqrt(error / energy) : 0.0; }

std::string layoutName(uint32_t layout, uint32_t group) {
  static const char *const names[] = {"none", "F32", "F16", "F32", "F16", "BF16", "S4", "U4", "S8"};
  const std::string name = layout < std::size(names) ? names[layout] : "unknown";
  return group == 0 ? name : name + " group " + std::to_string(group);
}

//===----------------------------------------------------------------------===//
// Checking the recipes
//===----------------------------------------------------------------------===//

static Error recipeError(const TensorRecipe &recipe, const Twine &what) {
  return createStringError(inconvertibleErrorCode(), "tensor '" + recipe.name + "': " + what);
}

Expected<WeightPacker> WeightPacker::create(const ImportedModel &model,
                                            ArrayRef<TensorRecipe> recipes) {
  WeightPacker packer(model, recipes);
  if (recipes.size() > UINT32_MAX)
    return createStringError(inconvertibleErrorCode(), "too many tensors");
  for (const TensorRecipe &recipe : recipes)
    if (Error error = packer.checkRecipe(recipe))
      return error;
  packer.layOut();
  return packer;
}

Error WeightPacker::checkRecipe(const TensorRecipe &recipe) const {
  if (recipe.shape.empty() || recipe.shape.size() > 2)
    return recipeError(recipe, "rank " + Twine(recipe.shape.size()) + ", expected 1 or 2");
  const bool isInteger = llmir_layout_is_integer(recipe.layout);
  if (recipe.layout < LLMIR_LAYOUT_F32 || recipe.layout > LLMIR_LAYOUT_PANEL_S8)
    return recipeError(recipe, "layout " + Twine(recipe.layout) + " is unknown");
  if (isInteger && !llmir_group_is_valid(recipe.group))
    return recipeError(recipe, "group " + Twine(recipe.group) + ", expected " LLMIR_GROUPS);
  if (!isInteger && recipe.group != 0)
    return recipeError(recipe, "group " + Twine(recipe.group) + ", expected 0 for a float layout");
  if (isInteger && recipe.columns() % recipe.group != 0)
    return recipeError(recipe, Twine(recipe.columns()) + " columns, expected a multiple of " +
                                   Twine(recipe.group));
  if (recipe.shape.size() == 1 && recipe.layout != LLMIR_LAYOUT_F32 &&
      recipe.layout != LLMIR_LAYOUT_F16)
    return recipeError(recipe, "a vector needs layout F32 or F16");
  if (recipe.how != TensorHow::Constant)
    return checkParts(recipe);
  const uint64_t expected = uint64_t(recipe.rows()) * recipe.columns();
  if (!recipe.parts.empty() || recipe.constant.size() != expected)
    return recipeError(recipe, Twine(recipe.constant.size()) + " constant values, expected " +
                                   Twine(expected) + " and no parts");
  return isInteger ? recipeError(recipe, "constants need a float layout") : Error::success();
}

/// Rows that a part takes in the result.
static uint64_t placedRows(const TensorRecipe &recipe, const TensorPart &part) {
  return recipe.how == TensorHow::InterleavePanels ? alignTo(part.rows, LLMIR_PANEL_ROWS)
                                                   : part.rows;
}

Error WeightPacker::checkParts(const TensorRecipe &recipe) const {
  const size_t count = recipe.parts.size();
  if (recipe.how == TensorHow::ConcatRows ? count == 0
                                          : count != (recipe.how == TensorHow::Plain ? 1u : 2u))
    return recipeError(recipe, Twine(count) + " parts do not fit the recipe");
  uint64_t rows = 0;
  for (const TensorPart &part : recipe.parts) {
    auto it = model->tensors.find(part.name);
    if (it == model->tensors.end())
      return recipeError(recipe, "part '" + part.name + "' is not in the model");
    const std::vector<int64_t> &shape = it->second.shape;
    const bool fits = shape.size() == recipe.shape.size() && shape[0] == int64_t(part.rows) &&
                      (shape.size() == 1 || shape[1] == int64_t(recipe.columns()));
    if (!fits)
      return recipeError(recipe, "the shape of part '" + part.name + "' does not fit");
    if (part.ropeHeadDim != 0 &&
        (part.rows % part.ropeHeadDim != 0 || part.ropeDim > part.ropeHeadDim || part.ropeDim % 2))
      return recipeError(recipe, "part '" + part.name + "' cannot be permuted in heads of " +
                                     Twine(part.ropeHeadDim));
    rows += placedRows(recipe, part);
  }
  if (recipe.how == TensorHow::InterleavePanels && recipe.parts[0].rows != recipe.parts[1].rows)
    return recipeError(recipe, "gate and up differ in rows");
  if (rows != recipe.shape[0])
    return recipeError(recipe, "the parts have " + Twine(rows) + " rows, expected " +
                                   Twine(recipe.shape[0]));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Layout of the section
//===----------------------------------------------------------------------===//

static uint64_t dataBytesOf(const TensorRecipe &recipe) {
  return llmir_layout_bytes(recipe.layout, recipe.group, recipe.rows(), recipe.columns());
}

void WeightPacker::layOut() {
  uint64_t position =
      sizeof(llmir_weights_record_t) + recipes.size() * sizeof(llmir_tensor_record_t);
  for (const TensorRecipe &recipe : recipes) {
    nameOffsets.push_back(static_cast<uint32_t>(position));
    position += recipe.name.size();
  }
  headBytes = position = alignTo(position, LLMIR_BUNDLE_TENSOR_ALIGNMENT);
  std::set<StringRef> sources;
  for (const TensorRecipe &recipe : recipes) {
    offsets.push_back(position);
    tensorBytes += dataBytesOf(recipe);
    position = alignTo(position + dataBytesOf(recipe), LLMIR_BUNDLE_TENSOR_ALIGNMENT);
    for (const TensorPart &part : recipe.parts)
      if (sources.insert(part.name).second)
        parameters += static_cast<uint64_t>(elementCount(model->tensors.find(part.name)->second));
  }
  allBytes = position;
}

std::vector<uint8_t> WeightPacker::renderHead() const {
  std::vector<uint8_t> head(headBytes);
  llmir_weights_record_t record = {};
  record.record_bytes = sizeof(record);
  record.tensor_count = static_cast<uint32_t>(recipes.size());
  record.tensor_table_offset = sizeof(record);
  std::memcpy(head.data(), &record, sizeof(record));
  for (size_t i = 0; i < recipes.size(); ++i) {
    const TensorRecipe &recipe = recipes[i];
    llmir_tensor_record_t tensor = {};
    tensor.data_offset = offsets[i];
    tensor.data_bytes = dataBytesOf(recipe);
    for (size_t d = 0; d < LLMIR_BUNDLE_MAX_RANK; ++d)
      tensor.shape[d] = d < recipe.shape.size() ? recipe.shape[d] : 1;
    tensor.rank = static_cast<uint32_t>(recipe.shape.size());
    tensor.layout = recipe.layout;
    tensor.group = recipe.group;
    tensor.name = {nameOffsets[i], static_cast<uint32_t>(recipe.name.size())};
    std::memcpy(head.data() + sizeof(record) + i * sizeof(tensor), &tensor, sizeof(tensor));
    std::memcpy(head.data() + nameOffsets[i], recipe.name.data(), recipe.name.size());
  }
  return head;
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

std::vector<WeightPacker::Job> WeightPacker::makeJobs() const {
  std::vector<Job> jobs;
  for (size_t i = 0; i < recipes.size(); ++i) {
    const TensorRecipe &recipe = recipes[i];
    const uint32_t rows = recipe.rows();
    const uint64_t panelBytes =
        llmir_layout_bytes(recipe.layout, recipe.group, LLMIR_PANEL_ROWS, recipe.columns());
    const uint64_t panels = std::max<uint64_t>(1, jobBytes / std::max<uint64_t>(1, panelBytes));
    const uint64_t step = panels * LLMIR_PANEL_ROWS;
    for (uint64_t row = 0; row < rows; row += step) {
      const uint64_t count = std::min<uint64_t>(step, rows - row);
      jobs.push_back(
          {i, static_cast<uint32_t>(row), static_cast<uint32_t>(count), row + count == rows});
    }
  }
  return jobs;
}

/// Where row `row` of the result comes from; a part of NULL is a row of padding.
static std::pair<const TensorPart *, uint32_t> sourceOf(const TensorRecipe &recipe, uint32_t row) {
  if (recipe.how == TensorHow::InterleavePanels) {
    const uint32_t panel = row / LLMIR_PANEL_ROWS;
    const TensorPart &part = recipe.parts[panel % 2];
    const uint32_t inPart = panel / 2 * LLMIR_PANEL_ROWS + row % LLMIR_PANEL_ROWS;
    if (inPart >= part.rows)
      return {nullptr, 0};
    return {&part, ropeSourceRow(part, inPart)};
  }
  for (const TensorPart &part : recipe.parts) {
    if (row < part.rows)
      return {&part, ropeSourceRow(part, row)};
    row -= part.rows;
  }
  return {nullptr, 0};
}

WeightPacker::JobResult WeightPacker::runJob(const Job &job) const {
  const TensorRecipe &recipe = recipes[job.recipe];
  if (recipe.how == TensorHow::Constant || recipe.shape.size() == 1)
    return packValues(recipe, job);
  return packRows(recipe, job);
}

static llmir_matrix_t matrixFor(const TensorRecipe &recipe, uint32_t rows,
                                std::vector<uint8_t> &bytes) {
  bytes.resize(llmir_layout_bytes(recipe.layout, recipe.group, rows, recipe.columns()));
  return {bytes.data(), recipe.layout, recipe.group, rows, recipe.columns()};
}

/// Vectors and constants: gathered as binary32, then stored. Elements of a vector count as rows of
/// the recipe's parts.
WeightPacker::JobResult WeightPacker::packValues(const TensorRecipe &recipe, const Job &job) const {
  JobResult result;
  std::vector<float> values = recipe.constant;
  if (recipe.how != TensorHow::Constant) {
    values.assign(recipe.columns(), 0.0f);
    std::map<StringRef, std::vector<float>> decoded;
    for (const TensorPart &part : recipe.parts) {
      const SourceTensor &tensor = model->tensors.find(part.name)->second;
      std::vector<float> &source = decoded[part.name];
      source.resize(part.rows);
      dequantize(tensor.type, tensor.data, part.rows, source.data());
      result.losses[static_cast<size_t>(tensor.type)].elements += part.rows;
    }
    for (uint32_t i = 0; i < recipe.columns(); ++i)
      if (auto [part, row] = sourceOf(recipe, i); part)
        values[i] = decoded[part->name][row];
  }
  const llmir_matrix_t matrix = matrixFor(recipe, job.rowCount, result.bytes);
  const float *from = values.data() + size_t(job.firstRow) * recipe.columns();
  for (uint32_t row = 0; row < job.rowCount; ++row) {
    for (uint32_t i = 0; i < recipe.columns(); ++i)
      if (!std::isfinite(from[i]))
        result.fault = "a value is not finite";
    llmir_matrix_set_float_row(&matrix, row, from);
    from += recipe.columns();
  }
  return result;
}

WeightPacker::JobResult WeightPacker::packRows(const TensorRecipe &recipe, const Job &job) const {
  JobResult result;
  const llmir_matrix_t matrix = matrixFor(recipe, job.rowCount, result.bytes);
  RowConverter converter;
  for (uint32_t row = 0; row < job.rowCount; ++row) {
    auto [part, sourceRow] = sourceOf(recipe, job.firstRow + row);
    if (!part)
      continue;
    const SourceTensor &tensor = model->tensors.find(part->name)->second;
    const SourceTypeInfo &info = sourceTypeInfo(tensor.type);
    const uint64_t rowBytes = recipe.columns() / info.blockElements * uint64_t(info.blockBytes);
    if (converter.convert(tensor.type, tensor.data + sourceRow * rowBytes, matrix, row,
                          result.losses[static_cast<size_t>(tensor.type)]))
      continue;
    result.fault = "row " + std::to_string(sourceRow) + " of '" + part->name +
                   "' has a value that is not finite, or not in " +
                   layoutName(recipe.layout, recipe.group);
    break;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

void WeightPacker::account(const Job &job, const JobResult &result) {
  const TensorRecipe &recipe = recipes[job.recipe];
  for (size_t type = 0; type < sourceTypeCount; ++type) {
    if (result.losses[type].elements == 0)
      continue;
    const ConversionKey key(static_cast<SourceType>(type), recipe.layout, recipe.group);
    conversionLosses[key].add(result.losses[type]);
    tensorLosses[job.recipe].add(result.losses[type]);
  }
}

void WeightPacker::summarise() {
  std::map<ConversionKey, std::set<StringRef>> sources;
  for (const TensorRecipe &recipe : recipes)
    for (const TensorPart &part : recipe.parts)
      sources[ConversionKey(model->tensors.find(part.name)->second.type, recipe.layout,
                            recipe.group)]
          .insert(part.name);
  for (const auto &[key, loss] : conversionLosses) {
    const auto &[type, layout, group] = key;
    allConversions.push_back(
        {type, layout, group, sources[key].size(), loss.elements, loss.relative()});
  }
  for (size_t i = 0; i < recipes.size(); ++i)
    packedTensors.push_back({recipes[i].name, dataBytesOf(recipes[i]), tensorLosses[i].relative()});
}

Error WeightPacker::write(Sink sink, Progress progress, unsigned threadCount) {
  tensorLosses.assign(recipes.size(), {});
  conversionLosses.clear();
  allConversions.clear();
  packedTensors.clear();
  if (Error error = sink(renderHead()))
    return error;
  uint64_t written = headBytes;
  const std::vector<Job> jobs = makeJobs();
  if (threadCount == 0)
    threadCount = std::max(1u, std::thread::hardware_concurrency());
  threadCount = std::min<size_t>(threadCount, std::max<size_t>(1, jobs.size()));

  const auto consume = [&](size_t i, JobResult &result) -> Error {
    if (!result.fault.empty())
      return recipeError(recipes[jobs[i].recipe], result.fault);
    account(jobs[i], result);
    if (jobs[i].endsTensor) // padding up to the next tensor
      result.bytes.resize(alignTo(written + result.bytes.size(), LLMIR_BUNDLE_TENSOR_ALIGNMENT) -
                          written);
    written += result.bytes.size();
    if (progress)
      progress(written, allBytes);
    return sink(result.bytes);
  };
  const auto produce = [&](size_t i) { return runJob(jobs[i]); };
  if (Error error = OrderedJobs<JobResult>(jobs.size(), threadCount, produce, consume).run())
    return error;
  summarise();
  return Error::success();
}

} // namespace llmir::compiler
