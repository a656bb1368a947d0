//===- ChatNamed.cpp - Well-known chat formats, for --chat-template NAME
//-----------------------===//
//
// The way out for models whose file has no template, a wrong one, or one that cannot be lowered.
// Texts follow the formats that their makers document.
//
//===-----------------------------------------------------------------------------------------===//

#include "llmir/Chat/ChatTable.h"
#include "llvm/ADT/StringExtras.h"

using namespace llmir::compiler;
using llvm::StringRef;

namespace {

enum class SystemPlace { OwnTurn, InsideFirstUser, InsideLastUser };

/// A format as the texts around each role's content. "{bos}" and "{eos}" stand for the model's.
struct NamedFormat {
  const char *name;
  const char *start;
  const char *userOpen, *userClose;
  const char *assistantOpen, *assistantClose;
  const char *systemOpen, *systemClose;
  SystemPlace systemPlace;
  const char *laterTurn; ///< before each user turn but the first
};

const NamedFormat Formats[] = {
    {"chatml", "", "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n", "<|im_end|>\n",
     "<|im_start|>system\n", "<|im_end|>\n", SystemPlace::OwnTurn, ""},
    {"llama2", "{bos}", "[INST] ", " [/INST]", " ", " {eos}", "<<SYS>>\n", "\n<</SYS>>\n\n",
     SystemPlace::InsideFirstUser, "{bos}"},
    {"llama3", "{bos}", "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>",
     "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>",
     "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>", SystemPlace::OwnTurn, ""},
    {"gemma", "{bos}", "<start_of_turn>user\n", "<end_of_turn>\n", "<start_of_turn>model\n",
     "<end_of_turn>\n", "", "\n\n", SystemPlace::InsideFirstUser, ""},
    {"mistral", "{bos}", "[INST] ", "[/INST]", " ", "{eos}", "", "\n\n",
     SystemPlace::InsideLastUser, ""},
    {"zephyr", "", "<|user|>\n", "{eos}\n", "<|assistant|>\n", "{eos}\n", "<|system|>\n", "{eos}\n",
     SystemPlace::OwnTurn, ""},
    {"phi3", "", "<|user|>\n", "<|end|>\n", "<|assistant|>\n", "<|end|>\n", "<|system|>\n",
     "<|end|>\n", SystemPlace::OwnTurn, ""},
    {"deepseek", "{bos}", "<\xEF\xBD\x9CUser\xEF\xBD\x9C>", "",
     "<\xEF\xBD\x9C"
     "Assistant\xEF\xBD\x9C>",
     "{eos}", "", "", SystemPlace::OwnTurn, ""},
};

std::string fill(StringRef text, const ChatTokens &tokens) {
  std::string result;
  while (!text.empty()) {
    if (text.consume_front("{bos}"))
      result += tokens.bos;
    else if (text.consume_front("{eos}"))
      result += tokens.eos;
    else {
      result += text.front();
      text = text.drop_front();
    }
  }
  return result;
}

/// Whether the opening of an answer ends in white space that the model is to write itself: formats
/// that put a space before an answer's text do not open with it.
std::string generationOpening(const std::string &assistantOpen) {
  return assistantOpen == " " ? "" : assistantOpen;
}

ChatTable makeTable(const NamedFormat &format, const ChatTokens &tokens) {
  const std::string start = fill(format.start, tokens), later = fill(format.laterTurn, tokens);
  const std::string userOpen = fill(format.userOpen, tokens);
  const std::string userClose = fill(format.userClose, tokens);
  const std::string assistantOpen = fill(format.assistantOpen, tokens);
  const std::string assistantClose = fill(format.assistantClose, tokens);
  const std::string systemOpen = fill(format.systemOpen, tokens);
  const std::string systemClose = fill(format.systemClose, tokens);
  ChatTable table;
  auto &fromStart = table.text[LLMIR_CHAT_FROM_START];
  auto &fromSystem = table.text[LLMIR_CHAT_ROLE_SYSTEM];
  auto &fromUser = table.text[LLMIR_CHAT_ROLE_USER];
  auto &fromAssistant = table.text[LLMIR_CHAT_ROLE_ASSISTANT];
  const bool ownTurn = format.systemPlace == SystemPlace::OwnTurn;
  fromStart[LLMIR_CHAT_ROLE_USER] = start + userOpen;
  fromStart[LLMIR_CHAT_ROLE_SYSTEM] = start + (ownTurn ? "" : userOpen) + systemOpen;
  fromSystem[LLMIR_CHAT_ROLE_USER] = systemClose + (ownTurn ? userOpen : "");
  fromUser[LLMIR_CHAT_ROLE_ASSISTANT] = userClose + assistantOpen;
  fromUser[LLMIR_CHAT_TO_GENERATE] = userClose + generationOpening(assistantOpen);
  fromUser[LLMIR_CHAT_TO_END] = userClose;
  fromAssistant[LLMIR_CHAT_ROLE_USER] = assistantClose + later + userOpen;
  fromAssistant[LLMIR_CHAT_TO_END] = assistantClose;
  table.systemBeforeLastUser = format.systemPlace == SystemPlace::InsideLastUser;
  if (table.systemBeforeLastUser)
    fromAssistant[LLMIR_CHAT_ROLE_SYSTEM] = assistantClose + later + userOpen + systemOpen;
  return table;
}

} // namespace

llvm::Expected<ChatTable> llmir::compiler::namedChatTable(StringRef name,
                                                          const ChatTokens &tokens) {
  std::vector<StringRef> known;
  for (const NamedFormat &format : Formats) {
    if (name == format.name)
      return makeTable(format, tokens);
    known.push_back(format.name);
  }
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 "chat template '" + name +
                                     "' is unknown, expected a file or one of " +
                                     llvm::join(known, ", "));
}
