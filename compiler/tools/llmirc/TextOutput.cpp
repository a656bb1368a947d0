//===- TextOutput.cpp - Text to a file or to standard output --------------===//
#include "TextOutput.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

Error writeError(StringRef path, std::error_code code) {
  return createStringError(code, "'" + path + "': " + code.message());
}

/// Writes and takes the error out of the stream, whose destructor would otherwise end the process.
Error writeStream(raw_fd_ostream &stream, StringRef path, StringRef text) {
  stream << text;
  stream.flush();
  std::error_code code = stream.error();
  stream.clear_error();
  return code ? writeError(path, code) : Error::success();
}

bool isSpecialFile(StringRef path) {
  sys::fs::file_status status;
  return !sys::fs::status(path, status) && sys::fs::exists(status) &&
         !sys::fs::is_regular_file(status);
}

} // namespace

Error writeText(StringRef path, StringRef text) {
  if (path == "-")
    return writeStream(outs(), "standard output", text);
  if (isSpecialFile(path)) {
    std::error_code code;
    raw_fd_ostream stream(path, code, sys::fs::CD_OpenExisting, sys::fs::FA_Write,
                          sys::fs::OF_None);
    return code ? writeError(path, code) : writeStream(stream, path, text);
  }
  auto temporary = sys::fs::TempFile::create(path + ".%%%%%%.tmp", 0666);
  if (!temporary)
    return createStringError(inconvertibleErrorCode(),
                             "'" + path + "': " + toString(temporary.takeError()));
  raw_fd_ostream stream(temporary->FD, /*shouldClose=*/false);
  if (Error error = writeStream(stream, path, text))
    return joinErrors(std::move(error), temporary->discard());
  return temporary->keep(path);
}

} // namespace llmir::compiler
