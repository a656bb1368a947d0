//===- ChatSection.cpp - The table as text and as section bytes
//--------------------------------===//

#include "llmir/Chat/ChatTable.h"

#include <algorithm>
#include <cstring>

using namespace llmir::compiler;

namespace {

bool isTrimmed(unsigned char c, uint32_t flags) {
  if (flags & LLMIR_CHAT_TRIM_NEWLINES)
    return c == '\n';
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
}

/// Sample contents are ASCII, so ASCII white space suffices here.
llvm::StringRef trimmed(llvm::StringRef text, uint32_t flags, uint32_t from) {
  if ((flags & LLMIR_CHAT_TRIM_NOT_AFTER_SYSTEM) && from == LLMIR_CHAT_ROLE_SYSTEM)
    flags &= ~uint32_t(LLMIR_CHAT_TRIM_LEFT);
  while ((flags & LLMIR_CHAT_TRIM_LEFT) && !text.empty() && isTrimmed(text.front(), flags))
    text = text.drop_front();
  while ((flags & LLMIR_CHAT_TRIM_RIGHT) && !text.empty() && isTrimmed(text.back(), flags))
    text = text.drop_back();
  return text;
}

/// Moves a leading system message before the last user's.
Conversation reordered(const ChatTable &table, const Conversation &conversation) {
  Conversation result = conversation;
  if (!table.systemBeforeLastUser || result.empty() ||
      result.front().role != LLMIR_CHAT_ROLE_SYSTEM)
    return result;
  for (size_t i = result.size(); i-- > 1;) {
    if (result[i].role != LLMIR_CHAT_ROLE_USER)
      continue;
    std::rotate(result.begin(), result.begin() + 1, result.begin() + i);
    break;
  }
  return result;
}

} // namespace

std::optional<std::string> llmir::compiler::renderChat(const ChatTable &table,
                                                       const Conversation &conversation,
                                                       bool generate) {
  std::string out;
  uint32_t state = LLMIR_CHAT_FROM_START;
  for (const ChatMessage &message : reordered(table, conversation)) {
    const std::optional<std::string> &step = table.text[state][message.role];
    if (!step)
      return std::nullopt;
    out += *step;
    out += trimmed(message.content, table.trim[message.role], state);
    state = message.role;
  }
  const std::optional<std::string> &last =
      table.text[state][generate ? LLMIR_CHAT_TO_GENERATE : LLMIR_CHAT_TO_END];
  if (!last)
    return std::nullopt;
  return out + *last;
}

std::vector<uint8_t> llmir::compiler::serializeChat(const ChatTable &table) {
  llmir_chat_record_t record;
  std::memset(&record, 0, sizeof record);
  std::vector<uint8_t> bytes(sizeof record);
  record.record_bytes = sizeof record;
  record.flags = table.systemBeforeLastUser ? LLMIR_CHAT_SYSTEM_BEFORE_LAST_USER : 0;
  for (size_t role = 0; role < table.trim.size(); ++role)
    record.trim[role] = table.trim[role];
  for (size_t from = 0; from < table.text.size(); ++from) {
    for (size_t to = 0; to < table.text[from].size(); ++to) {
      const std::optional<std::string> &text = table.text[from][to];
      if (!text)
        continue;
      record.present[from] |= 1u << to;
      record.text[from][to] = {uint32_t(bytes.size()), uint32_t(text->size())};
      bytes.insert(bytes.end(), text->begin(), text->end());
    }
  }
  std::memcpy(bytes.data(), &record, sizeof record);
  return bytes;
}
