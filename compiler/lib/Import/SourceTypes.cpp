//===- SourceTypes.cpp - Names and block sizes of the source encodings ----===//
//
// The table behind SourceTypes.h. Block sizes are those of the ggml formats;
// lib/Weights/Dequantize.cpp draws the blocks.
//
//===----------------------------------------------------------------------===//
#include "llmir/Import/SourceTypes.h"

using namespace llmir::compiler;

static const SourceTypeInfo table[] = {
    {SourceType::F32, "F32", 0, 1, 4},        {SourceType::F16, "F16", 1, 1, 2},
    {SourceType::BF16, "BF16", 30, 1, 2},     {SourceType::Q4_0, "Q4_0", 2, 32, 18},
    {SourceType::Q4_1, "Q4_1", 3, 32, 20},    {SourceType::Q5_0, "Q5_0", 6, 32, 22},
    {SourceType::Q5_1, "Q5_1", 7, 32, 24},    {SourceType::Q8_0, "Q8_0", 8, 32, 34},
    {SourceType::Q2_K, "Q2_K", 10, 256, 84},  {SourceType::Q3_K, "Q3_K", 11, 256, 110},
    {SourceType::Q4_K, "Q4_K", 12, 256, 144}, {SourceType::Q5_K, "Q5_K", 13, 256, 176},
    {SourceType::Q6_K, "Q6_K", 14, 256, 210},
};

llvm::ArrayRef<SourceTypeInfo> llmir::compiler::knownSourceTypes() { return table; }

const SourceTypeInfo &llmir::compiler::sourceTypeInfo(SourceType type) {
  return table[static_cast<size_t>(type)];
}

std::optional<SourceType> llmir::compiler::sourceTypeFromGguf(uint32_t ggufId) {
  for (const SourceTypeInfo &info : table)
    if (info.ggufId == ggufId)
      return info.type;
  return std::nullopt;
}

std::string llmir::compiler::knownSourceTypeNames() {
  std::string names;
  for (const SourceTypeInfo &info : table) {
    if (!names.empty())
      names += ", ";
    names += info.name;
  }
  return names;
}

const char *llmir::compiler::foreignGgufTypeName(uint32_t ggufId) {
  static const struct {
    uint32_t id;
    const char *name;
  } foreign[] = {
      {4, "Q4_2"},    {5, "Q4_3"},     {9, "Q8_1"},   {15, "Q8_K"},   {16, "IQ2_XXS"},
      {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},
      {22, "IQ2_S"},  {23, "IQ4_XS"},  {24, "I8"},    {25, "I16"},    {26, "I32"},
      {27, "I64"},    {28, "F64"},     {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},
      {39, "MXFP4"},  {40, "NVFP4"},
  };
  for (const auto &entry : foreign)
    if (entry.id == ggufId)
      return entry.name;
  return "unknown";
}
