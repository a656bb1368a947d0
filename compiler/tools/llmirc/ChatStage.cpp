//===- ChatStage.cpp - The CHAT section -----------------------------------===//
#include "ChatStage.h"

#include "llmir/Chat/ChatTable.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

ChatTokens chatTokens(const TokenizerSpec &tokenizer) {
  auto text = [&](int32_t id) {
    bool known = id >= 0 && static_cast<size_t>(id) < tokenizer.tokens.size();
    return known ? tokenizer.tokens[id] : std::string();
  };
  return {text(tokenizer.bos), text(tokenizer.eos)};
}

Expected<ChatTable> chosenTable(StringRef choice, const ChatTokens &tokens) {
  if (!sys::fs::exists(choice))
    return namedChatTable(choice, tokens);
  auto buffer = MemoryBuffer::getFile(choice, /*IsText=*/true);
  if (!buffer)
    return createStringError(buffer.getError(), "'" + choice + "': " + buffer.getError().message());
  return lowerChatTemplate((*buffer)->getBuffer(), tokens);
}

} // namespace

Expected<ChatSection> makeChatSection(const Options &options, const ImportedModel &model) {
  if (options.chatTemplate == "none" ||
      (options.chatTemplate.empty() && model.chatTemplate.empty()))
    return ChatSection();
  ChatTokens tokens = chatTokens(model.tokenizer);
  bool isOwn = options.chatTemplate.empty();
  auto table = isOwn ? lowerChatTemplate(model.chatTemplate, tokens)
                     : chosenTable(options.chatTemplate, tokens);
  if (!table) {
    std::string reason = toString(table.takeError());
    if (!isOwn)
      return createStringError(inconvertibleErrorCode(), "--chat-template: " + reason);
    return createStringError(inconvertibleErrorCode(),
                             options.model + ": chat template of the model: " + reason +
                                 "; choose another with --chat-template NAME|FILE, or none");
  }
  return ChatSection{serializeChat(*table), isOwn ? "the model's template" : options.chatTemplate};
}

} // namespace llmir::compiler
