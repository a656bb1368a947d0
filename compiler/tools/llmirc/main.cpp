//===- main.cpp - llmirc: from a model file to a bundle -------------------===//
#include "Options.h"
#include "Pipeline.h"
#include "llmir.h"

#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

enum ExitCode { exitDone = 0, exitFailed = 1, exitUsage = 2 };

#define LLMIRC_TEXT(x) #x
#define LLMIRC_NUMBER(x) LLMIRC_TEXT(x)
constexpr const char *versionText = "llmirc " LLMIRC_NUMBER(LLMIR_VERSION_MAJOR) "." LLMIRC_NUMBER(
    LLMIR_VERSION_MINOR) "." LLMIRC_NUMBER(LLMIR_VERSION_PATCH) "\n";

/// Prints the one line that scripts rely on; messages of several lines are joined.
int fail(Error error, int exitCode) {
  std::string message = toString(std::move(error));
  for (char &c : message)
    if (c == '\n')
      c = ' ';
  errs() << "llmirc: error: " << StringRef(message).trim() << '\n';
  return exitCode;
}

} // namespace

int main(int argc, char **argv) {
  SmallVector<StringRef> arguments(argv + 1, argv + argc);
  auto options = llmir::compiler::parseOptions(arguments);
  if (!options)
    return fail(options.takeError(), exitUsage);
  if (options->help || options->version) {
    outs() << (options->help ? llmir::compiler::usageText() : std::string(versionText));
    return exitDone;
  }
  if (Error error = llmir::compiler::compileModel(*options))
    return fail(std::move(error), exitFailed);
  return exitDone;
}
