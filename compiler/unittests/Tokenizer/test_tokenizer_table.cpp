//===- test_tokenizer_table.cpp - Vocabularies to sections -----------------------------------===//
//
// What the compiler refuses and how it says so; that equal input gives equal bytes; that what it
// makes opens in the runtime. Ids are compared with the reference in tests/golden/tokenizer.
//
//===-----------------------------------------------------------------------------------------===//
#include "llmir/Tokenizer/TokenizerTable.h"

#include "llvm/ADT/StringRef.h"

#include <csetjmp>
#include <cstdarg>
#include <limits>

extern "C" {
#include "core/tokenizer.h"

#include <cmocka.h>
}

using namespace llmir::compiler;

namespace {

/// "a", "b" and "ab" by one merge, and a control token.
TokenizerSpec byteLevel() {
  TokenizerSpec spec;
  spec.preTokenizer = "gpt-2";
  spec.tokens = {"a", "b", "ab",
                 "\xc4\xa0"
                 "a",
                 "<end>"};
  spec.classes.assign(4, TokenClass::Normal);
  spec.classes.push_back(TokenClass::Control);
  spec.merges = {"a b"};
  spec.eos = 4;
  return spec;
}

TokenizerSpec sentencePiece(TokenizerKind kind) {
  TokenizerSpec spec;
  spec.kind = kind;
  spec.tokens = {"<unk>", "<0x41>", "\xe2\x96\x81", "a",
                 "\xe2\x96\x81"
                 "a"};
  spec.classes = {TokenClass::Unknown, TokenClass::Byte, TokenClass::Normal, TokenClass::Normal,
                  TokenClass::Normal};
  spec.scores = {0, 0, -3, -2, -1};
  spec.unknown = 0;
  return spec;
}

void assertRefused(const TokenizerSpec &spec, llvm::StringRef part) {
  llvm::Expected<std::vector<uint8_t>> section = compileTokenizer(spec);
  assert_false(bool(section));
  const std::string message = toString(section.takeError());
  if (message.find(part.str()) == std::string::npos)
    fail_msg("'%s' does not contain '%s'", message.c_str(), part.str().c_str());
}

std::vector<uint8_t> compile(const TokenizerSpec &spec) {
  llvm::Expected<std::vector<uint8_t>> section = compileTokenizer(spec);
  if (!section)
    fail_msg("%s", toString(section.takeError()).c_str());
  return *section;
}

std::vector<int32_t> encode(const std::vector<uint8_t> &section, llvm::StringRef text) {
  llmir_tokenizer_t tokenizer;
  assert_int_equal(
      llmir_tokenizer_open(section.data(), section.size(), UINT32_MAX, &tokenizer, nullptr),
      LLMIR_STATUS_OK);
  std::vector<int32_t> ids(64);
  const llmir_allocator_t heap = {nullptr, nullptr};
  const llmir_encode_text_t input = {text.data(), text.size(), nullptr, 0};
  llmir_token_sink_t sink = {ids.data(), ids.size(), 0};
  assert_int_equal(
      llmir_tokenizer_encode(&tokenizer, &heap, &input, LLMIR_TOKENIZE_SPECIAL, &sink, nullptr),
      LLMIR_STATUS_OK);
  ids.resize(sink.count);
  return ids;
}

void test_tokenizer_table_unknown_pre_tokenizer_lists_the_known(void **) {
  TokenizerSpec spec = byteLevel();
  spec.preTokenizer = "klingon";
  assertRefused(spec, "'klingon'");
  assertRefused(spec, "gpt-2, gpt2, llama-bpe");
}

void test_tokenizer_table_merge_without_token_is_named(void **) {
  TokenizerSpec spec = byteLevel();
  spec.merges.push_back("b a");
  assertRefused(spec, "merge 1 is 'b a'");
  spec.merges = {"ab"};
  assertRefused(spec, "merge 0 is 'ab', expected two parts");
}

void test_tokenizer_table_counts_that_differ_are_refused(void **) {
  TokenizerSpec spec = byteLevel();
  spec.classes.pop_back();
  assertRefused(spec, "4 token classes, expected 5");
  spec = sentencePiece(TokenizerKind::SentencePieceBpe);
  spec.scores.pop_back();
  assertRefused(spec, "4 scores, expected 5");
  assertRefused(TokenizerSpec(), "0 tokens");
}

void test_tokenizer_table_ids_out_of_range_are_refused(void **) {
  TokenizerSpec spec = byteLevel();
  spec.bos = 5;
  assertRefused(spec, "begin-of-text id 5, expected -1 to 4");
  spec = byteLevel();
  spec.endTokens = {-2};
  assertRefused(spec, "end token -2");
}

void test_tokenizer_table_bad_byte_token_or_score_is_refused(void **) {
  TokenizerSpec spec = sentencePiece(TokenizerKind::SentencePieceBpe);
  spec.tokens[1] = "<0xZZ>";
  assertRefused(spec, "byte token 1 is '<0xZZ>'");
  spec = sentencePiece(TokenizerKind::SentencePieceUnigram);
  spec.scores[3] = std::numeric_limits<float>::quiet_NaN();
  assertRefused(spec, "score of token 3");
}

void test_tokenizer_table_token_too_long_is_refused(void **) {
  TokenizerSpec spec = byteLevel();
  spec.tokens[0].assign(LLMIR_TOKENIZER_MAX_TOKEN_BYTES + 1, 'x');
  assertRefused(spec, "token 0 has 1025 bytes");
}

void test_tokenizer_table_charsmap_is_refused(void **) {
  TokenizerSpec spec = sentencePiece(TokenizerKind::SentencePieceUnigram);
  spec.normalizerCharsMap = "x";
  assertRefused(spec, "precompiled charsmap");
}

void test_tokenizer_table_equal_specs_give_equal_bytes(void **) {
  assert_true(compile(byteLevel()) == compile(byteLevel()));
  const TokenizerSpec unigram = sentencePiece(TokenizerKind::SentencePieceUnigram);
  assert_true(compile(unigram) == compile(unigram));
}

void test_tokenizer_table_sections_encode(void **) {
  assert_true(encode(compile(byteLevel()), "ab a<end>") == std::vector<int32_t>({2, 0, 4}));
  for (TokenizerKind kind : {TokenizerKind::SentencePieceBpe, TokenizerKind::SentencePieceUnigram})
    assert_true(encode(compile(sentencePiece(kind)), " aA a?") ==
                std::vector<int32_t>({4, 1, 4, 0}));
}

void test_tokenizer_table_whole_words_need_ignore_merges_or_merges(void **) {
  TokenizerSpec spec = byteLevel(); // "\u0120a" has no merge, and no token is a space
  assert_true(encode(compile(spec), " a") == std::vector<int32_t>({0}));
  spec.ignoreMerges = true;
  assert_true(encode(compile(spec), " a") == std::vector<int32_t>({3}));
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_tokenizer_table_unknown_pre_tokenizer_lists_the_known),
      cmocka_unit_test(test_tokenizer_table_merge_without_token_is_named),
      cmocka_unit_test(test_tokenizer_table_counts_that_differ_are_refused),
      cmocka_unit_test(test_tokenizer_table_ids_out_of_range_are_refused),
      cmocka_unit_test(test_tokenizer_table_bad_byte_token_or_score_is_refused),
      cmocka_unit_test(test_tokenizer_table_token_too_long_is_refused),
      cmocka_unit_test(test_tokenizer_table_charsmap_is_refused),
      cmocka_unit_test(test_tokenizer_table_equal_specs_give_equal_bytes),
      cmocka_unit_test(test_tokenizer_table_sections_encode),
      cmocka_unit_test(test_tokenizer_table_whole_words_need_ignore_merges_or_merges),
  };
  return cmocka_run_group_tests_name("tokenizer_table", tests, nullptr, nullptr);
}
