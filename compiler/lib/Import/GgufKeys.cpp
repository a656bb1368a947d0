//===- GgufKeys.cpp - Typed access to GGUF metadata -----------------------===//
//
// The parser has checked that every payload is complete; here values are decoded and compared with
// what the caller can use. Writers disagree about integer widths, so every width is taken where the
// value fits.
//
//===----------------------------------------------------------------------===//
#include "GgufFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"

#include <cmath>

using namespace llvm;
namespace llmir::compiler {

template <typename T> static T load(const uint8_t *at) {
  return support::endian::read<T, llvm::endianness::little>(at);
}

static uint32_t integerBytes(GgufType type) {
  switch (type) {
  case GgufType::U8:
  case GgufType::I8:
    return 1;
  case GgufType::U16:
  case GgufType::I16:
    return 2;
  case GgufType::U32:
  case GgufType::I32:
    return 4;
  case GgufType::U64:
  case GgufType::I64:
    return 8;
  default:
    return 0;
  }
}

void GgufKeys::fail(StringRef key, const Twine &foundAndExpected) {
  if (fault.empty())
    fault = ("key '" + key + "': " + foundAndExpected).str();
}

Error GgufKeys::takeError() const {
  return fault.empty() ? Error::success() : ggufError(file.name(), fault);
}

void GgufKeys::require(StringRef key, StringRef expected) {
  if (!has(key))
    fail(key, "missing, expected " + expected);
}

/// The value if it is there and has the asked shape; a wrong shape is a fault, absence is not.
const GgufValue *GgufKeys::findTyped(StringRef key, bool array, StringRef expected) {
  const GgufValue *value = failed() ? nullptr : file.find(key);
  if (value && value->isArray() != array) {
    fail(key, "found " + value->describe() + ", expected " + expected);
    return nullptr;
  }
  return value;
}

std::optional<int64_t> GgufKeys::integer(StringRef key, GgufType type, const uint8_t *at) {
  switch (type) {
  case GgufType::U8:
    return *at;
  case GgufType::I8:
    return static_cast<int8_t>(*at);
  case GgufType::U16:
    return load<uint16_t>(at);
  case GgufType::I16:
    return load<int16_t>(at);
  case GgufType::U32:
    return load<uint32_t>(at);
  case GgufType::I32:
    return load<int32_t>(at);
  case GgufType::I64:
    return load<int64_t>(at);
  case GgufType::U64:
    if (load<uint64_t>(at) <= static_cast<uint64_t>(INT64_MAX))
      return static_cast<int64_t>(load<uint64_t>(at));
    fail(key, "found " + Twine(load<uint64_t>(at)) + ", expected at most " + Twine(INT64_MAX));
    return std::nullopt;
  default:
    fail(key, Twine("found ") + ggufTypeName(type) + ", expected an integer");
    return std::nullopt;
  }
}

uint64_t GgufKeys::unsignedOr(StringRef key, uint64_t otherwise, uint64_t maximum) {
  const GgufValue *value = findTyped(key, /*array=*/false, "an integer");
  if (!value)
    return otherwise;
  std::optional<int64_t> number = integer(key, value->type, value->bytes.data());
  if (!number)
    return otherwise;
  if (*number < 0 || static_cast<uint64_t>(*number) > maximum) {
    fail(key, "found " + Twine(*number) + ", expected 0 to " + Twine(maximum));
    return otherwise;
  }
  return static_cast<uint64_t>(*number);
}

uint64_t GgufKeys::requireUnsigned(StringRef key, uint64_t minimum, uint64_t maximum) {
  require(key, "an integer");
  const uint64_t number = unsignedOr(key, minimum, maximum);
  if (number < minimum)
    fail(key, "found " + Twine(number) + ", expected " + Twine(minimum) + " to " + Twine(maximum));
  return failed() ? minimum : number;
}

double GgufKeys::floatOr(StringRef key, double otherwise) {
  const GgufValue *value = findTyped(key, /*array=*/false, "a number");
  if (!value)
    return otherwise;
  double number = otherwise;
  if (value->type == GgufType::F32)
    number = load<float>(value->bytes.data());
  else if (value->type == GgufType::F64)
    number = load<double>(value->bytes.data());
  else if (std::optional<int64_t> whole = integer(key, value->type, value->bytes.data()))
    number = static_cast<double>(*whole);
  // All such numbers become binary32 in kernels; what does not fit there is no model's parameter.
  if (!std::isfinite(static_cast<float>(number)))
    fail(key, "found a number that is not finite in 32 bits");
  return failed() ? otherwise : number;
}

double GgufKeys::requireFloat(StringRef key) {
  require(key, "a number");
  return floatOr(key, 0.0);
}

bool GgufKeys::boolOr(StringRef key, bool otherwise) {
  const GgufValue *value = findTyped(key, /*array=*/false, "a bool");
  if (value && value->type != GgufType::Bool)
    fail(key, "found " + value->describe() + ", expected a bool");
  return value && !failed() ? *value->bytes.data() != 0 : otherwise;
}

/// Payload of a string: the length, then the bytes.
static StringRef stringAt(const uint8_t *at) {
  return StringRef(reinterpret_cast<const char *>(at + 8), load<uint64_t>(at));
}

std::string GgufKeys::stringOr(StringRef key, StringRef otherwise) {
  const GgufValue *value = findTyped(key, /*array=*/false, "a string");
  if (value && value->type != GgufType::String)
    fail(key, "found " + value->describe() + ", expected a string");
  return value && !failed() ? stringAt(value->bytes.data()).str() : otherwise.str();
}

std::vector<std::string> GgufKeys::stringArray(StringRef key) {
  std::vector<std::string> strings;
  const GgufValue *value = findTyped(key, /*array=*/true, "an array of strings");
  if (value && value->elementType != GgufType::String)
    fail(key, "found " + value->describe() + ", expected an array of strings");
  if (!value || failed())
    return strings;
  strings.reserve(value->count);
  const uint8_t *at = value->bytes.data();
  for (uint64_t i = 0; i < value->count; ++i) {
    const StringRef text = stringAt(at);
    strings.push_back(text.str());
    at += 8 + text.size();
  }
  return strings;
}

std::vector<float> GgufKeys::floatArray(StringRef key) {
  std::vector<float> numbers;
  const GgufValue *value = findTyped(key, /*array=*/true, "an array of f32");
  if (value && value->elementType != GgufType::F32)
    fail(key, "found " + value->describe() + ", expected an array of f32");
  if (!value || failed())
    return numbers;
  numbers.reserve(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    numbers.push_back(load<float>(value->bytes.data() + i * 4));
    if (!std::isfinite(numbers.back()))
      fail(key, "element " + Twine(i) + " is not finite");
  }
  return numbers;
}

std::vector<int64_t> GgufKeys::intArray(StringRef key) {
  std::vector<int64_t> numbers;
  const GgufValue *value = findTyped(key, /*array=*/true, "an array of integers");
  if (!value)
    return numbers;
  // Bools count as integers: layer patterns are written either way.
  const bool isBool = value->elementType == GgufType::Bool;
  const uint32_t bytes = isBool ? 1 : integerBytes(value->elementType);
  if (bytes == 0) {
    fail(key, "found " + value->describe() + ", expected an array of integers");
    return numbers;
  }
  numbers.reserve(value->count);
  const GgufType type = isBool ? GgufType::U8 : value->elementType;
  for (uint64_t i = 0; i < value->count && !failed(); ++i)
    if (std::optional<int64_t> number = integer(key, type, value->bytes.data() + i * bytes))
      numbers.push_back(*number);
  return numbers;
}

std::optional<uint64_t> GgufKeys::uniformUnsigned(StringRef key, uint64_t layers,
                                                  uint64_t maximum) {
  const GgufValue *value = failed() ? nullptr : file.find(key);
  if (!value)
    return std::nullopt;
  if (!value->isArray())
    return unsignedOr(key, 0, maximum);
  const std::vector<int64_t> numbers = intArray(key);
  if (failed())
    return std::nullopt;
  if (numbers.size() < layers || numbers.empty()) {
    fail(key, "found " + value->describe() + ", expected one for each of the " + Twine(layers) +
                  " layers");
    return std::nullopt;
  }
  for (uint64_t i = 0; i < layers; ++i) {
    if (numbers[i] == numbers[0] && numbers[i] >= 0 && static_cast<uint64_t>(numbers[i]) <= maximum)
      continue;
    fail(key, "found " + Twine(numbers[i]) + " for layer " + Twine(i) + " and " +
                  Twine(numbers[0]) + " for layer 0, expected equal counts of 0 to " +
                  Twine(maximum));
    return std::nullopt;
  }
  return static_cast<uint64_t>(numbers[0]);
}

} // namespace llmir::compiler
