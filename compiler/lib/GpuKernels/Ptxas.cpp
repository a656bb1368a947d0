//===- Ptxas.cpp - Assembling PTX -----------------------------------------===//
//
// NVIDIA's assembler is a program of its own, which may be here or not. It is given files in the
// system's folder for temporary ones, which are gone afterwards, whatever happened.
//
//===----------------------------------------------------------------------===//
#include "Ptxas.h"
#include "../CodeGen/TemporaryFile.h"

#include "llmir/GpuKernels/GpuCode.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

#include <cstdlib>

using namespace llvm;

namespace llmir::compiler {
namespace {

constexpr size_t linesInError = 4; ///< of what ptxas says

Error failure(const Twine &what) { return createStringError(inconvertibleErrorCode(), what); }

Expected<std::unique_ptr<MemoryBuffer>> readFile(const TemporaryFile &from) {
  auto file = MemoryBuffer::getFile(from.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return failure("'" + from.path + "': " + file.getError().message());
  return std::move(*file);
}

/// The first lines of a message, as one.
std::string firstLines(StringRef text) {
  SmallVector<StringRef> lines;
  text.split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  if (lines.size() > linesInError)
    lines.truncate(linesInError);
  for (StringRef &line : lines)
    line = line.trim();
  return join(lines, " / ");
}

bool isProgram(const Twine &path) {
  return sys::fs::can_execute(path) && !sys::fs::is_directory(path);
}

} // namespace

Expected<std::string> findPtxas(StringRef named) {
  constexpr const char *needsNone = "; PTX, as in cuda:sm_80, needs no ptxas";
  if (!named.empty())
    return isProgram(named) ? Expected<std::string>(named.str())
                            : failure("ptxas: '" + named + "' is no program" + needsNone);
  if (auto found = sys::findProgramByName("ptxas"))
    return *found;
  SmallVector<std::string> folders;
  const char *home = std::getenv("CUDA_HOME");
  if (home && *home)
    folders.push_back(std::string(home) + "/bin");
  folders.push_back("/usr/local/cuda/bin");
  for (const std::string &folder : folders)
    if (auto found = sys::findProgramByName("ptxas", {folder}))
      return *found;
  return failure("cubins need NVIDIA's ptxas, which is not in PATH, " + join(folders, ", ") +
                 " (option '--ptxas FILE')" + needsNone);
}

Expected<std::vector<uint8_t>> assemblePtx(StringRef text, StringRef chip,
                                           const std::string &ptxas) {
  TemporaryFile source, result, messages;
  if (Error error = source.create("ptx", {text.data(), text.size()}))
    return std::move(error);
  if (Error error = result.create("cubin", {}))
    return std::move(error);
  if (Error error = messages.create("txt", {}))
    return std::move(error);

  const std::string architecture = ("-arch=" + chip).str();
  const StringRef command[] = {ptxas, "-O3", architecture, source.path, "-o", result.path};
  const std::optional<StringRef> streams[] = {StringRef(), messages.path, messages.path};
  std::string reason;
  const int code = sys::ExecuteAndWait(ptxas, command, /*Env=*/std::nullopt, streams,
                                       /*SecondsToWait=*/0, /*MemoryLimit=*/0, &reason);
  auto said = readFile(messages);
  if (!said)
    return said.takeError();
  if (code != 0)
    return failure("'" + ptxas + " -O3 " + architecture + "' failed (" + Twine(code) +
                   "): " + reason + firstLines((*said)->getBuffer()));
  auto cubin = readFile(result);
  if (!cubin)
    return cubin.takeError();
  const auto bytes = arrayRefFromStringRef((*cubin)->getBuffer());
  return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

} // namespace llmir::compiler
