//===- ChatTable.h - Chat templates, lowered to transition tables
//------------------------------===//
//
// A chat template is a Jinja program. The runtime has no Jinja: the template is run here, on sample
// conversations, and what it writes between two contents becomes the entry of a table. A template
// is accepted only if the table then reproduces it on conversations that were not used to make the
// table, so nothing is recognised by name. The table is llmir_chat_record_t of llmir_bundle.h.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_CHAT_CHATTABLE_H
#define LLMIR_CHAT_CHATTABLE_H

#include "llmir_bundle.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace llmir::compiler {

/// What the runtime needs of a template; the fields are those of llmir_chat_record_t.
struct ChatTable {
  using Row = std::array<std::optional<std::string>, LLMIR_CHAT_TO_COUNT>;
  std::array<Row, LLMIR_CHAT_FROM_COUNT> text;
  std::array<uint32_t, LLMIR_CHAT_ROLE_COUNT> trim{};
  bool systemBeforeLastUser = false;
};

/// A message of a sample conversation.
struct ChatMessage {
  llmir_chat_role_t role;
  std::string content;
};
using Conversation = std::vector<ChatMessage>;

/// The special tokens that templates name.
struct ChatTokens {
  std::string bos, eos;
};

/// What the table makes of a conversation, or nothing where a transition is absent: the
/// specification of core/chat.c.
std::optional<std::string> renderChat(const ChatTable &table, const Conversation &conversation,
                                      bool generate);

/// Lowers a Jinja template. Errors: it fails to render, or no table reproduces it (the error shows
/// a conversation and both texts). Runs the template in a sandboxed interpreter process with bounds
/// on time and memory.
llvm::Expected<ChatTable> lowerChatTemplate(llvm::StringRef jinja, const ChatTokens &tokens);

/// The table of a well-known format: chatml, llama2, llama3, gemma, mistral, zephyr, phi3,
/// deepseek. An unknown name is an error that lists these.
llvm::Expected<ChatTable> namedChatTable(llvm::StringRef name, const ChatTokens &tokens);

/// The bytes of a CHAT section.
std::vector<uint8_t> serializeChat(const ChatTable &table);

/// One text for each conversation, or the template's own error message (`failed`).
struct RenderedChat {
  std::string text;
  bool failed = false;
};
struct RenderRequest {
  Conversation conversation;
  bool generate = false;
};

/// Runs a Jinja template over many conversations in one interpreter process. Errors: no interpreter
/// with Jinja2, a template that does not parse, time or memory used up.
llvm::Expected<std::vector<RenderedChat>> renderJinja(llvm::StringRef jinja,
                                                      const ChatTokens &tokens,
                                                      const std::vector<RenderRequest> &requests);

} // namespace llmir::compiler

#endif // LLMIR_CHAT_CHATTABLE_H
