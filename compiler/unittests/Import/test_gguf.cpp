//===- test_gguf.cpp - The GGUF front end on good, wrong and hostile files ---===//
//
// Good files of each version, encoding and architecture; every message for wrong ones; then
// truncation at every byte and thousands of flipped bytes, which under the sanitizers must never be
// more than an error.
//
//===----------------------------------------------------------------------===//
#include "GgufBuilder.h"
#include "llmir/Import/Gguf.h"
#include "llmir/Import/SourceTypes.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

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

llvm::Expected<ImportedModel> importBytes(const std::vector<uint8_t> &bytes) {
  return importGgufBuffers({GgufBuffer{"test.gguf", bytes}});
}

/// Imports what must be good. `bytes` outlives the model.
ImportedModel importGood(const std::vector<uint8_t> &bytes) {
  llvm::Expected<ImportedModel> model = importBytes(bytes);
  if (!model)
    fail_msg("%s", llvm::toString(model.takeError()).c_str());
  return std::move(*model);
}

ModelConfig configOf(const GgufBuilder &builder) { return importGood(builder.build()).config; }

void assertMessage(llvm::Error error, std::initializer_list<const char *> pieces) {
  const std::string message = llvm::toString(std::move(error));
  for (const char *piece : pieces)
    if (message.find(piece) == std::string::npos)
      fail_msg("'%s' does not contain '%s'", message.c_str(), piece);
}

/// The import must fail with a message that contains all of `pieces`.
void assertFails(const std::vector<uint8_t> &bytes, std::initializer_list<const char *> pieces) {
  llvm::Expected<ImportedModel> model = importBytes(bytes);
  if (model)
    fail_msg("imported, expected an error with '%s'", *pieces.begin());
  assertMessage(model.takeError(), pieces);
}

void assertFails(const GgufBuilder &builder, std::initializer_list<const char *> pieces) {
  assertFails(builder.build(), pieces);
}

//===----------------------------------------------------------------------===//
// Good files
//===----------------------------------------------------------------------===//

void test_gguf_versions_two_and_three_import(void **) {
  for (uint32_t version : {2u, 3u}) {
    GgufBuilder builder = tinyModel();
    builder.version = version;
    const ModelConfig config = configOf(builder);
    assert_string_equal(config.architecture.c_str(), "llama");
    assert_string_equal(config.name.c_str(), "Tiny");
    assert_int_equal(config.vocabCount, 8);
    assert_int_equal(config.contextCount, 128);
    assert_int_equal(config.embeddingCount, 64);
    assert_int_equal(config.layerCount, 1);
    assert_int_equal(config.qHeadCount, 2);
    assert_int_equal(config.kvHeadCount, 1);
    assert_int_equal(config.headDim, 32);
    assert_int_equal(config.ropeDim, 32);
    assert_int_equal(config.ffnCount, 64);
    assert_true(config.ropeInterleaved);
    assert_true(config.tiedOutput);
    assert_true(config.ropeBase == 10000.0);
    assert_true(std::fabs(config.attentionScale - 1.0 / std::sqrt(32.0)) < 1e-12);
  }
}

void test_gguf_every_encoding_keeps_bytes(void **) {
  for (const SourceTypeInfo &info : knownSourceTypes()) {
    GgufBuilder builder = tinyModel("llama", info.type);
    const std::vector<uint8_t> bytes = builder.build();
    const ImportedModel model = importGood(bytes);
    assert_int_equal(model.tensors.size(), builder.tensors.size());
    for (const GgufBuilder::Tensor &expected : builder.tensors) {
      const SourceTensor &found = model.tensors.at(expected.name);
      assert_int_equal(sourceTypeInfo(found.type).ggufId, expected.type);
      assert_int_equal(found.bytes, expected.data.size());
      assert_memory_equal(found.data, expected.data.data(), found.bytes);
      assert_int_equal(found.shape.size(), expected.shape.size());
      assert_int_equal(found.shape[0], expected.shape[0]);
    }
  }
}

void test_gguf_other_alignment_is_used(void **) {
  GgufBuilder builder = tinyModel();
  builder.alignment = 256;
  builder.setU32("general.alignment", 256);
  const std::vector<uint8_t> bytes = builder.build();
  const ImportedModel model = importGood(bytes);
  assert_memory_equal(model.tensors.at("token_embd.weight").data, builder.tensors[0].data.data(),
                      builder.tensors[0].data.size());
}

void test_gguf_gemma3_has_windows_and_scales(void **) {
  GgufBuilder builder = tinyModel("gemma3");
  builder.setU32("gemma3.attention.sliding_window", 16);
  builder.setF32("gemma3.rope.freq_base", 1e6f);
  builder.setF32("gemma3.final_logit_softcapping", 30.0f);
  ModelConfig config = configOf(builder);
  const std::vector<bool> expected = {true, true, true, true, true, false, true};
  assert_true(config.layerIsWindow == expected);
  assert_int_equal(config.window, 16);
  assert_true(config.ropeLocalBase == 10000.0 && config.ropeBase == 1e6);
  assert_true(config.embeddingScale == 8.0); // sqrt(64)
  assert_true(config.finalSoftCap == 30.0);
  assert_true(config.activation == Activation::GeluTanh);
  assert_false(config.ropeInterleaved);

  builder.setU32("gemma3.attention.sliding_window_pattern", 2);
  config = configOf(builder);
  assert_true(config.layerIsWindow ==
              std::vector<bool>({true, false, true, false, true, false, true}));
  builder.setI32s("gemma3.attention.sliding_window_pattern", {0, 0, 1, 0, 0, 0, 0});
  config = configOf(builder);
  assert_true(config.layerIsWindow ==
              std::vector<bool>({false, false, true, false, false, false, false}));
  builder.setI32s("gemma3.attention.sliding_window_pattern", {0, 1});
  assertFails(builder, {"sliding_window_pattern", "2 flags", "expected 7"});
}

void test_gguf_qwen_models_import(void **) {
  const ModelConfig qwen2 = configOf(tinyModel("qwen2")), qwen3 = configOf(tinyModel("qwen3"));
  assert_false(qwen2.ropeInterleaved);
  assert_false(qwen3.ropeInterleaved);
  GgufBuilder builder = tinyModel("qwen3");
  builder.removeTensor("blk.0.attn_k_norm.weight");
  assertFails(builder, {"test.gguf", "'blk.0.attn_k_norm.weight' is missing", "[32]"});
}

void test_gguf_rope_scaling_is_read(void **) {
  GgufBuilder builder = tinyModel();
  builder.setF32("llama.rope.scaling.factor", 4.0f);
  ModelConfig config = configOf(builder); // the type's default is linear
  assert_true(config.ropeScaling == RopeScaling::Linear && config.ropeScaleFactor == 4.0);
  assert_true(config.ropeAttentionFactor == 1.0);

  builder.setString("llama.rope.scaling.type", "yarn");
  builder.setU32("llama.rope.scaling.original_context_length", 32);
  config = configOf(builder);
  assert_true(config.ropeScaling == RopeScaling::Yarn && config.ropeOriginalContext == 32.0);
  assert_true(config.ropeBetaFast == 32.0 && config.ropeBetaSlow == 1.0);
  assert_true(std::fabs(config.ropeAttentionFactor - (1.0 + 0.1 * std::log(4.0))) < 1e-12);

  builder.setString("llama.rope.scaling.type", "none");
  config = configOf(builder);
  assert_true(config.ropeScaling == RopeScaling::None && config.ropeScaleFactor == 1.0);
  builder.setString("llama.rope.scaling.type", "longrope");
  assertFails(builder, {"'llama.rope.scaling.type'", "'longrope'", "none, linear, yarn"});
}

void test_gguf_rope_factors_move_to_config(void **) {
  GgufBuilder builder = tinyModel();
  builder.addTensor("rope_freqs.weight", SourceType::F32, {16});
  const std::vector<float> factors(16, 2.5f);
  std::memcpy(builder.tensors.back().data.data(), factors.data(), 64);
  const std::vector<uint8_t> bytes = builder.build();
  const ImportedModel model = importGood(bytes);
  assert_true(model.config.ropeFrequencyFactors == factors);
  assert_int_equal(model.tensors.count("rope_freqs.weight"), 0);

  const float bad = -1.0f;
  std::memcpy(builder.tensors.back().data.data() + 8, &bad, 4);
  assertFails(builder, {"rope_freqs.weight", "element 2", "not a positive number"});
}

void test_gguf_per_layer_counts_must_agree(void **) {
  GgufBuilder builder = tinyModel("gemma3");
  builder.setI32s("gemma3.attention.head_count_kv", {1, 1, 1, 1, 1, 1, 1});
  assert_int_equal(configOf(builder).kvHeadCount, 1);
  builder.setI32s("gemma3.attention.head_count_kv", {1, 1, 2, 1, 1, 1, 1});
  assertFails(builder, {"head_count_kv", "found 2 for layer 2 and 1 for layer 0"});
  builder.setI32s("gemma3.attention.head_count_kv", {1});
  assertFails(builder, {"head_count_kv", "array of 1 i32", "each of the 7 layers"});
}

//===----------------------------------------------------------------------===//
// Split files
//===----------------------------------------------------------------------===//

llvm::Expected<ImportedModel> importParts(const std::vector<std::vector<uint8_t>> &files) {
  std::vector<GgufBuffer> parts;
  for (const std::vector<uint8_t> &file : files)
    parts.push_back({"part" + std::to_string(parts.size()), file});
  return importGgufBuffers(parts);
}

void test_gguf_split_model_has_all_tensors(void **) {
  const GgufBuilder whole = tinyModel();
  const std::vector<std::vector<uint8_t>> files = buildSplit(whole, 3);
  llvm::Expected<ImportedModel> model = importParts(files);
  assert_true(bool(model));
  assert_int_equal(model->tensors.size(), whole.tensors.size());
}

void test_gguf_split_mistakes_are_told(void **) {
  const GgufBuilder whole = tinyModel();
  const std::vector<std::vector<uint8_t>> files = buildSplit(whole, 3);
  assertMessage(importParts({files[0], files[2], files[1]}).takeError(),
                {"part1: part 2 of 3, expected part 1 of 3"});
  assertMessage(importParts({files[0], files[1]}).takeError(),
                {"part0: part 0 of 3, expected part 0 of 2"});
  assertMessage(importParts({files[1]}).takeError(), {"part0: part 1 of 3"});
  GgufBuilder twice = whole;
  twice.tensors.push_back(twice.tensors[0]);
  assertMessage(importParts(buildSplit(twice, 2)).takeError(),
                {"part1: tensor 'token_embd.weight' stands in two parts"});
  GgufBuilder fewer = whole;
  fewer.setU32("split.no", 5);
  assertFails(fewer, {"'split.no': found 5, expected less than the 1 parts"});
}

std::string writeFile(const std::string &folder, const std::string &name,
                      const std::vector<uint8_t> &bytes) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  stream.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  return std::string(path);
}

void test_gguf_files_on_disk_are_found(void **) {
  llvm::SmallString<256> made;
  assert_false(bool(llvm::sys::fs::createUniqueDirectory("llmir-test-gguf", made)));
  const std::string folder(made);
  const std::vector<std::vector<uint8_t>> files = buildSplit(tinyModel(), 3);
  std::vector<std::string> paths;
  for (size_t i = 0; i < 3; ++i)
    paths.push_back(
        writeFile(folder, "m-0000" + std::to_string(i + 1) + "-of-00003.gguf", files[i]));
  for (const std::string &path : paths) { // any part stands for all
    llvm::Expected<ImportedModel> model = importGguf(path);
    assert_true(bool(model));
    assert_int_equal(model->storage.size(), 3);
    assert_string_equal(model->source.c_str(), "m-00001-of-00003.gguf");
  }
  assert_true(isGgufFile(paths[0]));
  const std::string renamed = writeFile(folder, "renamed.gguf", files[0]);
  assertMessage(importGguf(renamed).takeError(), {"renamed.gguf", "model-00001-of-00003.gguf"});
  llvm::sys::fs::remove(paths[1]);
  assertMessage(importGguf(paths[0]).takeError(),
                {"m-00002-of-00003.gguf: cannot be read: No such file"});
  assertMessage(importGguf(folder).takeError(), {"cannot be read"});
  assert_false(isGgufFile(folder));
  llvm::sys::fs::remove_directories(folder);
}

//===----------------------------------------------------------------------===//
// Wrong files
//===----------------------------------------------------------------------===//

void test_gguf_wrong_header_fails(void **) {
  assertFails(std::vector<uint8_t>{}, {"test.gguf: not a GGUF file"});
  assertFails(std::vector<uint8_t>{'G', 'G', 'M', 'L'}, {"not a GGUF file"});
  GgufBuilder builder = tinyModel();
  builder.version = 1;
  assertFails(builder, {"GGUF version 1, expected 2 or 3"});
  builder.version = 4;
  assertFails(builder, {"GGUF version 4, expected 2 or 3"});
  builder.version = 0x03000000;
  assertFails(builder, {"big-endian"});
}

void test_gguf_unknown_architecture_lists_known(void **) {
  GgufBuilder builder = tinyModel();
  builder.setString("general.architecture", "rwkv");
  assertFails(builder, {"'general.architecture'", "'rwkv'", "gemma3, llama, qwen2, qwen3"});
  builder.removeKey("general.architecture");
  assertFails(builder, {"'general.architecture': missing", "llama"});
}

void test_gguf_unknown_tensor_type_lists_known(void **) {
  GgufBuilder builder = tinyModel();
  builder.tensor("blk.0.attn_q.weight").type = 17;
  assertFails(builder, {"'blk.0.attn_q.weight'", "IQ2_XS (17)", "F32, F16", "Q6_K"});
  builder.tensor("blk.0.attn_q.weight").type = 12345;
  assertFails(builder, {"type unknown (12345)"});
}

void test_gguf_unknown_tensor_lists_known(void **) {
  GgufBuilder builder = tinyModel();
  builder.addTensor("blk.0.ssm_a", SourceType::F32, {4});
  assertFails(builder, {"tensor 'blk.0.ssm_a' is unknown in a llama model of 1 layers",
                        "blk.0.attn_q.weight", "output_norm.weight"});
  builder = tinyModel();
  builder.addTensor("blk.1.ffn_up.weight", SourceType::F32, {64, 64});
  assertFails(builder, {"'blk.1.ffn_up.weight' is unknown"});
  builder = tinyModel();
  builder.addTensor("blk.0.attn_rot_embd.weight", SourceType::F32, {4}); // old files have it
  assert_int_equal(configOf(builder).layerCount, 1);
}

void test_gguf_wrong_shapes_fail(void **) {
  GgufBuilder builder = tinyModel();
  builder.tensor("blk.0.ffn_down.weight").shape = {32, 128};
  assertFails(builder, {"'blk.0.ffn_down.weight': shape [32, 128], expected [64, 64]"});
  builder = tinyModel();
  builder.tensor("token_embd.weight").shape = {512};
  assertFails(builder, {"'token_embd.weight': shape [512], expected [tokens, 64]"});
  builder = tinyModel("llama", SourceType::Q8_0);
  builder.tensor("token_embd.weight").shape = {32, 16};
  assertFails(builder, {"'token_embd.weight': rows of 16 elements", "multiple of 32", "Q8_0"});
  builder = tinyModel();
  builder.tensor("output_norm.weight").shape = {};
  assertFails(builder, {"'output_norm.weight': rank 0, expected 1 to 4"});
  builder.tensor("output_norm.weight").shape = {1, 1, 1, 1, 64};
  assertFails(builder, {"rank 5, expected 1 to 4"});
}

void test_gguf_wrong_keys_fail(void **) {
  GgufBuilder builder = tinyModel();
  builder.removeKey("llama.block_count");
  assertFails(builder, {"key 'llama.block_count': missing, expected an integer"});
  builder = tinyModel();
  builder.setString("llama.context_length", "long");
  assertFails(builder, {"key 'llama.context_length': found string, expected an integer"});
  builder = tinyModel();
  builder.setI32s("llama.context_length", {1});
  assertFails(builder, {"'llama.context_length': found array of 1 i32, expected an integer"});
  builder = tinyModel();
  builder.setU32("llama.block_count", 4000000);
  assertFails(builder, {"'llama.block_count': found 4000000, expected at most", "tensors"});
  builder = tinyModel();
  builder.setU32("llama.attention.head_count_kv", 3);
  assertFails(builder, {"head_count_kv': found 3, expected a divisor of the 2 query heads"});
  builder = tinyModel();
  builder.setU32("llama.attention.head_count", 0);
  assertFails(builder, {"head_count': found 0, expected 1 or more"});
  builder = tinyModel();
  builder.setU32("llama.rope.dimension_count", 33);
  assertFails(builder, {"rope.dimension_count': found 33, expected an even number of 2 to 32"});
  builder = tinyModel();
  builder.setU32("llama.expert_count", 8);
  assertFails(builder, {"expert_count': found 8", "mixtures of experts"});
  builder = tinyModel();
  builder.setF32("llama.rope.freq_base", NAN);
  assertFails(builder, {"rope.freq_base': found a number that is not finite"});
  builder = tinyModel();
  builder.setU32("llama.vocab_size", 9);
  assertFails(builder, {"'llama.vocab_size': found 9, expected at most 8"});
}

void test_gguf_repeated_names_fail(void **) {
  GgufBuilder builder = tinyModel();
  builder.pairs.push_back(builder.pairs[0]);
  assertFails(builder, {"key 'general.architecture' stands twice"});
  builder = tinyModel();
  builder.tensors.push_back(builder.tensors[0]);
  assertFails(builder, {"tensor 'token_embd.weight' stands twice"});
}

//===----------------------------------------------------------------------===//
// Hostile files
//===----------------------------------------------------------------------===//

void overwrite64(std::vector<uint8_t> &bytes, size_t offset, uint64_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

void test_gguf_counts_beyond_the_file_fail(void **) {
  for (uint64_t count : {uint64_t(1) << 20, uint64_t(1) << 60, UINT64_MAX}) {
    std::vector<uint8_t> bytes = tinyModel().build();
    overwrite64(bytes, 8, count);
    assertFails(bytes, {"tensor count", "in a file of this size"});
    bytes = tinyModel().build();
    overwrite64(bytes, 16, count);
    assertFails(bytes, {"metadata count", "in a file of this size"});
    bytes = tinyModel().build();
    overwrite64(bytes, 24, count); // length of the first key
    assertFails(bytes, {"key 0: needs"});
    for (uint32_t type : {0u, 6u, 8u, 9u, 11u}) { // arrays of each element size
      GgufBuilder builder = tinyModel();
      std::vector<uint8_t> payload(12);
      std::memcpy(payload.data(), &type, 4);
      overwrite64(payload, 4, count);
      builder.setRaw("general.tags", 9, payload);
      assertFails(builder, {"key 'general.tags'", "before the end of the file"});
    }
  }
}

void test_gguf_value_types_beyond_the_list_fail(void **) {
  GgufBuilder builder = tinyModel();
  builder.setRaw("general.tags", 13, {0});
  assertFails(builder, {"'general.tags': value type 13, expected 0 to 12"});
  std::vector<uint8_t> nested; // arrays in arrays in arrays ...
  for (int i = 0; i < 6; ++i) {
    nested.insert(nested.end(), {9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  }
  builder.setRaw("general.tags", 9, nested);
  assertFails(builder, {"'general.tags': arrays nested deeper than 4"});
}

void test_gguf_tensors_beyond_the_file_fail(void **) {
  GgufBuilder builder = tinyModel();
  builder.tensors.back().data.resize(16);
  assertFails(builder, {"'blk.0.ffn_down.weight': 16384 bytes at offset", "bytes of data"});
  builder = tinyModel();
  builder.tensors.back().offset = UINT64_MAX - 31;
  assertFails(builder, {"'blk.0.ffn_down.weight': 16384 bytes at offset 18446744073709551584"});
  builder.tensors.back().offset = 31;
  assertFails(builder, {"offset 31, expected a multiple of 32"});
  builder.tensors.back().offset = 32;
  assertFails(builder, {"share bytes of the file"});
  builder = tinyModel();
  builder.tensors.back().shape = {uint64_t(1) << 32, uint64_t(1) << 32};
  assertFails(builder, {"'blk.0.ffn_down.weight': extent 4294967296 of dimension 1", "too large"});
  builder.tensors.back().shape = {uint64_t(1) << 30, uint64_t(1) << 30};
  assertFails(builder, {"'blk.0.ffn_down.weight': larger than the file"});
  builder.tensors.back().shape = {0, 64};
  assertFails(builder, {"extent 0 of dimension 1 is zero"});
  builder = tinyModel();
  builder.setU32("general.alignment", 24);
  assertFails(builder, {"'general.alignment': 24, expected a power of two"});
}

void test_gguf_truncated_anywhere_fails(void **) {
  const std::vector<uint8_t> whole = tinyModel("llama", SourceType::Q4_0).build();
  for (size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly this size, so that the sanitizer sees a read of one byte too many.
    const std::vector<uint8_t> bytes(whole.begin(), whole.begin() + size);
    llvm::Expected<ImportedModel> model = importBytes(bytes);
    if (model)
      fail_msg("a file cut to %zu of %zu bytes was imported", size, whole.size());
    llvm::consumeError(model.takeError());
  }
}

void test_gguf_flipped_bytes_never_crash(void **) {
  const std::vector<uint8_t> whole = tinyModel("llama", SourceType::Q4_0).build();
  const size_t head = whole.size() < 4096 ? whole.size() : 4096; // where structure is
  Random random(20261124);
  size_t imported = 0;
  for (int round = 0; round < 10000; ++round) {
    std::vector<uint8_t> bytes = whole;
    for (uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      bytes[random.below(random.below(8) ? head : bytes.size())] ^=
          static_cast<uint8_t>(1 + random.below(255));
    llvm::Expected<ImportedModel> model = importBytes(bytes);
    if (model)
      ++imported;
    else
      llvm::consumeError(model.takeError());
  }
  assert_in_range(imported, 1, 9999); // flips in values import, flips in structure do not
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_gguf_versions_two_and_three_import),
      cmocka_unit_test(test_gguf_every_encoding_keeps_bytes),
      cmocka_unit_test(test_gguf_other_alignment_is_used),
      cmocka_unit_test(test_gguf_gemma3_has_windows_and_scales),
      cmocka_unit_test(test_gguf_qwen_models_import),
      cmocka_unit_test(test_gguf_rope_scaling_is_read),
      cmocka_unit_test(test_gguf_rope_factors_move_to_config),
      cmocka_unit_test(test_gguf_per_layer_counts_must_agree),
      cmocka_unit_test(test_gguf_split_model_has_all_tensors),
      cmocka_unit_test(test_gguf_split_mistakes_are_told),
      cmocka_unit_test(test_gguf_files_on_disk_are_found),
      cmocka_unit_test(test_gguf_wrong_header_fails),
      cmocka_unit_test(test_gguf_unknown_architecture_lists_known),
      cmocka_unit_test(test_gguf_unknown_tensor_type_lists_known),
      cmocka_unit_test(test_gguf_unknown_tensor_lists_known),
      cmocka_unit_test(test_gguf_wrong_shapes_fail),
      cmocka_unit_test(test_gguf_wrong_keys_fail),
      cmocka_unit_test(test_gguf_repeated_names_fail),
      cmocka_unit_test(test_gguf_counts_beyond_the_file_fail),
      cmocka_unit_test(test_gguf_value_types_beyond_the_list_fail),
      cmocka_unit_test(test_gguf_tensors_beyond_the_file_fail),
      cmocka_unit_test(test_gguf_truncated_anywhere_fails),
      cmocka_unit_test(test_gguf_flipped_bytes_never_crash),
  };
  return cmocka_run_group_tests_name("gguf", tests, nullptr, nullptr);
}
