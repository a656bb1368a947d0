//===- TemporaryFile.cpp - A file that goes away --------------------------===//
#include "TemporaryFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace llmir::compiler {

TemporaryFile::~TemporaryFile() {
  if (!path.empty())
    sys::DontRemoveFileOnSignal(path);
}

Error TemporaryFile::create(StringRef suffix, ArrayRef<char> content) {
  auto failure = [](const Twine &what) {
    return createStringError(inconvertibleErrorCode(), "temporary file: " + what);
  };
  int descriptor = -1;
  if (std::error_code code = sys::fs::createTemporaryFile("llmirc", suffix, descriptor, path))
    return failure(code.message());
  remover.setFile(path);
  sys::RemoveFileOnSignal(path);
  raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  stream.write(content.data(), content.size());
  stream.close();
  if (stream.has_error()) {
    std::string reason = stream.error().message();
    stream.clear_error();
    return failure(path + ": " + reason);
  }
  return Error::success();
}

} // namespace llmir::compiler
