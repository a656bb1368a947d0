//===- ChatJinja.cpp - Running a Jinja template in a process of its own
//------------------------===//
//
// Jinja2's sandboxed environment, with the settings that Hugging Face's tokenizers use, in a Python
// process: templates come from strangers, so they get neither our address space nor endless time.
//
//===-----------------------------------------------------------------------------------------===//

#include "llmir/Chat/ChatTable.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llmir::compiler;
using llvm::StringRef;

namespace {

constexpr unsigned TimeLimitSeconds = 20;
constexpr unsigned MemoryLimitMiB = 1024;
constexpr int WithoutJinja = 77; // the script's exit code

/// Reads {"template", "bos_token", "eos_token", "requests": [{"messages", "generate"}]}, prints
/// {"results": [{"text"} | {"error"}]}, or {"error"} if the template does not parse. Dates are
/// fixed so that a bundle does not depend on the day.
constexpr char Script[] = R"python(
import datetime, json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
except Exception:
    pass
try:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    sys.exit(77)

class Generation(Extension):
    """{% generation %}, by which training finds the assistant's text; writes what it holds."""
    tags = {"generation"}
    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("write"), [], [], body).set_lineno(line)
    def write(self, caller):
        return caller()

def raise_exception(message):
    raise TemplateError(message)

def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)

def render(template, request, job):
    try:
        text = template.render(messages=request["messages"], bos_token=job["bos_token"],
                               eos_token=job["eos_token"], add_generation_prompt=request["generate"],
                               tools=None, documents=None)
        return {"text": text}
    except Exception as error:
        return {"error": str(error)}

job = json.load(sys.stdin)
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                            extensions=[Generation, "jinja2.ext.loopcontrols"])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda form: datetime.datetime(2024, 7, 26).strftime(form)
try:
    template = environment.from_string(job["template"])
except Exception as error:
    print(json.dumps({"error": "line %s: %s" % (getattr(error, "lineno", "?"), error)}))
    sys.exit(0)
print(json.dumps({"results": [render(template, request, job) for request in job["requests"]]}))
)python";

StringRef roleName(llmir_chat_role_t role) {
  switch (role) {
  case LLMIR_CHAT_ROLE_SYSTEM:
    return "system";
  case LLMIR_CHAT_ROLE_USER:
    return "user";
  case LLMIR_CHAT_ROLE_ASSISTANT:
    return "assistant";
  }
  return "";
}

std::string makeJob(StringRef jinja, const ChatTokens &tokens,
                    const std::vector<RenderRequest> &requests) {
  llvm::json::Array list;
  for (const RenderRequest &request : requests) {
    llvm::json::Array messages;
    for (const ChatMessage &message : request.conversation)
      messages.push_back(
          llvm::json::Object{{"role", roleName(message.role)}, {"content", message.content}});
    list.push_back(
        llvm::json::Object{{"messages", std::move(messages)}, {"generate", request.generate}});
  }
  llvm::json::Object job{{"template", llvm::json::fixUTF8(jinja)},
                         {"bos_token", llvm::json::fixUTF8(tokens.bos)},
                         {"eos_token", llvm::json::fixUTF8(tokens.eos)},
                         {"requests", std::move(list)}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(job));
  return text;
}

llvm::Error failure(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// The first interpreter that can import Jinja2 is asked for by running it: `python3` of the path,
/// then the system's, which has the distribution's package.
std::vector<std::string> interpreters() {
  std::vector<std::string> found;
  if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("python3"))
    found.push_back(*path);
  const std::string system = "/usr/bin/python3";
  if (llvm::sys::fs::can_execute(system) && (found.empty() || found.front() != system))
    found.push_back(system);
  return found;
}

/// Runs the script with `job` as standard input; returns its standard output. `*outCanRun` is false
/// if this interpreter cannot run any template, so that another one may.
llvm::Expected<std::string> runScript(const std::string &python, StringRef job, bool *outCanRun) {
  *outCanRun = true;
  llvm::SmallString<128> input, output;
  int descriptor = -1;
  auto cleanup = llvm::make_scope_exit([&] {
    llvm::sys::fs::remove(input);
    llvm::sys::fs::remove(output);
  });
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("llmirc-chat", "json", descriptor, input))
    return failure("cannot make a temporary file: " + code.message());
  {
    llvm::raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
    stream << job;
    if (stream.has_error()) {
      std::string reason = stream.error().message();
      stream.clear_error();
      return failure("cannot write a temporary file: " + reason);
    }
  }
  if (std::error_code code = llvm::sys::fs::createTemporaryFile("llmirc-chat", "out", output))
    return failure("cannot make a temporary file: " + code.message());
  const std::optional<StringRef> redirects[] = {input.str(), output.str(), StringRef("")};
  std::string message;
  bool notRun = false;
  const int code =
      llvm::sys::ExecuteAndWait(python, {python, "-I", "-c", Script}, std::nullopt, redirects,
                                TimeLimitSeconds, MemoryLimitMiB, &message, &notRun);
  *outCanRun = !notRun && code != WithoutJinja;
  if (code == WithoutJinja)
    return failure("Jinja2 is not installed (package python3-jinja2)");
  if (code != 0)
    return failure("the template's interpreter failed" + (message.empty()
                                                              ? " (exit " + llvm::Twine(code) + ")"
                                                              : ": " + llvm::Twine(message)));
  auto buffer = llvm::MemoryBuffer::getFile(output);
  if (!buffer)
    return failure("cannot read a temporary file: " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

llvm::Expected<std::vector<RenderedChat>> parseResults(StringRef text, size_t count) {
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (!value)
    return value.takeError();
  const llvm::json::Object *object = value->getAsObject();
  if (object && object->getString("error"))
    return failure(*object->getString("error"));
  const llvm::json::Array *results = object ? object->getArray("results") : nullptr;
  if (!results || results->size() != count)
    return failure("the template's interpreter gave no results");
  std::vector<RenderedChat> rendered;
  for (const llvm::json::Value &entry : *results) {
    const llvm::json::Object *result = entry.getAsObject();
    std::optional<StringRef> good = result ? result->getString("text") : std::nullopt;
    std::optional<StringRef> bad = result ? result->getString("error") : std::nullopt;
    rendered.push_back({good ? good->str() : bad.value_or("").str(), !good});
  }
  return rendered;
}

} // namespace

llvm::Expected<std::vector<RenderedChat>>
llmir::compiler::renderJinja(StringRef jinja, const ChatTokens &tokens,
                             const std::vector<RenderRequest> &requests) {
  const std::string job = makeJob(jinja, tokens, requests);
  llvm::Error last = failure("no python3 was found; it runs chat templates at compile time");
  for (const std::string &python : interpreters()) {
    llvm::consumeError(std::move(last));
    bool canRun = false;
    llvm::Expected<std::string> output = runScript(python, job, &canRun);
    if (output)
      return parseResults(*output, requests.size());
    last = output.takeError();
    if (canRun) // a template that fails or never ends does so in every interpreter
      break;
  }
  return std::move(last);
}
