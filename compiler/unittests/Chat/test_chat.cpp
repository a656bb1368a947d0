//===- test_chat.cpp - Chat templates from Jinja to tokens
//---------------------------------------===//
//
// Lowers templates of eight shapes, and of the ways in which model files of today write them,
// carries the tables through a CHAT section into the runtime, and compares the text that the
// runtime's tokens stand for with what Jinja itself writes.
//
//   test_chat [FOLDER]      with a folder, compares its *.jinja instead: for templates of real
//   files
//
//===------------------------------------------------------------------------------------------===//

#include "llmir/Chat/ChatTable.h"
#include "llmir/Tokenizer/TokenizerTable.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <csetjmp>
#include <cstdarg>
#include <cstring>
#include <map>
#include <random>
#include <sys/resource.h>

extern "C" {
#include "core/chat.h"

#include <cmocka.h>
}

using namespace llmir::compiler;

namespace {

const ChatTokens Tokens = {"<s>", "</s>"};
constexpr llmir_chat_role_t System = LLMIR_CHAT_ROLE_SYSTEM;
constexpr llmir_chat_role_t User = LLMIR_CHAT_ROLE_USER;
constexpr llmir_chat_role_t Assistant = LLMIR_CHAT_ROLE_ASSISTANT;

std::string readTemplate(llvm::StringRef name) {
  auto buffer =
      llvm::MemoryBuffer::getFile(std::string(TEMPLATE_FOLDER "/") + name.str() + ".jinja");
  assert_true(bool(buffer));
  return (*buffer)->getBuffer().str();
}

/// A vocabulary of the 256 bytes in the byte-level alphabet, and a few control tokens.
TokenizerSpec byteVocabulary() {
  TokenizerSpec spec;
  spec.preTokenizer = "gpt-2";
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const int code = visible ? byte : next++;
    std::string text;
    if (code < 0x80) {
      text += char(code);
    } else {
      text += char(0xC0 | code >> 6);
      text += char(0x80 | (code & 0x3F));
    }
    spec.tokens.push_back(text);
    spec.classes.push_back(TokenClass::Normal);
  }
  for (const char *control :
       {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "<|eot_id|>"}) {
    spec.tokens.push_back(control);
    spec.classes.push_back(TokenClass::Control);
  }
  spec.bos = 256;
  spec.eos = 257;
  spec.endTokens = {257};
  return spec;
}

/// A tokenizer and a chat view over sections that it owns.
struct Runtime {
  std::vector<uint8_t> tokenizerSection, chatSection;
  llmir_tokenizer_t tokenizer;
  llmir_chat_t chat;

  explicit Runtime(const ChatTable &table) : chatSection(serializeChat(table)) {
    auto section = compileTokenizer(byteVocabulary());
    assert_true(bool(section));
    tokenizerSection = std::move(*section);
    llmir_error_t error = {0, {0}};
    assert_int_equal(llmir_tokenizer_open(tokenizerSection.data(), tokenizerSection.size(), 300,
                                          &tokenizer, &error),
                     LLMIR_STATUS_OK);
    assert_int_equal(
        llmir_chat_open(chatSection.data(), chatSection.size(), &tokenizer, &chat, &error),
        LLMIR_STATUS_OK);
  }

  std::vector<int32_t> encode(const Conversation &conversation, uint32_t flags,
                              llmir_status_t expected = LLMIR_STATUS_OK) const {
    static const char *const names[] = {"system", "user", "assistant"};
    std::vector<llmir_message_t> messages;
    for (const ChatMessage &message : conversation)
      messages.push_back({names[message.role], message.content.data(), message.content.size()});
    std::vector<int32_t> ids(1 << 16); // a byte each: systems' texts are long
    llmir_token_sink_t sink = {ids.data(), ids.size(), 0};
    llmir_allocator_t allocator = llmir_allocator_or_default({nullptr, nullptr});
    llmir_error_t error = {0, {0}};
    assert_int_equal(llmir_chat_encode(&chat, &allocator, messages.data(), messages.size(), flags,
                                       &sink, &error),
                     expected);
    assert_true(sink.count <= ids.size());
    ids.resize(sink.count);
    return ids;
  }

  std::string decode(const std::vector<int32_t> &ids) const {
    std::string text(1 << 18, '\0');
    llmir_text_sink_t sink = {text.data(), text.size(), 0};
    llmir_error_t error = {0, {0}};
    assert_int_equal(llmir_tokenizer_decode(&tokenizer, ids.data(), ids.size(),
                                            LLMIR_TOKENIZE_SPECIAL, &sink, &error),
                     LLMIR_STATUS_OK);
    text.resize(sink.bytes);
    return text;
  }
};

/// The table of a template of the folder; lowered once, since that starts several processes.
const ChatTable &lowered(const std::string &name) {
  static std::map<std::string, ChatTable> tables;
  auto found = tables.find(name);
  if (found == tables.end()) {
    auto table = lowerChatTemplate(readTemplate(name), Tokens);
    if (!table)
      fail_msg("%s: %s", name.c_str(), toString(table.takeError()).c_str());
    found = tables.emplace(name, *table).first;
  }
  return found->second;
}

const char *const Shapes[] = {"chatml",  "llama2", "llama3", "gemma",
                              "mistral", "zephyr", "phi3",   "deepseek"};

/// Further ways to write these shapes: with tools, dates, thoughts, parts of contents, macros.
const char *const Dialects[] = {"llama31",       "qwen25", "qwen3",     "nemo",
                                "mistral-small", "gemma3", "phi4",      "deepseek-r1",
                                "smollm3",       "vicuna", "zephyr-eos"};

/// Random contents with white space of all kinds inside and around; each has a letter, because
/// templates may tell empty contents apart.
std::string randomContent(std::mt19937 &random) {
  static const char *const pieces[] = {" ",
                                       "\n",
                                       "\t",
                                       "\r\n",
                                       "\xC2\xA0",
                                       "word",
                                       "two words",
                                       "'quoted'",
                                       "{{ x }}{% y %}",
                                       "<b>&amp;</b>",
                                       "\\n",
                                       "\"",
                                       "\xE4\xB8\xAD",
                                       "\xF0\x9F\x99\x82",
                                       "7"};
  const auto piece = [&] { return pieces[random() % std::size(pieces)]; };
  std::string content;
  for (size_t count = random() % 4; count > 0; --count)
    content += piece();
  content += "x";
  for (size_t count = random() % 4; count > 0; --count)
    content += piece();
  return content;
}

std::vector<RenderRequest> randomConversations(const ChatTable &table, size_t count) {
  std::mt19937 random(20261127);
  std::vector<RenderRequest> requests;
  for (size_t i = 0; i < count; ++i) {
    Conversation conversation;
    if (table.text[LLMIR_CHAT_FROM_START][System] && random() % 2)
      conversation.push_back({System, randomContent(random)});
    conversation.push_back({User, randomContent(random)});
    for (size_t turns = random() % 4; turns > 0; --turns) {
      conversation.push_back({Assistant, randomContent(random)});
      conversation.push_back({User, randomContent(random)});
    }
    requests.push_back({conversation, true});
  }
  return requests;
}

/// The number of random conversations that the runtime writes unlike Jinja.
size_t countDifferences(const std::string &name, const std::string &source,
                        const ChatTable &table) {
  const Runtime runtime(table);
  const std::vector<RenderRequest> requests = randomConversations(table, 60);
  auto rendered = renderJinja(source, Tokens, requests);
  assert_true(bool(rendered));
  size_t differences = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto ids = runtime.encode(requests[i].conversation, LLMIR_CHAT_GENERATE);
    if (!(*rendered)[i].failed && runtime.decode(ids) == (*rendered)[i].text)
      continue;
    if (differences++ == 0)
      print_message("%s: found '%s', expected '%s'\n", name.c_str(), runtime.decode(ids).c_str(),
                    (*rendered)[i].text.c_str());
  }
  return differences;
}

void test_chat_random_conversations_equal_jinja_in_every_dialect(void **) {
  size_t differences = 0;
  for (const char *name : Shapes)
    differences += countDifferences(name, readTemplate(name), lowered(name));
  for (const char *name : Dialects)
    differences += countDifferences(name, readTemplate(name), lowered(name));
  assert_int_equal(differences, 0);
}

/// Templates of a folder, for those that cannot be kept in the tree.
int compareFolder(const char *folder) {
  std::error_code code;
  size_t lowerable = 0, refused = 0, wrong = 0;
  for (llvm::sys::fs::directory_iterator at(folder, code), end; at != end && !code;
       at.increment(code)) {
    const std::string path = at->path();
    if (llvm::sys::path::extension(path) != ".jinja")
      continue;
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (!buffer)
      continue;
    const std::string source = (*buffer)->getBuffer().str();
    auto table = lowerChatTemplate(source, Tokens);
    if (!table) {
      ++refused;
      print_message("%s: %s\n", path.c_str(), toString(table.takeError()).c_str());
      continue;
    }
    ++lowerable;
    wrong += countDifferences(path, source, *table) > 0;
  }
  print_message("%zu templates lowered, %zu of them wrong; %zu refused\n", lowerable, wrong,
                refused);
  return wrong > 0;
}

void test_chat_every_shape_runtime_writes_what_jinja_writes(void **) {
  const std::vector<RenderRequest> requests = {
      {{{User, "Why is the sky blue?"}}, true},
      {{{User, "one"}, {Assistant, "two"}, {User, "three \xF0\x9F\x99\x82"}}, true},
      {{{System, "Be brief."}, {User, "a\nb"}}, true},
      {{{System, "S"}, {User, "1"}, {Assistant, "2"}, {User, "3"}, {Assistant, "4"}, {User, "5"}},
       true}};
  for (const char *shape : Shapes) {
    const Runtime runtime(lowered(shape));
    auto rendered = renderJinja(readTemplate(shape), Tokens, requests);
    assert_true(bool(rendered));
    for (size_t i = 0; i < requests.size(); ++i) {
      assert_false((*rendered)[i].failed);
      const auto ids = runtime.encode(requests[i].conversation, LLMIR_CHAT_GENERATE);
      assert_string_equal(runtime.decode(ids).c_str(), (*rendered)[i].text.c_str());
    }
  }
}

void test_chat_named_formats_equal_the_lowered_shapes(void **) {
  const Conversation conversation = {{System, "S"}, {User, "1"}, {Assistant, "2"}, {User, "3"}};
  for (const char *shape : Shapes) {
    // DeepSeek's template has its own end of turn in its text.
    const ChatTokens tokens = {"<s>", std::strcmp(shape, "deepseek") == 0
                                          ? "<\xEF\xBD\x9C"
                                            "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"
                                          : "</s>"};
    auto named = namedChatTable(shape, tokens);
    assert_true(bool(named));
    const auto ours = renderChat(*named, conversation, true);
    const auto theirs = renderChat(lowered(shape), conversation, true);
    assert_true(ours && theirs);
    assert_string_equal(ours->c_str(), theirs->c_str());
  }
  auto unknown = namedChatTable("nonsense", Tokens);
  assert_false(bool(unknown));
  assert_non_null(std::strstr(toString(unknown.takeError()).c_str(), "chatml, llama2"));
}

void test_chat_control_tokens_in_contents_stay_text(void **) {
  const Runtime runtime(lowered("chatml"));
  const auto ids = runtime.encode({{User, "<|im_end|>"}}, LLMIR_CHAT_GENERATE);
  const int32_t end = 259;
  // The template's own: after the default system text and after the user's.
  assert_int_equal(std::count(ids.begin(), ids.end(), end), 2);
  const auto plain = runtime.encode({{User, "x"}}, LLMIR_CHAT_GENERATE);
  assert_int_equal(ids.size(), plain.size() + std::strlen("<|im_end|>") - 1);
}

void test_chat_continue_closes_the_answer_and_repeats_nothing(void **) {
  const Runtime runtime(lowered("chatml"));
  const auto ids = runtime.encode({{User, "more"}}, LLMIR_CHAT_GENERATE | LLMIR_CHAT_CONTINUE);
  assert_string_equal(runtime.decode(ids).c_str(),
                      "<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n");
}

void test_chat_forbidden_orders_and_roles_are_errors(void **) {
  const Runtime gemma(lowered("gemma"));
  gemma.encode({{User, "a"}, {User, "b"}}, LLMIR_CHAT_GENERATE, LLMIR_STATUS_INVALID_ARGUMENT);
  gemma.encode({{User, "a"}, {System, "b"}}, 0, LLMIR_STATUS_INVALID_ARGUMENT);
  gemma.encode({}, LLMIR_CHAT_GENERATE, LLMIR_STATUS_INVALID_ARGUMENT);
  const Runtime mistral(lowered("mistral"));
  mistral.encode({{System, "alone"}}, LLMIR_CHAT_GENERATE, LLMIR_STATUS_INVALID_ARGUMENT);
  const llmir_message_t unknown = {"tool", "x", 1};
  llmir_allocator_t allocator = llmir_allocator_or_default({nullptr, nullptr});
  llmir_token_sink_t sink = {nullptr, 0, 0};
  llmir_error_t error = {0, {0}};
  assert_int_equal(llmir_chat_encode(&gemma.chat, &allocator, &unknown, 1, 0, &sink, &error),
                   LLMIR_STATUS_INVALID_ARGUMENT);
  assert_non_null(std::strstr(error.message, "'tool'"));
}

void test_chat_white_space_is_trimmed_where_the_template_trims(void **) {
  const Runtime runtime(lowered("llama3"));
  const std::string text =
      runtime.decode(runtime.encode({{User, " \t\xC2\xA0x y\xE3\x80\x80\n"}}, 0));
  assert_non_null(std::strstr(text.c_str(), "<|end_header_id|>\n\nx y<|eot_id|>"));
  const Runtime plain(lowered("chatml"));
  const std::string kept = plain.decode(plain.encode({{User, " x "}}, 0));
  assert_non_null(std::strstr(kept.c_str(), "user\n x <|im_end|>"));
}

/// CPU time of the interpreters so far.
long secondsOfChildren() {
  struct rusage usage;
  assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
}

void test_chat_templates_without_table_are_refused(void **) {
  const char *const bad[] = {
      "{{ messages[0]['content'] | upper }}",                               // changes contents
      "{% for m in messages %}{{ loop.index }}{{ m.content }}{% endfor %}", // counts turns
      "{{ raise_exception('never') }}",
      "{% for m in messages %}", // does not parse
      "{% for i in range(10**9) %}{% for j in range(10**9) %}{% endfor %}{% endfor %}"};
  const long before = secondsOfChildren();
  for (const char *source : bad) {
    auto table = lowerChatTemplate(source, Tokens);
    assert_false(bool(table));
    const std::string message = toString(table.takeError());
    assert_null(std::strchr(message.c_str(), '\n')); // one line, whatever the template writes
  }
  // One that never ends is stopped after three seconds, and is not tried in a second interpreter.
  assert_true(secondsOfChildren() - before < 6);
}

void test_chat_hostile_sections_are_refused(void **) {
  const std::vector<uint8_t> good = serializeChat(lowered("chatml"));
  llmir_tokenizer_t tokenizer = {};
  for (size_t bytes = 0; bytes < good.size(); bytes += 4) {
    std::vector<uint8_t> cut(good.begin(), good.begin() + bytes);
    llmir_chat_t chat;
    llmir_error_t error = {0, {0}};
    assert_int_not_equal(llmir_chat_open(cut.data(), cut.size(), &tokenizer, &chat, &error),
                         LLMIR_STATUS_OK);
  }
  for (size_t i = 0; i < sizeof(llmir_chat_record_t); ++i) {
    std::vector<uint8_t> changed = good;
    changed[i] ^= 0x80;
    llmir_chat_t chat;
    llmir_error_t error = {0, {0}};
    // Accepted or refused, but every text of an accepted one lies inside.
    if (llmir_chat_open(changed.data(), changed.size(), &tokenizer, &chat, &error) !=
        LLMIR_STATUS_OK)
      continue;
    for (const auto &row : chat.record->text)
      for (const llmir_bundle_range_t &range : row)
        assert_true(uint64_t(range.offset) + range.bytes <= changed.size());
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc > 1)
    return compareFolder(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_chat_every_shape_runtime_writes_what_jinja_writes),
      cmocka_unit_test(test_chat_random_conversations_equal_jinja_in_every_dialect),
      cmocka_unit_test(test_chat_named_formats_equal_the_lowered_shapes),
      cmocka_unit_test(test_chat_control_tokens_in_contents_stay_text),
      cmocka_unit_test(test_chat_continue_closes_the_answer_and_repeats_nothing),
      cmocka_unit_test(test_chat_forbidden_orders_and_roles_are_errors),
      cmocka_unit_test(test_chat_white_space_is_trimmed_where_the_template_trims),
      cmocka_unit_test(test_chat_templates_without_table_are_refused),
      cmocka_unit_test(test_chat_hostile_sections_are_refused),
  };
  return cmocka_run_group_tests_name("chat", tests, nullptr, nullptr);
}
