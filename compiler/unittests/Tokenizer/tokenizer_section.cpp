//===- tokenizer_section.cpp - Makes a TOKENIZER section file --------------------------------===//
//
//   tokenizer-section VOCABULARY OUT [LINE...]
//
// VOCABULARY is a GGUF file or a text file of tests/golden/tokenizer; LINEs are added at its end. A
// text file has one item a line, as make_corpus.py writes it:
//
//   kind bpe | spm | unigram        flag NAME                  pre NAME
//   bos N, eos N, unknown N         end N
//   token CLASS [SCORE] TEXT        merge LEFT RIGHT
//
// CLASS is the first letter of a TokenClass (U for unknown, D for user-defined, X for unused);
// texts spell line breaks, spaces and backslashes as \xNN.
//
//===-----------------------------------------------------------------------------------------===//
#include "llmir/Import/Gguf.h"
#include "llmir/Tokenizer/TokenizerTable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace llmir::compiler;

namespace {

Error textError(StringRef line, const Twine &what) {
  return createStringError(inconvertibleErrorCode(), "line '" + line + "': " + what);
}

std::string unescape(StringRef text) {
  std::string out;
  while (!text.empty()) {
    uint8_t byte = 0;
    if (text.size() >= 4 && text.starts_with("\\x") && !text.substr(2, 2).getAsInteger(16, byte)) {
      out.push_back(static_cast<char>(byte));
      text = text.drop_front(4);
    } else {
      out.push_back(text.front());
      text = text.drop_front();
    }
  }
  return out;
}

Error addToken(TokenizerSpec &spec, StringRef line, StringRef rest) {
  auto [kind, text] = rest.split(' ');
  const auto known = StringSwitch<int>(kind)
                         .Case("N", int(TokenClass::Normal))
                         .Case("U", int(TokenClass::Unknown))
                         .Case("C", int(TokenClass::Control))
                         .Case("D", int(TokenClass::UserDefined))
                         .Case("X", int(TokenClass::Unused))
                         .Case("B", int(TokenClass::Byte))
                         .Default(-1);
  if (known < 0)
    return textError(line, "unknown token class");
  spec.classes.push_back(static_cast<TokenClass>(known));
  if (spec.kind != TokenizerKind::ByteLevelBpe) {
    double score = 0;
    auto [number, tail] = text.split(' ');
    if (number.getAsDouble(score))
      return textError(line, "not a score");
    spec.scores.push_back(static_cast<float>(score));
    text = tail;
  }
  spec.tokens.push_back(unescape(text));
  return Error::success();
}

Error addLine(TokenizerSpec &spec, StringRef line) {
  auto [key, rest] = line.split(' ');
  if (key == "token")
    return addToken(spec, line, rest);
  if (key == "merge") {
    auto [left, right] = rest.split(' ');
    spec.merges.push_back(unescape(left) + " " + unescape(right));
    return Error::success();
  }
  if (key == "pre") {
    spec.preTokenizer = rest.str();
    return Error::success();
  }
  if (key == "kind") {
    spec.kind = StringSwitch<TokenizerKind>(rest)
                    .Case("spm", TokenizerKind::SentencePieceBpe)
                    .Case("unigram", TokenizerKind::SentencePieceUnigram)
                    .Default(TokenizerKind::ByteLevelBpe);
    return Error::success();
  }
  if (key == "flag") {
    bool *flag = StringSwitch<bool *>(rest)
                     .Case("add_bos", &spec.addBos)
                     .Case("add_eos", &spec.addEos)
                     .Case("ignore_merges", &spec.ignoreMerges)
                     .Case("remove_extra_whitespace", &spec.removeExtraWhitespace)
                     .Case("space_prefix", &spec.addSpacePrefix)
                     .Default(nullptr);
    if (!flag)
      return textError(line, "unknown flag");
    *flag = true;
    return Error::success();
  }
  int32_t id = -1;
  int32_t *field = StringSwitch<int32_t *>(key)
                       .Case("bos", &spec.bos)
                       .Case("eos", &spec.eos)
                       .Case("unknown", &spec.unknown)
                       .Case("end", &id)
                       .Default(nullptr);
  if (!field || rest.getAsInteger(10, *field))
    return textError(line, "not understood");
  if (key == "end")
    spec.endTokens.push_back(id);
  return Error::success();
}

Expected<TokenizerSpec> readSpec(StringRef path) {
  if (isGgufFile(path)) {
    Expected<ImportedModel> model = importGguf(path);
    if (!model)
      return model.takeError();
    return std::move(model->tokenizer);
  }
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError(buffer.getError(), "cannot read '" + path + "'");
  TokenizerSpec spec;
  StringRef text = (*buffer)->getBuffer();
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    text = rest;
    if (line.empty() || line.starts_with("#"))
      continue;
    if (Error error = addLine(spec, line))
      return error;
  }
  return spec;
}

Error run(ArrayRef<const char *> arguments) {
  if (arguments.size() < 3)
    return createStringError(inconvertibleErrorCode(),
                             "usage: tokenizer-section VOCABULARY OUT [LINE...]");
  Expected<TokenizerSpec> spec = readSpec(arguments[1]);
  if (!spec)
    return spec.takeError();
  for (const char *line : arguments.drop_front(3))
    if (Error error = addLine(*spec, line))
      return error;
  Expected<std::vector<uint8_t>> section = compileTokenizer(*spec);
  if (!section)
    return section.takeError();
  std::error_code code;
  raw_fd_ostream out(arguments[2], code, sys::fs::OF_None);
  out.write(reinterpret_cast<const char *>(section->data()), section->size());
  out.close();
  if (code || out.has_error())
    return createStringError(code, Twine("cannot write '") + arguments[2] + "'");
  return Error::success();
}

} // namespace

int main(int argc, char **argv) {
  if (Error error = run(ArrayRef<const char *>(argv, argc))) {
    errs() << "tokenizer-section: error: " << toString(std::move(error)) << "\n";
    return 1;
  }
  return 0;
}
