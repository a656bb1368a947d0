//===- ChatLowering.cpp - From a Jinja template to a transition table
//--------------------------===//
//
// Three steps: render sample conversations whose contents are markers, cut the texts at the markers
// and fill the table; find out which white space is trimmed; compare the table with the template on
// conversations it has not seen.
//
//===-----------------------------------------------------------------------------------------===//

#include "llmir/Chat/ChatTable.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace llmir::compiler;
using llvm::StringRef;

namespace {

constexpr llmir_chat_role_t System = LLMIR_CHAT_ROLE_SYSTEM;
constexpr llmir_chat_role_t User = LLMIR_CHAT_ROLE_USER;
constexpr llmir_chat_role_t Assistant = LLMIR_CHAT_ROLE_ASSISTANT;

llvm::Error failure(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// `text` on one line, as in a string literal.
std::string quoted(StringRef text) {
  std::string out;
  for (char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      out += "\\x" + llvm::utohexstr(static_cast<unsigned char>(c), /*LowerCase=*/true, 2);
    else
      out += c;
  }
  return "\"" + out + "\"";
}

/// `text` around its byte `at`.
std::string excerpt(StringRef text, size_t at) {
  constexpr size_t before = 20, after = 40;
  size_t begin = at > before ? at - before : 0;
  while (begin > 0 && begin < text.size() && (text[begin] & 0xC0) == 0x80) // not inside a character
    --begin;
  size_t end = std::min(text.size(), at + after);
  while (end < text.size() && (text[end] & 0xC0) == 0x80)
    ++end;
  return quoted(text.slice(begin, end));
}

/// A conversation of marker contents: distinct words that no template contains.
Conversation markers(std::initializer_list<llmir_chat_role_t> roles) {
  Conversation result;
  for (llmir_chat_role_t role : roles)
    result.push_back({role, "qvzMarker" + std::string(1, char('A' + result.size())) + "zvq"});
  return result;
}

/// The contents in the order in which they stand in a text, and the texts between them. Empty if a
/// content is missing or stands there twice.
struct Cut {
  std::vector<llmir_chat_role_t> roles;
  std::vector<std::string> between; ///< roles.size() + 1 texts
};

std::optional<Cut> cutAtMarkers(StringRef text, const Conversation &conversation) {
  std::vector<std::pair<size_t, const ChatMessage *>> places;
  for (const ChatMessage &message : conversation) {
    const size_t place = text.find(message.content);
    if (place == StringRef::npos || text.find(message.content, place + 1) != StringRef::npos)
      return std::nullopt;
    places.push_back({place, &message});
  }
  std::sort(places.begin(), places.end());
  Cut cut;
  size_t done = 0;
  for (auto [place, message] : places) {
    cut.roles.push_back(message->role);
    cut.between.push_back(text.slice(done, place).str());
    done = place + message->content.size();
  }
  cut.between.push_back(text.drop_front(done).str());
  return cut;
}

/// Enters the steps of a cut; false if one contradicts what the table holds already.
bool enterSteps(ChatTable &table, const Cut &cut, uint32_t lastStep) {
  ChatTable changed = table;
  uint32_t state = LLMIR_CHAT_FROM_START;
  for (size_t i = 0; i < cut.between.size(); ++i) {
    const uint32_t to = i < cut.roles.size() ? uint32_t(cut.roles[i]) : lastStep;
    std::optional<std::string> &step = changed.text[state][to];
    if (step && *step != cut.between[i])
      return false;
    step = cut.between[i];
    state = to;
  }
  table = std::move(changed);
  return true;
}

/// A sample that fills the table. Optional ones may fail: what only they show stays absent.
struct Sample {
  std::initializer_list<llmir_chat_role_t> roles;
  bool generate;
  bool optional;
};

const Sample Samples[] = {
    {{User}, true, false},
    {{User, Assistant, User}, true, false},
    {{User}, false, true},
    {{User, Assistant, User}, false, true},
    {{System, User}, true, true},
    {{System, User, Assistant, User}, true, true},
    {{User, Assistant}, false, true},
    {{User, User}, true, true},
    {{System, User, User}, true, true},
};

/// Whether the system's content was moved behind others.
bool systemMoved(const Cut &cut) {
  auto place = std::find(cut.roles.begin(), cut.roles.end(), System);
  return place != cut.roles.end() && place != cut.roles.begin();
}

llvm::Error fillTable(StringRef jinja, const ChatTokens &tokens, ChatTable &table) {
  std::vector<RenderRequest> requests;
  for (const Sample &sample : Samples)
    requests.push_back({markers(sample.roles), sample.generate});
  auto rendered = renderJinja(jinja, tokens, requests);
  if (!rendered)
    return rendered.takeError();
  for (size_t i = 0; i < requests.size(); ++i) {
    const RenderedChat &result = (*rendered)[i];
    std::optional<Cut> cut;
    if (!result.failed)
      cut = cutAtMarkers(result.text, requests[i].conversation);
    const uint32_t last = requests[i].generate ? LLMIR_CHAT_TO_GENERATE : LLMIR_CHAT_TO_END;
    if (cut && systemMoved(*cut))
      table.systemBeforeLastUser = true;
    if (cut && enterSteps(table, *cut, last))
      continue;
    if (!Samples[i].optional)
      return failure(result.failed
                         ? "it refuses an ordinary conversation: " + quoted(result.text)
                         : std::string("it changes or repeats the contents of messages, or "
                                       "writes them in a way that depends on their place"));
  }
  return llvm::Error::success();
}

/// Conversations in which one role's contents have white space around them.
Conversation spaced(llmir_chat_role_t role, bool withSystem) {
  Conversation result =
      withSystem ? markers({System, User, Assistant, User}) : markers({User, Assistant, User});
  for (ChatMessage &message : result)
    if (message.role == role)
      message.content = "\n \t" + message.content + " \n\n";
  return result;
}

llvm::Error findTrims(StringRef jinja, const ChatTokens &tokens, ChatTable &table) {
  const bool hasSystem = table.text[LLMIR_CHAT_FROM_START][System].has_value();
  std::vector<std::pair<llmir_chat_role_t, bool>> samples = {{User, false}, {Assistant, false}};
  if (hasSystem)
    samples.insert(samples.end(), {{User, true}, {Assistant, true}, {System, true}});
  std::vector<RenderRequest> requests;
  for (auto [role, withSystem] : samples)
    requests.push_back({spaced(role, withSystem), true});
  auto rendered = renderJinja(jinja, tokens, requests);
  if (!rendered)
    return rendered.takeError();
  for (llmir_chat_role_t role : {User, Assistant, System}) {
    const auto agrees = [&](uint32_t trim) {
      table.trim[role] = trim;
      for (size_t i = 0; i < samples.size(); ++i) {
        const RenderedChat &theirs = (*rendered)[i];
        if (samples[i].first == role &&
            (theirs.failed || renderChat(table, requests[i].conversation, true) != theirs.text))
          return false;
      }
      return true;
    };
    uint32_t trim = 0; // the flags are numbered so that usual ways come first
    while (trim <= LLMIR_CHAT_TRIM_KNOWN && !agrees(trim))
      ++trim;
    if (trim > LLMIR_CHAT_TRIM_KNOWN)
      return failure("it treats white space around contents in a way that no table can hold");
  }
  return llvm::Error::success();
}

/// Conversations that the table has not been made from.
std::vector<RenderRequest> unseenConversations(const ChatTable &table) {
  const std::string odd = "first line\n\n  second: {{ x }} {% y %} <b>&amp;</b> \"q\" '\\n'";
  const std::string foreign = "\xC3\xA4 \xE6\xBC\xA2 \xF0\x9F\x99\x82 7";
  const std::string padded = " \n  padded\n\t";
  const Conversation turns = {{User, odd},       {Assistant, foreign}, {User, padded},
                              {Assistant, odd},  {User, foreign},      {Assistant, padded},
                              {User, "the last"}};
  std::vector<RenderRequest> requests = {
      {turns, true}, {{{User, odd}}, true}, {{{User, padded}}, true}};
  if (table.text[User][LLMIR_CHAT_TO_END])
    requests.push_back({turns, false});
  if (!table.text[LLMIR_CHAT_FROM_START][System])
    return requests;
  Conversation withSystem = {{System, "be " + odd}};
  requests.push_back({{withSystem[0], turns[0]}, true});
  requests.push_back({{{System, padded}, {User, padded}}, true});
  withSystem.insert(withSystem.end(), turns.begin(), turns.end());
  requests.push_back({withSystem, true});
  return requests;
}

llvm::Error verifyTable(StringRef jinja, const ChatTokens &tokens, const ChatTable &table) {
  const std::vector<RenderRequest> requests = unseenConversations(table);
  auto rendered = renderJinja(jinja, tokens, requests);
  if (!rendered)
    return rendered.takeError();
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::optional<std::string> ours =
        renderChat(table, requests[i].conversation, requests[i].generate);
    if ((*rendered)[i].failed)
      return failure("it refuses a conversation of ordinary turns: " + quoted((*rendered)[i].text));
    if (!ours)
      return failure("a table of role texts has no step for a conversation of ordinary turns");
    const std::string &theirs = (*rendered)[i].text;
    if (*ours == theirs)
      continue;
    const size_t common = std::min(ours->size(), theirs.size());
    const size_t at =
        std::mismatch(ours->begin(), ours->begin() + common, theirs.begin()).first - ours->begin();
    return failure("a table of role texts does not reproduce it; the template writes " +
                   excerpt(theirs, at) + ", the table " + excerpt(*ours, at));
  }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<ChatTable> llmir::compiler::lowerChatTemplate(StringRef jinja,
                                                             const ChatTokens &tokens) {
  ChatTable table;
  llvm::Error error = fillTable(jinja, tokens, table);
  if (!error)
    error = findTrims(jinja, tokens, table);
  if (!error)
    error = verifyTable(jinja, tokens, table);
  if (error) {
    std::string reason = llvm::toString(std::move(error)); // Jinja's may have lines
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    return failure("it cannot be lowered: " + reason);
  }
  return table;
}
