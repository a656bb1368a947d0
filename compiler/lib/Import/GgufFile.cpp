//===- GgufFile.cpp - The container: metadata and tensor table of one GGUF file ---===//
//
// A cursor that cannot leave the file, and the grammar on top of it. Counts are compared with the
// bytes that are left before anything is made of them; sums and products go through checked
// arithmetic.
//
//===----------------------------------------------------------------------===//
#include "GgufFile.h"

#include "llmir/Import/SourceTypes.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace llvm;
namespace llmir::compiler {

namespace {
constexpr uint32_t maxArrayDepth = 4;
constexpr uint64_t defaultAlignment = 32;
constexpr uint64_t minPairBytes = 8 + 4 + 1;               // empty key, type, one byte
constexpr uint64_t minTensorInfoBytes = 8 + 4 + 8 + 4 + 8; // empty name, rank, extent, type, offset
} // namespace

Error ggufError(StringRef fileName, const Twine &what) {
  return createStringError(inconvertibleErrorCode(), fileName + ": " + what);
}

std::string printable(StringRef text) {
  std::string out;
  for (char c : text.take_front(80)) {
    if (c >= 0x20 && c < 0x7f)
      out += c;
    else
      out += "\\x" + utohexstr(static_cast<uint8_t>(c), /*LowerCase=*/true, /*Width=*/2);
  }
  if (text.size() > 80)
    out += "...";
  return out;
}

const char *ggufTypeName(GgufType type) {
  static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<uint32_t>(type)];
}

/// Bytes of a scalar; 0 for strings and arrays, whose size is in the data.
static uint64_t scalarBytes(GgufType type) {
  static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return sizes[static_cast<uint32_t>(type)];
}

std::string GgufValue::describe() const {
  if (!isArray())
    return ggufTypeName(type);
  return ("array of " + Twine(count) + " " + ggufTypeName(elementType)).str();
}

const GgufValue *GgufFile::find(StringRef key) const {
  auto it = values.find(key);
  return it == values.end() ? nullptr : &it->second;
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

class GgufParser {
public:
  GgufParser(StringRef name, ArrayRef<uint8_t> bytes) : bytes(bytes) { file.fileName = name.str(); }

  Expected<GgufFile> run() {
    if (Error error = parseHeader())
      return error;
    for (uint64_t i = 0; i < pairCount; ++i)
      if (Error error = parsePair(i))
        return error;
    if (Error error = readAlignment())
      return error;
    file.tensorTable.reserve(tensorCount);
    for (uint64_t i = 0; i < tensorCount; ++i)
      if (Error error = parseTensorInfo(i))
        return error;
    if (Error error = placeTensors())
      return error;
    return std::move(file);
  }

private:
  Error parseHeader();
  Error parsePair(uint64_t index);
  Error parseValue(const std::string &where, GgufValue &value);
  Error skipPayload(const std::string &where, GgufType type, uint64_t count, uint32_t depth);
  Error parseTensorInfo(uint64_t index);
  Error parseShape(SourceTensor &tensor, uint64_t &rowElements);
  Error readAlignment();
  Error placeTensors();

  uint64_t left() const { return bytes.size() - position; }

  Error truncated(const Twine &what, uint64_t needed) const {
    return ggufError(file.fileName, what + ": needs " + Twine(needed) + " bytes at offset " +
                                        Twine(position) + ", found " + Twine(left()) +
                                        " before the end of the file");
  }

  template <typename T> Error read(T &value, const Twine &what) {
    if (left() < sizeof(T))
      return truncated(what, sizeof(T));
    value = support::endian::read<T, llvm::endianness::little>(bytes.data() + position);
    position += sizeof(T);
    return Error::success();
  }

  Error readString(StringRef &text, const Twine &what) {
    uint64_t length = 0;
    if (Error error = read(length, what + ": length"))
      return error;
    if (left() < length)
      return truncated(what, length);
    text = StringRef(reinterpret_cast<const char *>(bytes.data()) + position, length);
    position += length;
    return Error::success();
  }

  ArrayRef<uint8_t> bytes;
  uint64_t position = 0;
  uint64_t tensorCount = 0, pairCount = 0, alignment = defaultAlignment;
  std::vector<uint64_t> tensorOffsets; // from the start of the data, by tensor
  StringSet<> tensorNames;
  GgufFile file;
};

Error GgufParser::parseHeader() {
  uint32_t version = 0;
  if (bytes.size() < 4 || StringRef(reinterpret_cast<const char *>(bytes.data()), 4) != "GGUF")
    return ggufError(file.fileName, "not a GGUF file: it does not begin with \"GGUF\"");
  position = 4;
  if (Error error = read(version, "version"))
    return error;
  if (version == llvm::byteswap<uint32_t>(2) || version == llvm::byteswap<uint32_t>(3))
    return ggufError(file.fileName, "a big-endian GGUF file, expected little-endian");
  if (version != 2 && version != 3)
    return ggufError(file.fileName, "GGUF version " + Twine(version) + ", expected 2 or 3");
  if (Error error = read(tensorCount, "tensor count"))
    return error;
  if (Error error = read(pairCount, "metadata count"))
    return error;
  if (pairCount > left() / minPairBytes)
    return ggufError(file.fileName, "metadata count " + Twine(pairCount) + ", expected at most " +
                                        Twine(left() / minPairBytes) + " in a file of this size");
  if (tensorCount > left() / minTensorInfoBytes)
    return ggufError(file.fileName, "tensor count " + Twine(tensorCount) + ", expected at most " +
                                        Twine(left() / minTensorInfoBytes) +
                                        " in a file of this size");
  return Error::success();
}

Error GgufParser::parsePair(uint64_t index) {
  StringRef key;
  if (Error error = readString(key, "key " + Twine(index)))
    return error;
  GgufValue value;
  if (Error error = parseValue("key '" + printable(key) + "'", value))
    return error;
  if (!file.values.try_emplace(key, value).second)
    return ggufError(file.fileName, "key '" + printable(key) + "' stands twice");
  return Error::success();
}

static Error checkType(const std::string &fileName, const std::string &where, uint32_t type) {
  if (type <= static_cast<uint32_t>(GgufType::F64))
    return Error::success();
  return ggufError(fileName, where + ": value type " + Twine(type) + ", expected 0 to 12");
}

Error GgufParser::parseValue(const std::string &where, GgufValue &value) {
  uint32_t type = 0;
  if (Error error = read(type, where + ": value type"))
    return error;
  if (Error error = checkType(file.fileName, where, type))
    return error;
  value.type = value.elementType = static_cast<GgufType>(type);
  if (value.isArray()) {
    if (Error error = read(type, where + ": element type"))
      return error;
    if (Error error = checkType(file.fileName, where, type))
      return error;
    value.elementType = static_cast<GgufType>(type);
    if (Error error = read(value.count, where + ": element count"))
      return error;
  }
  const uint64_t start = position;
  if (Error error = skipPayload(where, value.elementType, value.count, 1))
    return error;
  value.bytes = bytes.slice(start, position - start);
  return Error::success();
}

/// Walks over `count` values of `type`; what it accepts can be decoded later without checks.
Error GgufParser::skipPayload(const std::string &where, GgufType type, uint64_t count,
                              uint32_t depth) {
  if (depth > maxArrayDepth)
    return ggufError(file.fileName, where + ": arrays nested deeper than " + Twine(maxArrayDepth));
  // Strings take at least their length, arrays their type and count.
  const uint64_t least = type == GgufType::String  ? 8
                         : type == GgufType::Array ? 12
                                                   : scalarBytes(type);
  if (count > left() / least)
    return ggufError(file.fileName, where + ": " + Twine(count) + " values of type " +
                                        ggufTypeName(type) + " need at least " + Twine(least) +
                                        " bytes each, found " + Twine(left()) +
                                        " before the end of the file");
  if (scalarBytes(type)) {
    position += count * scalarBytes(type);
    return Error::success();
  }
  for (uint64_t i = 0; i < count; ++i) {
    if (type == GgufType::String) {
      StringRef text;
      if (Error error = readString(text, where))
        return error;
      continue;
    }
    uint32_t innerType = 0;
    uint64_t innerCount = 0;
    if (Error error = read(innerType, where))
      return error;
    if (Error error = checkType(file.fileName, where, innerType))
      return error;
    if (Error error = read(innerCount, where))
      return error;
    if (Error error = skipPayload(where, static_cast<GgufType>(innerType), innerCount, depth + 1))
      return error;
  }
  return Error::success();
}

Error GgufParser::readAlignment() {
  GgufKeys keys(file);
  alignment = keys.unsignedOr("general.alignment", defaultAlignment, 1u << 30);
  if (!keys.failed() && !isPowerOf2_64(alignment))
    keys.fail("general.alignment", Twine(alignment) + ", expected a power of two");
  return keys.takeError();
}

Error GgufParser::parseTensorInfo(uint64_t index) {
  SourceTensor tensor;
  StringRef name;
  if (Error error = readString(name, "name of tensor " + Twine(index)))
    return error;
  tensor.name = name.str();
  const std::string where = "tensor '" + printable(name) + "'";
  if (!tensorNames.insert(name).second)
    return ggufError(file.fileName, where + " stands twice");

  uint64_t rowElements = 0;
  if (Error error = parseShape(tensor, rowElements))
    return error;
  uint32_t type = 0;
  uint64_t offset = 0;
  if (Error error = read(type, where + ": type"))
    return error;
  if (Error error = read(offset, where + ": offset"))
    return error;
  std::optional<SourceType> known = sourceTypeFromGguf(type);
  if (!known)
    return ggufError(file.fileName, where + ": type " + foreignGgufTypeName(type) + " (" +
                                        Twine(type) + ") is not supported, expected one of " +
                                        knownSourceTypeNames());
  tensor.type = *known;
  const SourceTypeInfo &info = sourceTypeInfo(*known);
  if (rowElements % info.blockElements != 0)
    return ggufError(file.fileName, where + ": rows of " + Twine(rowElements) +
                                        " elements, expected a multiple of " +
                                        Twine(info.blockElements) + " for type " + info.name);
  bool overflow = false;
  const uint64_t blocks = static_cast<uint64_t>(elementCount(tensor)) / info.blockElements;
  const uint64_t size = SaturatingMultiply<uint64_t>(blocks, info.blockBytes, &overflow);
  if (overflow || size > bytes.size())
    return ggufError(file.fileName,
                     where + ": larger than the file (" + Twine(bytes.size()) + " bytes)");
  if (offset % alignment != 0)
    return ggufError(file.fileName, where + ": offset " + Twine(offset) +
                                        ", expected a multiple of " + Twine(alignment));
  tensor.bytes = size;
  tensorOffsets.push_back(offset);
  file.tensorTable.push_back(std::move(tensor));
  return Error::success();
}

/// Reads rank and extents, innermost first in the file, and checks that their product fits in
/// int64.
Error GgufParser::parseShape(SourceTensor &tensor, uint64_t &rowElements) {
  const std::string where = "tensor '" + printable(tensor.name) + "'";
  uint32_t rank = 0;
  if (Error error = read(rank, where + ": rank"))
    return error;
  if (rank < 1 || rank > 4)
    return ggufError(file.fileName, where + ": rank " + Twine(rank) + ", expected 1 to 4");
  uint64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    uint64_t extent = 0;
    if (Error error = read(extent, where + ": shape"))
      return error;
    bool overflow = false;
    elements = SaturatingMultiply<uint64_t>(elements, extent, &overflow);
    if (extent == 0 || overflow || elements > static_cast<uint64_t>(INT64_MAX))
      return ggufError(file.fileName, where + ": extent " + Twine(extent) + " of dimension " +
                                          Twine(i) + " is zero or too large");
    if (i == 0)
      rowElements = extent;
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(extent));
  }
  return Error::success();
}

/// Turns offsets into pointers; every tensor lies inside the file and none shares bytes with
/// another.
Error GgufParser::placeTensors() {
  std::vector<SourceTensor> &tensors = file.tensorTable;
  if (tensors.empty())
    return Error::success();
  const uint64_t dataStart = alignTo(position, alignment); // position and alignment are below 2^62
  const uint64_t dataBytes = bytes.size() > dataStart ? bytes.size() - dataStart : 0;
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    if (tensorOffsets[i] > dataBytes || tensors[i].bytes > dataBytes - tensorOffsets[i])
      return ggufError(file.fileName, "tensor '" + printable(tensors[i].name) +
                                          "': " + Twine(tensors[i].bytes) + " bytes at offset " +
                                          Twine(tensorOffsets[i]) + " of the data, found " +
                                          Twine(dataBytes) + " bytes of data in the file");
    tensors[i].data = bytes.data() + dataStart + tensorOffsets[i];
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tensorOffsets[a] < tensorOffsets[b]; });
  for (size_t i = 1; i < order.size(); ++i) {
    const SourceTensor &before = tensors[order[i - 1]], &after = tensors[order[i]];
    if (before.data + before.bytes > after.data)
      return ggufError(file.fileName, "tensors '" + printable(before.name) + "' and '" +
                                          printable(after.name) + "' share bytes of the file");
  }
  return Error::success();
}

Expected<GgufFile> GgufFile::parse(StringRef name, ArrayRef<uint8_t> bytes) {
  return GgufParser(name, bytes).run();
}

} // namespace llmir::compiler
