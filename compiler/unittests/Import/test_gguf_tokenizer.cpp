//===- test_gguf_tokenizer.cpp - Tokenizer metadata of GGUF files ---------===//
#include "GgufBuilder.h"
#include "llmir/Import/Gguf.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

using namespace llmir::compiler;
using namespace llmir::compiler::testing;

namespace {

llvm::Expected<ImportedModel> importModel(const GgufBuilder &builder) {
  const std::vector<uint8_t> bytes = builder.build();
  llvm::Expected<ImportedModel> model = importGgufBuffers({GgufBuffer{"test.gguf", bytes}});
  if (model)
    model->tensors.clear(); // they point into `bytes`
  return model;
}

TokenizerSpec tokenizerOf(const GgufBuilder &builder) {
  llvm::Expected<ImportedModel> model = importModel(builder);
  if (!model)
    fail_msg("%s", llvm::toString(model.takeError()).c_str());
  assert_true(model->hasTokenizer);
  return model->tokenizer;
}

void assertFails(const GgufBuilder &builder, const char *piece) {
  llvm::Expected<ImportedModel> model = importModel(builder);
  if (model)
    fail_msg("imported, expected an error with '%s'", piece);
  const std::string message = llvm::toString(model.takeError());
  if (message.find(piece) == std::string::npos)
    fail_msg("'%s' does not contain '%s'", message.c_str(), piece);
}

GgufBuilder sentencePieceModel(const char *kind) {
  GgufBuilder builder = tinyModel();
  for (const char *key : {"merges", "pre", "bos_token_id", "eos_token_id", "token_type"})
    builder.removeKey(std::string("tokenizer.ggml.") + key);
  builder.setString("tokenizer.ggml.model", kind);
  builder.setF32s("tokenizer.ggml.scores", {0, 0, -1, -2, -3, -4, -5, -6});
  return builder;
}

void test_gguf_tokenizer_bpe_is_complete(void **) {
  const TokenizerSpec spec = tokenizerOf(tinyModel());
  assert_true(spec.kind == TokenizerKind::ByteLevelBpe);
  assert_string_equal(spec.preTokenizer.c_str(), "gpt-2");
  assert_int_equal(spec.tokens.size(), 8);
  assert_string_equal(spec.merges[1].c_str(), "ab c");
  assert_int_equal(spec.bos, 0);
  assert_int_equal(spec.eos, 1);
  assert_int_equal(spec.unknown, -1);
  assert_false(spec.addBos || spec.addEos || spec.addSpacePrefix || spec.ignoreMerges);
  assert_true(importModel(tinyModel())->chatTemplate == "{{ messages }}");
}

void test_gguf_tokenizer_llama3_words_come_first(void **) {
  GgufBuilder builder = tinyModel();
  builder.setString("tokenizer.ggml.pre", "llama-bpe");
  const TokenizerSpec spec = tokenizerOf(builder);
  assert_true(spec.ignoreMerges && spec.addBos);
  builder.setBool("tokenizer.ggml.add_bos_token", false);
  assert_false(tokenizerOf(builder).addBos);
}

void test_gguf_tokenizer_sentencepiece_defaults(void **) {
  const TokenizerSpec bpe = tokenizerOf(sentencePieceModel("llama"));
  assert_true(bpe.kind == TokenizerKind::SentencePieceBpe);
  assert_true(bpe.addBos && bpe.addSpacePrefix && !bpe.addEos);
  assert_int_equal(bpe.bos, 1);
  assert_int_equal(bpe.eos, 2);
  assert_int_equal(bpe.unknown, 0);
  assert_true(bpe.scores[7] == -6.0f);

  GgufBuilder builder = sentencePieceModel("t5");
  builder.setRaw("tokenizer.ggml.precompiled_charsmap", 9, // an array of two u8
                 {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xAB, 0xCD});
  builder.setBool("tokenizer.ggml.remove_extra_whitespaces", true);
  const TokenizerSpec unigram = tokenizerOf(builder);
  assert_true(unigram.kind == TokenizerKind::SentencePieceUnigram);
  assert_true(unigram.addEos && !unigram.addBos && unigram.removeExtraWhitespace);
  assert_int_equal(unigram.eos, 1);
  assert_int_equal(unigram.unknown, 2);
  assert_string_equal(unigram.normalizerCharsMap.c_str(), "\xAB\xCD");
}

void test_gguf_tokenizer_turn_ends_are_control(void **) {
  GgufBuilder builder = tinyModel();
  builder.setU32("tokenizer.ggml.eos_token_id", 7);
  const TokenizerSpec spec = tokenizerOf(builder);
  assert_true(spec.endTokens == std::vector<int32_t>({1, 7})); // <|im_end|> by its text
  assert_true(spec.classes[1] == TokenClass::Control);         // though the file says normal
  assert_true(spec.classes[0] == TokenClass::Control);
  assert_true(spec.classes[2] == TokenClass::Normal);

  builder.setU32("tokenizer.ggml.eot_token_id", 3);
  builder.setU32("tokenizer.ggml.eom_token_id", 4);
  assert_true(tokenizerOf(builder).endTokens == std::vector<int32_t>({1, 3, 4, 7}));
}

void test_gguf_tokenizer_ids_outside_are_absent(void **) {
  GgufBuilder builder = tinyModel();
  builder.setU32("tokenizer.ggml.padding_token_id", 8);
  builder.setU32("tokenizer.ggml.bos_token_id", UINT32_MAX);
  const TokenizerSpec spec = tokenizerOf(builder);
  assert_int_equal(spec.padding, -1);
  assert_int_equal(spec.bos, -1);
}

void test_gguf_tokenizer_absent_is_no_error(void **) {
  GgufBuilder builder = tinyModel();
  builder.setString("tokenizer.ggml.model", "none");
  assert_false(importModel(builder)->hasTokenizer);
  builder.removeKey("tokenizer.ggml.model");
  assert_false(importModel(builder)->hasTokenizer);
}

void test_gguf_tokenizer_mistakes_are_told(void **) {
  GgufBuilder builder = tinyModel();
  builder.setString("tokenizer.ggml.model", "bert");
  assertFails(builder, "found 'bert', expected one of gpt2, llama, t5, none");
  builder = tinyModel();
  builder.setStrings("tokenizer.ggml.tokens", {"a", "b", "c", "d", "e", "f", "g", "h", "i"});
  assertFails(builder, "found 9 tokens, expected 1 to 8");
  builder = tinyModel();
  builder.removeKey("tokenizer.ggml.tokens");
  assertFails(builder, "found 0 tokens");
  builder = tinyModel();
  builder.removeKey("tokenizer.ggml.merges");
  assertFails(builder, "'tokenizer.ggml.merges': missing");
  builder = tinyModel();
  builder.setStrings("tokenizer.ggml.merges", {"a b", "ab"});
  assertFails(builder, "merge 1 is 'ab', expected two parts");
  builder = tinyModel();
  builder.setI32s("tokenizer.ggml.token_type", {1, 1});
  assertFails(builder, "found 2 types, expected 8");
  builder = tinyModel();
  builder.setI32s("tokenizer.ggml.token_type", {1, 1, 1, 1, 7, 1, 1, 1});
  assertFails(builder, "found 7 for token 4, expected 0 to 6");
  builder = sentencePieceModel("llama");
  builder.setF32s("tokenizer.ggml.scores", {0});
  assertFails(builder, "found 1 scores, expected 8");
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_gguf_tokenizer_bpe_is_complete),
      cmocka_unit_test(test_gguf_tokenizer_llama3_words_come_first),
      cmocka_unit_test(test_gguf_tokenizer_sentencepiece_defaults),
      cmocka_unit_test(test_gguf_tokenizer_turn_ends_are_control),
      cmocka_unit_test(test_gguf_tokenizer_ids_outside_are_absent),
      cmocka_unit_test(test_gguf_tokenizer_absent_is_no_error),
      cmocka_unit_test(test_gguf_tokenizer_mistakes_are_told),
  };
  return cmocka_run_group_tests_name("gguf_tokenizer", tests, nullptr, nullptr);
}
