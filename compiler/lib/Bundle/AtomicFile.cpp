//===- AtomicFile.cpp - A file that appears complete or not at all --------===//
//
// Plain descriptors instead of streams: a write that fails must be told with its reason at once,
// and the flush to the disk has no counterpart in LLVM's streams.
//
//===----------------------------------------------------------------------===//
#include "AtomicFile.h"

#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

using namespace llvm;
namespace llmir::compiler {

static Error error(StringRef path, const Twine &what) {
  return createStringError(inconvertibleErrorCode(), path + ": " + what);
}

Error AtomicFile::fail(const Twine &what) const {
  return error(path, what + ": " + sys::StrError(errno));
}

Expected<AtomicFile> AtomicFile::create(StringRef path) {
  // Renaming over a device or a folder would replace or miss it.
  sys::fs::file_status status;
  if (!sys::fs::status(path, status) && !sys::fs::is_regular_file(status))
    return error(path, "is not a regular file, nothing was written");
  // Not createUniqueFile(): it would replace every '%' of the path.
  std::error_code code;
  for (unsigned attempt = 0; attempt < 100; ++attempt) {
    int descriptor = -1;
    const std::string temporary =
        (path + "." + Twine(sys::Process::getProcessId()) + "-" + Twine(attempt) + ".tmp").str();
    code = sys::fs::openFileForWrite(temporary, descriptor, sys::fs::CD_CreateNew);
    if (code == std::errc::file_exists)
      continue;
    if (code)
      break;
    sys::RemoveFileOnSignal(temporary);
    return AtomicFile(path, temporary, descriptor);
  }
  return error(path, "cannot create a temporary file beside it: " + code.message());
}

AtomicFile::AtomicFile(AtomicFile &&other)
    : path(std::move(other.path)), temporary(std::move(other.temporary)),
      descriptor(other.descriptor) {
  other.temporary.clear();
  other.descriptor = -1;
}

AtomicFile::~AtomicFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (temporary.empty())
    return;
  sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
}

Error AtomicFile::writeAll(ArrayRef<uint8_t> bytes) {
  constexpr size_t largestWrite = 1u << 30; // some systems refuse more at once
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), std::min(bytes.size(), largestWrite));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fail("cannot write, the file was not changed");
    bytes = bytes.drop_front(static_cast<size_t>(count));
  }
  return Error::success();
}

Error AtomicFile::append(ArrayRef<uint8_t> bytes) { return writeAll(bytes); }

Error AtomicFile::appendZeros(uint64_t count) {
  const std::vector<uint8_t> zeros(std::min<uint64_t>(count, 1u << 16));
  for (uint64_t left = count; left > 0;) {
    const uint64_t step = std::min<uint64_t>(left, zeros.size());
    if (Error error = writeAll(ArrayRef(zeros).take_front(step)))
      return error;
    left -= step;
  }
  return Error::success();
}

Error AtomicFile::overwriteAt(uint64_t offset, ArrayRef<uint8_t> bytes) {
  if (::lseek(descriptor, static_cast<off_t>(offset), SEEK_SET) < 0)
    return fail("cannot seek, the file was not changed");
  return writeAll(bytes);
}

Error AtomicFile::commit() {
  if (::fsync(descriptor) != 0)
    return fail("cannot flush to the disk, the file was not changed");
  const int closing = descriptor;
  descriptor = -1;
  if (::close(closing) != 0)
    return fail("cannot close, the file was not changed");
  if (std::error_code code = sys::fs::rename(temporary, path))
    return error(path, "cannot be replaced: " + code.message());
  sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  return flushFolder();
}

/// Makes the new name itself durable. File systems that cannot flush folders say EINVAL.
Error AtomicFile::flushFolder() const {
  StringRef folder = sys::path::parent_path(path);
  const std::string name = folder.empty() ? "." : folder.str();
  const int handle = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (handle < 0)
    return Error::success(); // a folder that may be written but not read
  const bool failed = ::fsync(handle) != 0 && errno != EINVAL && errno != EROFS;
  Error result = failed ? fail("is written, but its folder cannot be flushed") : Error::success();
  ::close(handle);
  return result;
}

} // namespace llmir::compiler
