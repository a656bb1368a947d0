//===- Gguf.cpp - The GGUF front end --------------------------------------===//
//
// Maps the file or all parts of a split one, and runs the steps of GgufModel.h. Metadata is that of
// the first part; every part brings tensors.
//
//===----------------------------------------------------------------------===//
#include "llmir/Import/Gguf.h"

#include "GgufModel.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
namespace llmir::compiler {

namespace {
constexpr uint64_t maxParts = 99999; // five digits in file names

struct SplitKeys {
  uint64_t index = 0, count = 1, tensors = 0;
};
} // namespace

static Expected<SplitKeys> readSplitKeys(const GgufFile &file) {
  GgufKeys keys(file);
  SplitKeys split;
  split.count = keys.unsignedOr("split.count", 1, maxParts);
  split.index = keys.unsignedOr("split.no", 0, maxParts);
  split.tensors = keys.unsignedOr("split.tensors.count", 0, INT32_MAX);
  if (split.count == 0)
    split.count = 1;
  if (split.index >= split.count)
    keys.fail("split.no", "found " + Twine(split.index) + ", expected less than the " +
                              Twine(split.count) + " parts");
  if (Error error = keys.takeError())
    return error;
  return split;
}

/// Moves the tensors of one part into the model.
static Error addTensors(GgufFile &file, ImportedModel &model) {
  for (SourceTensor &tensor : file.tensors()) {
    const std::string name = tensor.name;
    if (!model.tensors.try_emplace(name, std::move(tensor)).second)
      return ggufError(file.name(), "tensor '" + printable(name) + "' stands in two parts");
  }
  return Error::success();
}

/// Adds the parts after the first; `split` is what the first says.
static Error addParts(ArrayRef<GgufBuffer> parts, const SplitKeys &split, ImportedModel &model) {
  for (size_t i = 1; i < parts.size(); ++i) {
    Expected<GgufFile> part = GgufFile::parse(parts[i].name, parts[i].bytes);
    if (!part)
      return part.takeError();
    Expected<SplitKeys> own = readSplitKeys(*part);
    if (!own)
      return own.takeError();
    if (own->index != i || own->count != split.count)
      return ggufError(parts[i].name, "part " + Twine(own->index) + " of " + Twine(own->count) +
                                          ", expected part " + Twine(i) + " of " +
                                          Twine(split.count));
    if (Error error = addTensors(*part, model))
      return error;
  }
  if (split.tensors != 0 && split.tensors != model.tensors.size())
    return ggufError(parts[0].name, "key 'split.tensors.count': found " + Twine(split.tensors) +
                                        ", expected " + Twine(model.tensors.size()) +
                                        ", the tensors of all parts");
  return Error::success();
}

Expected<ImportedModel> importGgufBuffers(ArrayRef<GgufBuffer> parts) {
  if (parts.empty())
    return createStringError(inconvertibleErrorCode(), "no GGUF file given");
  const std::string &name = parts[0].name;
  Expected<GgufFile> file = GgufFile::parse(name, parts[0].bytes);
  if (!file)
    return file.takeError();
  Expected<SplitKeys> split = readSplitKeys(*file);
  if (!split)
    return split.takeError();
  if (split->index != 0 || split->count != parts.size())
    return ggufError(name, "part " + Twine(split->index) + " of " + Twine(split->count) +
                               ", expected part 0 of " + Twine(parts.size()));

  ImportedModel model;
  model.source = sys::path::filename(name).str();
  GgufKeys keys(*file);
  Expected<const GgufArchitecture *> architecture = ggufArchitecture(keys);
  if (!architecture)
    return architecture.takeError();
  if (Error error = addTensors(*file, model))
    return error;
  if (Error error = addParts(parts, *split, model))
    return error;
  if (Error error = readGgufConfig(keys, **architecture, model.tensors.size(), model.config))
    return error;
  if (Error error = checkGgufTensors(name, **architecture, model))
    return error;
  if (Error error = readGgufTokenizer(keys, model))
    return error;
  return model;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static Expected<std::shared_ptr<MemoryBuffer>> mapFile(const Twine &path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return ggufError(path.str(), "cannot be read: " + buffer.getError().message());
  return std::shared_ptr<MemoryBuffer>(std::move(*buffer));
}

static ArrayRef<uint8_t> bytesOf(const MemoryBuffer &buffer) {
  return ArrayRef(reinterpret_cast<const uint8_t *>(buffer.getBufferStart()),
                  buffer.getBufferSize());
}

/// Splits "x-00002-of-00003.gguf" into "x" and 3; false for other names.
static bool parsePartName(StringRef path, StringRef &stem, uint64_t &count) {
  constexpr size_t suffixBytes = sizeof("-00001-of-00001.gguf") - 1;
  if (path.size() < suffixBytes)
    return false;
  const StringRef suffix = path.take_back(suffixBytes);
  uint64_t index = 0;
  if (suffix[0] != '-' || suffix.substr(6, 4) != "-of-" || suffix.substr(15) != ".gguf" ||
      suffix.substr(1, 5).getAsInteger(10, index) || suffix.substr(10, 5).getAsInteger(10, count))
    return false;
  stem = path.drop_back(suffixBytes);
  return index >= 1 && index <= count;
}

static std::string partName(StringRef stem, uint64_t index, uint64_t count) {
  std::string name;
  raw_string_ostream(name) << stem
                           << format("-%05u-of-%05u.gguf", static_cast<unsigned>(index + 1),
                                     static_cast<unsigned>(count));
  return name;
}

Expected<ImportedModel> importGguf(StringRef path) {
  Expected<std::shared_ptr<MemoryBuffer>> only = mapFile(path);
  if (!only)
    return only.takeError();
  Expected<GgufFile> file = GgufFile::parse(path, bytesOf(**only));
  if (!file)
    return file.takeError();
  Expected<SplitKeys> split = readSplitKeys(*file);
  if (!split)
    return split.takeError();

  std::vector<std::shared_ptr<void>> storage;
  std::vector<GgufBuffer> parts;
  StringRef stem;
  uint64_t namedCount = 1;
  if (split->count == 1) {
    storage.push_back(*only);
    parts.push_back({path.str(), bytesOf(**only)});
  } else if (!parsePartName(path, stem, namedCount) || namedCount != split->count) {
    return ggufError(path, "part of a model in " + Twine(split->count) +
                               " files, expected a name like '" +
                               partName("model", split->index, split->count) + "'");
  } else {
    for (uint64_t i = 0; i < split->count; ++i) {
      const std::string name = partName(stem, i, split->count);
      Expected<std::shared_ptr<MemoryBuffer>> part = mapFile(name);
      if (!part)
        return part.takeError();
      storage.push_back(*part);
      parts.push_back({name, bytesOf(**part)});
    }
  }
  Expected<ImportedModel> model = importGgufBuffers(parts);
  if (model)
    model->storage = std::move(storage);
  return model;
}

bool isGgufFile(StringRef path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> head = MemoryBuffer::getFileSlice(path, 4, 0);
  return head && (*head)->getBuffer() == "GGUF";
}

} // namespace llmir::compiler
