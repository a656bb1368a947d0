//===- test_weights.cpp - Dequantization, take-over, recipes and the WEIGHTS section ---===//
//
// Values come from random blocks; what the packer makes of them is read back with quant/ and
// compared with the dequantized source, exactly where the encoding is taken over and by the
// measured loss elsewhere.
//
//===----------------------------------------------------------------------===//
#include "GgufBuilder.h"
#include "llmir/Import/SourceTypes.h"
#include "llmir/Weights/Dequantize.h"
#include "llmir/Weights/WeightPacker.h"
#include "quant/quant_pack.h"

#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

using namespace llmir::compiler;
using namespace llmir::compiler::testing;

namespace {

/// A model of a few tensors, and what the packer makes of recipes for them.
class Fixture {
public:
  void addTensor(const std::string &name, SourceType type, std::vector<int64_t> shape,
                 std::vector<uint8_t> data = {}) {
    SourceTensor tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.shape = std::move(shape);
    if (data.empty())
      data = randomBlocks(type, static_cast<uint64_t>(elementCount(tensor)), model.tensors.size());
    auto storage = std::make_shared<std::vector<uint8_t>>(std::move(data));
    tensor.data = storage->data();
    tensor.bytes = storage->size();
    model.storage.push_back(storage);
    model.tensors[name] = tensor;
  }

  void addFloats(const std::string &name, std::vector<int64_t> shape, uint64_t seed) {
    Random random(seed);
    std::vector<uint8_t> data;
    int64_t count = 1;
    for (int64_t extent : shape)
      count *= extent;
    for (int64_t i = 0; i < count; ++i) {
      const float value =
          static_cast<float>(static_cast<int64_t>(random.below(2001)) - 1000) / 1024;
      data.insert(data.end(), reinterpret_cast<const uint8_t *>(&value),
                  reinterpret_cast<const uint8_t *>(&value) + 4);
    }
    addTensor(name, SourceType::F32, std::move(shape), std::move(data));
  }

  TensorRecipe plain(const std::string &name, uint32_t layout, uint32_t group) const {
    const SourceTensor &tensor = model.tensors.at(name);
    TensorRecipe recipe;
    recipe.name = name;
    recipe.layout = layout;
    recipe.group = group;
    recipe.shape.assign(tensor.shape.begin(), tensor.shape.end());
    recipe.parts.push_back(part(name));
    return recipe;
  }

  TensorPart part(const std::string &name) const {
    TensorPart result;
    result.name = name;
    result.rows = static_cast<uint32_t>(model.tensors.at(name).shape[0]);
    return result;
  }

  std::vector<float> valuesOf(const std::string &name) const {
    const SourceTensor &tensor = model.tensors.at(name);
    std::vector<float> values(static_cast<size_t>(elementCount(tensor)));
    dequantize(tensor.type, tensor.data, elementCount(tensor), values.data());
    return values;
  }

  /// Packs `recipes`; fails the test if that fails.
  void pack(const std::vector<TensorRecipe> &recipes, unsigned threads = 2) {
    llvm::Expected<WeightPacker> packer = WeightPacker::create(model, recipes);
    if (!packer)
      fail_msg("%s", llvm::toString(packer.takeError()).c_str());
    section.clear();
    llvm::Error error = packer->write(
        [&](llvm::ArrayRef<uint8_t> bytes) {
          section.insert(section.end(), bytes.begin(), bytes.end());
          return llvm::Error::success();
        },
        nullptr, threads);
    if (error)
      fail_msg("%s", llvm::toString(std::move(error)).c_str());
    assert_int_equal(section.size(), packer->sectionBytes());
    conversions = packer->conversions();
    packed = packer->tensors();
    parameters = packer->parameterCount();
  }

  /// The message of a failing pack.
  std::string packError(const std::vector<TensorRecipe> &recipes) {
    llvm::Expected<WeightPacker> packer = WeightPacker::create(model, recipes);
    if (!packer)
      return llvm::toString(packer.takeError());
    return llvm::toString(
        packer->write([](llvm::ArrayRef<uint8_t>) { return llvm::Error::success(); }));
  }

  llmir_tensor_record_t record(size_t index) const {
    llmir_weights_record_t head;
    std::memcpy(&head, section.data(), sizeof(head));
    assert_true(index < head.tensor_count);
    llmir_tensor_record_t tensor;
    std::memcpy(&tensor, section.data() + head.tensor_table_offset + index * sizeof(tensor),
                sizeof(tensor));
    return tensor;
  }

  llmir_matrix_t matrix(size_t index) {
    const llmir_tensor_record_t tensor = record(index);
    return {section.data() + tensor.data_offset, tensor.layout, tensor.group, tensor.shape[0],
            tensor.shape[1]};
  }

  ImportedModel model;
  std::vector<uint8_t> section;
  std::vector<WeightConversion> conversions;
  std::vector<PackedTensor> packed;
  uint64_t parameters = 0;
};

void assertBitsEqual(float found, float expected, const char *what, size_t index) {
  if (std::memcmp(&found, &expected, sizeof(float)) != 0 && !(found == 0 && expected == 0))
    fail_msg("%s: value %zu is %a, expected %a", what, index, double(found), double(expected));
}

void assertContains(const std::string &text, const char *piece) {
  if (text.find(piece) == std::string::npos)
    fail_msg("'%s' does not contain '%s'", text.c_str(), piece);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void test_weights_dequantize_agrees_with_gguf(void **) {
  static const struct {
    SourceType type;
    uint64_t hash;
    float first[4];
  } vectors[] = {
#include "dequantize_vectors.inc"
  };
  assert_int_equal(std::size(vectors), knownSourceTypes().size());
  for (const auto &vector : vectors) {
    const SourceTypeInfo &info = sourceTypeInfo(vector.type);
    const uint64_t elements = 64 * uint64_t(info.blockElements);
    std::vector<float> values(elements);
    dequantize(vector.type, randomBlocks(vector.type, elements, 42).data(),
               static_cast<int64_t>(elements), values.data());
    for (size_t i = 0; i < 4; ++i)
      assertBitsEqual(values[i], vector.first[i], info.name, i);
    uint64_t hash = 0xCBF29CE484222325u; // FNV-1a over words
    for (float value : values) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      hash = (hash ^ bits) * 0x100000001B3u;
    }
    if (hash != vector.hash)
      fail_msg("%s: the values differ", info.name);
  }
}

void test_weights_taken_over_value_by_value(void **) {
  static const struct {
    SourceType type;
    uint32_t layout;
  } pairs[] = {
      {SourceType::Q4_0, LLMIR_LAYOUT_PANEL_S4}, {SourceType::Q4_0, LLMIR_LAYOUT_PANEL_U4},
      {SourceType::Q4_0, LLMIR_LAYOUT_PANEL_S8}, {SourceType::Q4_1, LLMIR_LAYOUT_PANEL_U4},
      {SourceType::Q5_0, LLMIR_LAYOUT_PANEL_S8}, {SourceType::Q8_0, LLMIR_LAYOUT_PANEL_S8},
      {SourceType::F32, LLMIR_LAYOUT_PANEL_F32}, {SourceType::F16, LLMIR_LAYOUT_PANEL_F16},
      {SourceType::F16, LLMIR_LAYOUT_F16},       {SourceType::BF16, LLMIR_LAYOUT_PANEL_BF16},
      {SourceType::Q6_K, LLMIR_LAYOUT_F32},      {SourceType::Q3_K, LLMIR_LAYOUT_PANEL_F32},
  };
  for (const auto &pair : pairs) {
    Fixture fixture;
    fixture.addTensor("w", pair.type, {37, 256});
    const uint32_t group = llmir_layout_is_integer(pair.layout) ? 32 : 0;
    fixture.pack({fixture.plain("w", pair.layout, group)});
    const std::vector<float> expected = fixture.valuesOf("w");
    const llmir_matrix_t matrix = fixture.matrix(0);
    for (uint32_t i = 0; i < expected.size(); ++i)
      assertBitsEqual(llmir_matrix_value_at(&matrix, i / 256, i % 256), expected[i],
                      sourceTypeInfo(pair.type).name, i);
    assert_int_equal(fixture.conversions.size(), 1);
    assert_true(fixture.conversions[0].relativeError == 0.0);
    assert_true(fixture.conversions[0].from == pair.type);
    assert_int_equal(fixture.conversions[0].elementCount, 37 * 256);
  }
}

void test_weights_q4_k_keeps_its_integers(void **) {
  Fixture fixture;
  fixture.addTensor("w", SourceType::Q4_K, {16, 256});
  fixture.pack({fixture.plain("w", LLMIR_LAYOUT_PANEL_U4, 32)});
  const llmir_matrix_t matrix = fixture.matrix(0);
  int8_t q[256];
  for (uint32_t row = 0; row < 16; ++row) {
    llmir_matrix_get_integer_row(&matrix, row, q, nullptr, nullptr);
    const uint8_t *bytes = fixture.model.tensors["w"].data + row * 144 + 16;
    for (int i = 0; i < 256; ++i)
      assert_int_equal(q[i], bytes[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15);
  }
  assert_true(fixture.conversions[0].relativeError > 0.0);
  assert_true(fixture.conversions[0].relativeError < 1e-3); // two scales rounded to 11 bits
}

/// Packs a matrix and compares the loss that is reported with the one that readers find.
void checkLoss(const SourceTypeInfo &info, uint32_t layout, uint32_t group) {
  Fixture fixture;
  if (info.type == SourceType::F32)
    fixture.addFloats("w", {20, 256}, 7);
  else
    fixture.addTensor("w", info.type, {20, 256});
  fixture.pack({fixture.plain("w", layout, group)});
  const std::vector<float> expected = fixture.valuesOf("w");
  const llmir_matrix_t matrix = fixture.matrix(0);
  double error = 0, energy = 0;
  for (uint32_t i = 0; i < expected.size(); ++i) {
    const double difference =
        double(llmir_matrix_value_at(&matrix, i / 256, i % 256)) - expected[i];
    error += difference * difference;
    energy += double(expected[i]) * expected[i];
  }
  const double found = fixture.conversions[0].relativeError;
  const double wanted = std::sqrt(error / energy);
  if (std::fabs(found - wanted) > 1e-9 + 1e-6 * wanted)
    fail_msg("%s to %s: loss %g, expected %g", info.name, layoutName(layout, group).c_str(), found,
             wanted);
  const bool isFourBit = layout == LLMIR_LAYOUT_PANEL_S4 || layout == LLMIR_LAYOUT_PANEL_U4;
  assert_true(wanted < (isFourBit ? 0.5 : 0.03)); // random blocks have wild scales
}

void test_weights_loss_is_what_readers_see(void **) {
  for (const SourceTypeInfo &info : knownSourceTypes())
    for (uint32_t layout = LLMIR_LAYOUT_F32; layout <= LLMIR_LAYOUT_PANEL_S8; ++layout) {
      if (info.blockElements == 1 && info.type != SourceType::F32)
        continue; // random halves have no scale that integers could follow
      if (!llmir_layout_is_integer(layout))
        checkLoss(info, layout, 0);
      else
        for (uint32_t group : {64u, 128u, 256u})
          checkLoss(info, layout, group);
    }
}

//===----------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------===//

/// Rows of q and k of `heads` heads of 8 rows, rotated in the first 6, one after the other.
void test_weights_concatenates_and_permutes_rows(void **) {
  Fixture fixture;
  fixture.addFloats("q", {24, 32}, 1);
  fixture.addFloats("k", {8, 32}, 2);
  fixture.addFloats("v", {8, 32}, 3);
  TensorRecipe recipe = fixture.plain("q", LLMIR_LAYOUT_PANEL_F32, 0);
  recipe.how = TensorHow::ConcatRows;
  recipe.shape = {40, 32};
  recipe.parts = {fixture.part("q"), fixture.part("k"), fixture.part("v")};
  for (int i = 0; i < 2; ++i) {
    recipe.parts[i].ropeHeadDim = 8;
    recipe.parts[i].ropeDim = 6;
  }
  fixture.pack({recipe});
  const int order[8] = {0, 2, 4, 1, 3, 5, 6, 7}; // even elements of the pairs, odd ones, the rest
  const std::vector<float> q = fixture.valuesOf("q"), k = fixture.valuesOf("k"),
                           v = fixture.valuesOf("v");
  const llmir_matrix_t matrix = fixture.matrix(0);
  for (uint32_t row = 0; row < 40; ++row)
    for (uint32_t column = 0; column < 32; ++column) {
      const uint32_t permuted = row / 8 * 8 + order[row % 8];
      const float expected = row < 24   ? q[permuted * 32 + column]
                             : row < 32 ? k[(permuted - 24) * 32 + column]
                                        : v[(row - 32) * 32 + column];
      assertBitsEqual(llmir_matrix_value_at(&matrix, row, column), expected, "row", row);
    }
  assert_int_equal(fixture.parameters, 40 * 32);
  // The rows that fill up the last panel are zero.
  const llmir_tensor_record_t tensor = fixture.record(0);
  const float *panel = reinterpret_cast<const float *>(fixture.section.data() + tensor.data_offset);
  for (uint32_t column = 0; column < 32; ++column)
    for (uint32_t row = 8; row < 16; ++row)
      assert_true(panel[2 * 16 * 32 + column * 16 + row] == 0.0f);
}

void test_weights_interleaves_gate_and_up(void **) {
  Fixture fixture;
  fixture.addFloats("gate", {24, 32}, 1);
  fixture.addFloats("up", {24, 32}, 2);
  TensorRecipe recipe = fixture.plain("gate", LLMIR_LAYOUT_PANEL_F32, 0);
  recipe.how = TensorHow::InterleavePanels;
  recipe.shape = {64, 32};
  recipe.parts = {fixture.part("gate"), fixture.part("up")};
  fixture.pack({recipe});
  const llmir_matrix_t matrix = fixture.matrix(0);
  for (uint32_t row = 0; row < 64; ++row) {
    const uint32_t inPart = row / 32 * 16 + row % 16;
    const std::vector<float> source = fixture.valuesOf(row / 16 % 2 ? "up" : "gate");
    for (uint32_t column = 0; column < 32; ++column)
      assertBitsEqual(llmir_matrix_value_at(&matrix, row, column),
                      inPart < 24 ? source[inPart * 32 + column] : 0.0f, "row", row);
  }
}

void test_weights_vectors_and_constants(void **) {
  Fixture fixture;
  fixture.addFloats("bq", {8}, 1);
  fixture.addTensor("bk", SourceType::F16, {4});
  TensorRecipe bias = fixture.plain("bq", LLMIR_LAYOUT_F32, 0);
  bias.how = TensorHow::ConcatRows;
  bias.shape = {12};
  bias.parts = {fixture.part("bq"), fixture.part("bk")};
  bias.parts[0].ropeHeadDim = bias.parts[0].ropeDim = 4;
  TensorRecipe constant;
  constant.name = "rope";
  constant.how = TensorHow::Constant;
  constant.layout = LLMIR_LAYOUT_F32;
  constant.shape = {3};
  constant.constant = {1.0f, 0.5f, 0.25f};
  fixture.pack({bias, constant});
  const float *found =
      reinterpret_cast<const float *>(fixture.section.data() + fixture.record(0).data_offset);
  const std::vector<float> q = fixture.valuesOf("bq"), k = fixture.valuesOf("bk");
  const float expected[12] = {q[0], q[2], q[1], q[3], q[4], q[6],
                              q[5], q[7], k[0], k[1], k[2], k[3]};
  assert_memory_equal(found, expected, sizeof(expected));
  assert_memory_equal(fixture.section.data() + fixture.record(1).data_offset,
                      constant.constant.data(), 12);
  assert_int_equal(fixture.record(1).rank, 1);
  assert_int_equal(fixture.record(1).shape[1], 1);
}

//===----------------------------------------------------------------------===//
// The section
//===----------------------------------------------------------------------===//

void test_weights_section_follows_the_format(void **) {
  Fixture fixture;
  fixture.addTensor("norm", SourceType::F32, {5});
  fixture.addTensor("matrix", SourceType::Q8_0, {20, 64});
  fixture.pack({fixture.plain("norm", LLMIR_LAYOUT_F32, 0),
                fixture.plain("matrix", LLMIR_LAYOUT_PANEL_S8, 32)});
  llmir_weights_record_t head;
  std::memcpy(&head, fixture.section.data(), sizeof(head));
  assert_int_equal(head.record_bytes, sizeof(head));
  assert_int_equal(head.tensor_count, 2);
  const llmir_tensor_record_t norm = fixture.record(0), matrix = fixture.record(1);
  assert_int_equal(norm.data_bytes, 20);
  assert_int_equal(matrix.data_bytes, llmir_layout_bytes(LLMIR_LAYOUT_PANEL_S8, 32, 20, 64));
  assert_int_equal(norm.data_offset % LLMIR_BUNDLE_TENSOR_ALIGNMENT, 0);
  assert_int_equal(matrix.data_offset, norm.data_offset + 64);
  assert_int_equal(fixture.section.size(), matrix.data_offset + matrix.data_bytes);
  assert_memory_equal(fixture.section.data() + matrix.name.offset, "matrix", 6);
  assert_int_equal(matrix.name.bytes, 6);
  for (uint64_t i = norm.data_offset + 20; i < matrix.data_offset; ++i)
    assert_int_equal(fixture.section[i], 0);
  assert_int_equal(fixture.packed.size(), 2);
  assert_int_equal(fixture.packed[1].bytes, matrix.data_bytes);
}

void test_weights_bytes_do_not_depend_on_threads(void **) {
  Fixture fixture;
  fixture.addTensor("big", SourceType::Q5_K, {9000, 512}); // several jobs
  fixture.addTensor("small", SourceType::Q6_K, {3, 256});
  const std::vector<TensorRecipe> recipes = {fixture.plain("small", LLMIR_LAYOUT_PANEL_U4, 128),
                                             fixture.plain("big", LLMIR_LAYOUT_PANEL_S8, 32)};
  fixture.pack(recipes, 1);
  const std::vector<uint8_t> expected = fixture.section;
  const double loss = fixture.conversions[0].relativeError;
  for (unsigned threads : {2u, 3u, 7u, 0u}) {
    fixture.pack(recipes, threads);
    assert_true(fixture.section == expected);
    assert_true(fixture.conversions[0].relativeError == loss);
  }
  const llmir_matrix_t matrix = fixture.matrix(1);
  const std::vector<float> source = fixture.valuesOf("big");
  for (uint32_t row : {0u, 2047u, 2048u, 8999u}) // across the borders of jobs
    for (uint32_t column = 0; column < 512; ++column) {
      const float value = source[size_t(row) * 512 + column];
      float largest = 0;
      for (uint32_t i = column / 32 * 32; i < column / 32 * 32 + 32; ++i)
        largest = std::fmax(largest, std::fabs(source[size_t(row) * 512 + i]));
      assert_true(std::fabs(llmir_matrix_value_at(&matrix, row, column) - value) <=
                  largest * 0.0045f); // half a step of 1 / 127 and the scale's rounding
    }
}

void test_weights_layouts_have_names(void **) {
  assert_string_equal(layoutName(LLMIR_LAYOUT_PANEL_S8, 32).c_str(), "S8 group 32");
  assert_string_equal(layoutName(LLMIR_LAYOUT_PANEL_BF16, 0).c_str(), "BF16");
  assert_string_equal(layoutName(LLMIR_LAYOUT_F32, 0).c_str(), "F32");
}

//===----------------------------------------------------------------------===//
// Mistakes
//===----------------------------------------------------------------------===//

void test_weights_wrong_recipes_are_told(void **) {
  Fixture fixture;
  fixture.addFloats("w", {16, 96}, 1);
  TensorRecipe recipe = fixture.plain("w", LLMIR_LAYOUT_PANEL_S8, 64);
  assertContains(fixture.packError({recipe}), "tensor 'w': 96 columns, expected a multiple of 64");
  recipe.group = 48;
  assertContains(fixture.packError({recipe}), "group 48, expected 32, 64, 128 or 256");
  recipe.group = 32;
  recipe.parts[0].name = "x";
  assertContains(fixture.packError({recipe}), "part 'x' is not in the model");
  recipe = fixture.plain("w", LLMIR_LAYOUT_PANEL_S8, 32);
  recipe.parts[0].rows = 15;
  assertContains(fixture.packError({recipe}), "the shape of part 'w' does not fit");
  recipe = fixture.plain("w", 99, 0);
  assertContains(fixture.packError({recipe}), "layout 99 is unknown");
  recipe = fixture.plain("w", LLMIR_LAYOUT_PANEL_F32, 0);
  recipe.shape[0] = 17;
  assertContains(fixture.packError({recipe}), "the parts have 16 rows, expected 17");
  recipe.how = TensorHow::Constant;
  recipe.parts.clear();
  assertContains(fixture.packError({recipe}), "0 constant values, expected 1632");
  recipe = fixture.plain("w", LLMIR_LAYOUT_PANEL_F32, 0);
  recipe.parts[0].ropeHeadDim = 5;
  assertContains(fixture.packError({recipe}), "cannot be permuted in heads of 5");
}

void test_weights_values_that_are_not_finite_fail(void **) {
  std::vector<uint8_t> blocks = randomBlocks(SourceType::Q4_0, 64 * 32, 5);
  blocks[40 * 18 + 1] = 0x7C; // infinite scale in row 20
  blocks[40 * 18] = 0;
  Fixture fixture;
  fixture.addTensor("w", SourceType::Q4_0, {32, 64}, blocks);
  for (uint32_t layout : {LLMIR_LAYOUT_PANEL_S4, LLMIR_LAYOUT_PANEL_U4, LLMIR_LAYOUT_PANEL_F32})
    assertContains(
        fixture.packError({fixture.plain("w", layout, layout == LLMIR_LAYOUT_PANEL_F32 ? 0 : 32)}),
        "tensor 'w': row 20 of 'w' has a value that is not finite");
  Fixture large;
  std::vector<uint8_t> floats(16 * 32 * 4);
  const float value = 1e6f;
  std::memcpy(floats.data() + 128, &value, 4);
  large.addTensor("w", SourceType::F32, {16, 32}, floats);
  assertContains(large.packError({large.plain("w", LLMIR_LAYOUT_PANEL_F16, 0)}),
                 "row 1 of 'w' has a value that is not finite, or not in F16");
  large.pack({large.plain("w", LLMIR_LAYOUT_PANEL_BF16, 0)});
}

void test_weights_failing_sink_stops_the_packer(void **) {
  Fixture fixture;
  fixture.addTensor("w", SourceType::Q8_0, {40000, 256});
  const std::vector<TensorRecipe> recipes = {fixture.plain("w", LLMIR_LAYOUT_PANEL_S8, 32)};
  llvm::Expected<WeightPacker> packer = WeightPacker::create(fixture.model, recipes);
  assert_true(bool(packer));
  int calls = 0;
  llvm::Error error = packer->write([&](llvm::ArrayRef<uint8_t>) -> llvm::Error {
    if (++calls < 3)
      return llvm::Error::success();
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "disk full");
  });
  assert_string_equal(llvm::toString(std::move(error)).c_str(), "disk full");
  assert_int_equal(calls, 3);
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_weights_dequantize_agrees_with_gguf),
      cmocka_unit_test(test_weights_taken_over_value_by_value),
      cmocka_unit_test(test_weights_q4_k_keeps_its_integers),
      cmocka_unit_test(test_weights_loss_is_what_readers_see),
      cmocka_unit_test(test_weights_concatenates_and_permutes_rows),
      cmocka_unit_test(test_weights_interleaves_gate_and_up),
      cmocka_unit_test(test_weights_vectors_and_constants),
      cmocka_unit_test(test_weights_section_follows_the_format),
      cmocka_unit_test(test_weights_bytes_do_not_depend_on_threads),
      cmocka_unit_test(test_weights_layouts_have_names),
      cmocka_unit_test(test_weights_wrong_recipes_are_told),
      cmocka_unit_test(test_weights_values_that_are_not_finite_fail),
      cmocka_unit_test(test_weights_failing_sink_stops_the_packer),
  };
  return cmocka_run_group_tests_name("weights", tests, nullptr, nullptr);
}
