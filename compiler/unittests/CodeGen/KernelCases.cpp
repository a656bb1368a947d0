//===- KernelCases.cpp - Kernels with random inputs -----------------------===//
#include "KernelCases.h"

extern "C" {
#include "quant/activation.h"
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/kv_cache.h"
}

#include <algorithm>
#include <array>
#include <cstring>

namespace llmir::compiler {
namespace {

/// Tokens of the batches: a prompt of seven behind 20 cached tokens, and one token of decoding
/// behind 40.
constexpr uint32_t tokenCount = 8, promptTokens = 7, promptStart = 20, decodePosition = 40;
constexpr uint32_t longPromptTokens = 18; ///< of matrix products that take many tokens at a time
constexpr uint32_t pageTokens = 16, pagesPerSequence = 4, vocab = 64;
/// Bytes of a page in front of the layer.
constexpr uint32_t kvOffset = 128;

class Random {
public:
  explicit Random(uint32_t seed) : state(seed * 2654435761u + 1) {}
  uint32_t next() { // xorshift64*, high half
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return static_cast<uint32_t>((state * 2685821657736338717ull) >> 32);
  }
  float unit() { return static_cast<float>(static_cast<int32_t>(next())) * 0x1p-31f; }
  /// A finite binary16 between 2^-11 and 2 in magnitude.
  uint16_t half() {
    uint32_t bits = next();
    return static_cast<uint16_t>((bits & 0x83ffu) | ((4 + (bits >> 16) % 12) << 10));
  }
  /// A bfloat16 between 2^-7 and 2 in magnitude.
  uint16_t brain() {
    uint32_t bits = next();
    return static_cast<uint16_t>((bits & 0x807fu) | ((120 + (bits >> 16) % 8) << 7));
  }

private:
  uint64_t state;
};

template <typename Params> KernelCase makeCase(std::string name, uint32_t kernel, Params params) {
  KernelCase result;
  result.name = std::move(name);
  result.variant.kernel = kernel;
  result.variant.params.resize(sizeof params);
  std::memcpy(result.variant.params.data(), &params, sizeof params);
  result.operands.resize(LLMIR_PLAN_MAX_OPERANDS);
  result.rowBytes.resize(LLMIR_PLAN_MAX_OPERANDS);
  return result;
}

class Builder {
public:
  explicit Builder(uint32_t seed) : random(seed) {}

  std::vector<KernelCase> cases;

  void addRowKernels();
  void addLinear();
  void addAttention(uint32_t kvType);
  void addLongAttention(uint32_t kvType);

private:
  Random random;

  void fillF32(Memory &memory) {
    for (size_t i = 0; i + 4 <= memory.bytes(); i += 4) {
      float value = random.unit();
      std::memcpy(memory.data() + i, &value, 4);
    }
  }

  /// A buffer of f32 rows, or a vector when rows is 1.
  void setF32(KernelCase &target, unsigned operand, uint32_t rows, uint32_t columns) {
    target.rowBytes[operand] = llmir_align64(columns * 4);
    target.operands[operand] = Memory(size_t(rows) * target.rowBytes[operand]);
    fillF32(target.operands[operand]);
  }

  void setTensorF32(KernelCase &target, unsigned operand, uint32_t columns) {
    setF32(target, operand, 1, columns);
    target.rowBytes[operand] = 0;
  }

  /// Wide rows from rows of twice the columns: sums of 256 * high + low.
  void widenSums(Memory &memory, uint32_t rowBytes, uint32_t columns, uint32_t group) {
    for (size_t row = 0; row < memory.bytes(); row += rowBytes)
      for (uint32_t g = 0; g < columns / group; ++g) {
        int32_t sum = 0;
        for (uint32_t c = g * group; c < (g + 1) * group; ++c) {
          auto high = static_cast<int8_t>(memory.data()[row + c]);
          auto low = static_cast<int8_t>(memory.data()[row + columns + c]);
          sum += 256 * high + low;
        }
        std::memcpy(memory.data() + row + llmir_q8_sum_offset(2 * columns, group) + g * 4, &sum, 4);
      }
  }

  /// Q8 rows with sums that agree with the values.
  void setQ8(KernelCase &target, unsigned operand, uint32_t rows, uint32_t columns,
             uint32_t group) {
    uint32_t rowBytes = llmir_q8_row_bytes(columns, group);
    target.rowBytes[operand] = rowBytes;
    target.operands[operand] = Memory(size_t(rows) * rowBytes);
    for (uint32_t row = 0; row < rows; ++row) {
      uint8_t *data = target.operands[operand].data() + size_t(row) * rowBytes;
      for (uint32_t g = 0; g < columns / group; ++g) {
        int32_t sum = 0;
        for (uint32_t c = 0; c < group; ++c) {
          auto value = static_cast<int8_t>(static_cast<int32_t>(random.next() % 255) - 127);
          data[g * group + c] = static_cast<uint8_t>(value);
          sum += value;
        }
        float scale = (random.unit() + 1.0f) * 0.01f;
        std::memcpy(data + llmir_q8_scale_offset(columns) + g * 4, &scale, 4);
        std::memcpy(data + llmir_q8_sum_offset(columns, group) + g * 4, &sum, 4);
      }
    }
  }

  void setWeights(KernelCase &target, unsigned operand, uint32_t layout, uint32_t group,
                  uint32_t rows, uint32_t columns) {
    target.operands[operand] = Memory(llmir_layout_bytes(layout, group, rows, columns));
    Memory &memory = target.operands[operand];
    if (layout == LLMIR_LAYOUT_F32 || layout == LLMIR_LAYOUT_PANEL_F32)
      return fillF32(memory);
    if (!llmir_layout_is_integer(layout)) {
      for (size_t i = 0; i + 2 <= memory.bytes(); i += 2) {
        uint16_t value = layout == LLMIR_LAYOUT_PANEL_BF16 ? random.brain() : random.half();
        std::memcpy(memory.data() + i, &value, 2);
      }
      return;
    }
    // Any bits are weights; the halves at the end of each block must be finite.
    uint32_t blockBytes = llmir_block_bytes(layout, group);
    uint32_t halves = layout == LLMIR_LAYOUT_PANEL_U4 ? 32 : 16;
    for (size_t i = 0; i < memory.bytes(); ++i)
      memory.data()[i] = static_cast<uint8_t>(random.next() >> 24);
    for (size_t block = 0; block < memory.bytes(); block += blockBytes)
      for (uint32_t i = 0; i < halves; ++i) {
        uint16_t value = random.half();
        std::memcpy(memory.data() + block + blockBytes - halves * 2 + i * 2, &value, 2);
      }
  }

  /// Queries of integers: any bits, and scales with which no key outweighs all others.
  void setQueryScales(Memory &memory, uint32_t stride, uint32_t heads, uint32_t headDim) {
    for (size_t row = 0; row < memory.bytes(); row += llmir_align64(stride * 4))
      for (uint32_t head = 0; head < heads; ++head) {
        float scale = (random.unit() + 1.5f) * 1e-6f;
        std::memcpy(memory.data() + row + (size_t(head) * headDim + headDim / 2) * 4, &scale, 4);
      }
  }

  void setKv(KernelCase &target, uint32_t kvType, uint32_t kvHeads, uint32_t headDim,
             uint32_t window, uint32_t pages = pagesPerSequence) {
    target.usesKv = true;
    llmir_plan_kv_layer_t layer = {kvHeads, headDim, window, 0, 64};
    target.batch.kv_type = kvType;
    target.kvLayer = llmir_cpu_kv_layer(&layer, kvType, pageTokens);
    target.kvLayer.page_bytes = kvOffset + llmir_kv_layer_bytes(&layer, kvType, pageTokens);
    target.kvLayer.page_table_stride = pages;
    target.kv = Memory(target.kvLayer.page_bytes * 2 * pages);
    if (kvType == LLMIR_KV_STORAGE_F32)
      return fillF32(target.kv);
    // Scales are halves, and integers may be anything.
    for (size_t i = 0; i + 2 <= target.kv.bytes(); i += 2) {
      uint16_t value = random.half();
      std::memcpy(target.kv.data() + i, &value, 2);
    }
  }

  void add(KernelCase target, uint32_t prompt = promptTokens) {
    target.batch.token_count = prompt + 1;
    target.batch.sequence_count = 2;
    target.batch.output_count = 2;
    target.batch.page_tokens = pageTokens;
    for (uint32_t i = 0; i < prompt + 1; ++i) {
      bool isPrompt = i < prompt;
      target.tokens.push_back(static_cast<int32_t>(random.next() % vocab));
      target.positions.push_back(static_cast<int32_t>(isPrompt ? promptStart + i : decodePosition));
      target.sequences.push_back(isPrompt ? 0 : 1);
    }
    target.outputRows = {prompt - 1, prompt};
    for (uint32_t i = 0; i < 2 * pagesPerSequence; ++i) // interleaved: pages are not in order
      target.pageTable.push_back(i % 2 == 0 ? i / 2 : pagesPerSequence + i / 2);
    cases.push_back(std::move(target));
  }
};

void Builder::addRowKernels() {
  for (uint32_t layout : {LLMIR_LAYOUT_F32, LLMIR_LAYOUT_F16, LLMIR_LAYOUT_PANEL_F32,
                          LLMIR_LAYOUT_PANEL_F16, LLMIR_LAYOUT_PANEL_BF16, LLMIR_LAYOUT_PANEL_S4,
                          LLMIR_LAYOUT_PANEL_U4, LLMIR_LAYOUT_PANEL_S8}) {
    uint32_t group = llmir_layout_is_integer(layout) ? 32 : 0;
    auto embed = makeCase("embed layout " + std::to_string(layout), LLMIR_KERNEL_EMBED,
                          llmir_embed_params_t{576, vocab, layout, group, 24.0f, 0});
    setWeights(embed, 0, layout, group, vocab, 576);
    setF32(embed, 1, tokenCount, 576);
    add(std::move(embed));
  }
  auto rope = makeCase("rope_table", LLMIR_KERNEL_ROPE_TABLE, llmir_rope_table_params_t{32, 1.1f});
  setTensorF32(rope, 0, 32);
  setF32(rope, 1, tokenCount, 64);
  add(std::move(rope));

  for (uint32_t flags : {0u, 1u, 3u, 5u, 7u})
    for (uint32_t format : {LLMIR_ROW_F32, LLMIR_ROW_Q8})
      for (uint32_t gather : {0u, 1u}) {
        if ((flags & LLMIR_NORM_NO_OUTPUT) && (format == LLMIR_ROW_Q8 || gather))
          continue;
        uint32_t group = format == LLMIR_ROW_Q8 ? 32 : 0;
        auto norm =
            makeCase("norm flags " + std::to_string(flags) + " format " + std::to_string(format) +
                         " gather " + std::to_string(gather),
                     LLMIR_KERNEL_NORM,
                     llmir_norm_params_t{576, flags, 1e-5f, 1e-6f, format, group, gather, 0});
        setF32(norm, 0, tokenCount, 576);
        setF32(norm, 1, tokenCount, 576);
        setTensorF32(norm, 2, 576);
        setTensorF32(norm, 3, 576);
        if (format == LLMIR_ROW_Q8)
          setQ8(norm, 4, tokenCount, 576, 32);
        else
          setF32(norm, 4, tokenCount, 576);
        add(std::move(norm));
      }

  for (uint32_t group : {32u, 64u, LLMIR_MAX_GROUP}) {
    auto quantize = makeCase("quantize group " + std::to_string(group), LLMIR_KERNEL_QUANTIZE,
                             llmir_quantize_params_t{1536, group, LLMIR_EXTENT_TOKENS, 0});
    setF32(quantize, 0, tokenCount, 1536);
    setQ8(quantize, 1, tokenCount, 1536, group);
    add(std::move(quantize));
  }
  for (uint32_t gate : {LLMIR_GATE_SILU, LLMIR_GATE_GELU_TANH}) {
    auto gated = makeCase("gate " + std::to_string(gate), LLMIR_KERNEL_GATE,
                          llmir_gate_params_t{1536, gate});
    setF32(gated, 0, tokenCount, 3072);
    setF32(gated, 1, tokenCount, 1536);
    add(std::move(gated));
  }
}

void Builder::addLinear() {
  struct Shape {
    uint32_t rows, columns, group, flags, gate, extent, outColumn;
    float softCap;
    uint32_t prompt = promptTokens;
  };
  const Shape shapes[] = {
      {960, 576, 32, 0, LLMIR_GATE_NONE, LLMIR_EXTENT_TOKENS, 0, 0.0f},
      {576, 1536, 64, LLMIR_LINEAR_ADD, LLMIR_GATE_NONE, LLMIR_EXTENT_TOKENS, 0, 0.0f},
      {200, 576, 32, LLMIR_LINEAR_BIAS, LLMIR_GATE_NONE, LLMIR_EXTENT_TOKENS, 32, 0.0f,
       longPromptTokens},
      {1536, 576, 32, 0, LLMIR_GATE_SILU, LLMIR_EXTENT_TOKENS, 0, 0.0f},
      {256, 640, 128, 0, LLMIR_GATE_GELU_TANH, LLMIR_EXTENT_TOKENS, 0, 0.0f, longPromptTokens},
      {1024, 576, 32, 0, LLMIR_GATE_NONE, LLMIR_EXTENT_OUTPUTS, 0, 30.0f},
      {576, 1536, 32, LLMIR_LINEAR_WIDE, LLMIR_GATE_NONE, LLMIR_EXTENT_TOKENS, 0, 0.0f},
      {64, 256, 64, LLMIR_LINEAR_WIDE, LLMIR_GATE_SILU, LLMIR_EXTENT_TOKENS, 0, 0.0f},
      {72, 768, 256, LLMIR_LINEAR_ADD, LLMIR_GATE_NONE, LLMIR_EXTENT_TOKENS, 0, 0.0f,
       longPromptTokens},
      {48, 512, 256, LLMIR_LINEAR_WIDE, LLMIR_GATE_GELU_TANH, LLMIR_EXTENT_TOKENS, 0, 0.0f,
       longPromptTokens},
  };
  for (uint32_t layout : {LLMIR_LAYOUT_PANEL_F32, LLMIR_LAYOUT_PANEL_F16, LLMIR_LAYOUT_PANEL_BF16,
                          LLMIR_LAYOUT_PANEL_S4, LLMIR_LAYOUT_PANEL_U4, LLMIR_LAYOUT_PANEL_S8})
    for (const Shape &shape : shapes) {
      bool isInteger = llmir_layout_is_integer(layout);
      uint32_t group = isInteger ? shape.group : 0;
      bool isGated = shape.gate != LLMIR_GATE_NONE;
      bool isWide = shape.flags & LLMIR_LINEAR_WIDE;
      if (isWide && !isInteger)
        continue;
      uint32_t stride = (shape.outColumn + shape.rows + 15) / 16 * 16, tokens = shape.prompt + 1;
      auto linear = makeCase(
          "linear layout " + std::to_string(layout) + " rows " + std::to_string(shape.rows),
          LLMIR_KERNEL_LINEAR,
          llmir_linear_params_t{shape.rows, shape.columns, layout, group, shape.flags, shape.gate,
                                shape.extent, shape.outColumn, stride, shape.softCap});
      if (isInteger)
        setQ8(linear, 0, tokens, isWide ? 2 * shape.columns : shape.columns, group);
      if (isInteger && isWide)
        widenSums(linear.operands[0], linear.rowBytes[0], shape.columns, group);
      if (!isInteger)
        setF32(linear, 0, tokens, shape.columns);
      uint32_t weightRows = isGated ? 2 * ((shape.rows + 15) / 16 * 16) : shape.rows;
      setWeights(linear, 1, layout, group, weightRows, shape.columns);
      setTensorF32(linear, 2, (shape.rows + 15) / 16 * 16);
      setF32(linear, 3, tokens, stride);
      add(std::move(linear), shape.prompt);
    }
}

void Builder::addAttention(uint32_t kvType) {
  struct Shape {
    uint32_t qHeads, kvHeads, headDim, window, ropeDim, flags;
    float softCap;
  };
  const Shape shapes[] = {
      {9, 3, 64, 0, 64, LLMIR_QKV_ROPE, 0.0f},
      {4, 1, 256, 24, 256, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 50.0f},
      {4, 4, 96, 0, 64, LLMIR_QKV_ROPE, 0.0f},
      {2, 1, 80, 0, 80, LLMIR_QKV_ROPE, 0.0f}, // q4 alone: blocks of two sizes, padded values
  };
  for (const Shape &shape : shapes) {
    if (shape.headDim == 80 && kvType != LLMIR_KV_STORAGE_Q4)
      continue;
    uint32_t stride = (shape.qHeads + 2 * shape.kvHeads) * shape.headDim;
    std::string suffix =
        " heads " + std::to_string(shape.qHeads) + " kv type " + std::to_string(kvType);
    auto qkv = makeCase("qkv" + suffix, LLMIR_KERNEL_QKV,
                        llmir_qkv_params_t{shape.qHeads, shape.kvHeads, shape.headDim,
                                           shape.ropeDim, stride, shape.flags, 1e-6f, 0});
    setF32(qkv, 0, tokenCount, stride);
    setF32(qkv, 1, tokenCount, shape.ropeDim);
    setTensorF32(qkv, 2, shape.headDim);
    setTensorF32(qkv, 3, shape.headDim);
    setKv(qkv, kvType, shape.kvHeads, shape.headDim, shape.window);
    add(std::move(qkv));

    uint32_t outStride = shape.qHeads * shape.headDim;
    auto attention =
        makeCase("attention" + suffix, LLMIR_KERNEL_ATTENTION,
                 llmir_attention_params_t{shape.qHeads, shape.kvHeads, shape.headDim, shape.window,
                                          stride, outStride, 0.125f, shape.softCap});
    setF32(attention, 0, tokenCount, stride);
    if (llmir_kv_is_integer(kvType))
      setQueryScales(attention.operands[0], stride, shape.qHeads, shape.headDim);
    setKv(attention, kvType, shape.kvHeads, shape.headDim, shape.window);
    setF32(attention, 2, tokenCount, outStride);
    add(std::move(attention));
  }
}

/// One token of each of eight sequences, whose contexts are shorter and longer than the pieces that
/// GPUs cut them into. All have the same pages, in another order each.
void Builder::addLongAttention(uint32_t kvType) {
  struct Shape {
    uint32_t qHeads, kvHeads, headDim, window;
    float softCap;
    std::array<int32_t, tokenCount> positions;
  };
  const Shape shapes[] = {
      {4, 2, 64, 0, 0.0f, {767, 0, 254, 255, 256, 511, 512, 700}},
      {9, 1, 64, 300, 0.0f, {767, 0, 255, 298, 299, 300, 555, 556}},
      {3, 1, 128, 0, 30.0f, {513, 15, 255, 256, 257, 300, 511, 512}},
      // More pieces than parts.
      {1, 1, 64, 0, 0.0f, {16639, 16383, 16384, 300, 0, 255, 256, 16600}},
  };
  for (const Shape &shape : shapes) {
    const int32_t longest = *std::max_element(shape.positions.begin(), shape.positions.end());
    if (&shape != shapes && kvType != LLMIR_KV_STORAGE_F16)
      continue; // how contexts are cut does not depend on what the cache holds
    const uint32_t pages = longest / pageTokens + 1;
    const uint32_t stride = (shape.qHeads + 2 * shape.kvHeads) * shape.headDim;
    const uint32_t outStride = shape.qHeads * shape.headDim;
    auto attention =
        makeCase("attention of " + std::to_string(longest + 1) + " keys, heads " +
                     std::to_string(shape.qHeads) + " kv type " + std::to_string(kvType),
                 LLMIR_KERNEL_ATTENTION,
                 llmir_attention_params_t{shape.qHeads, shape.kvHeads, shape.headDim, shape.window,
                                          stride, outStride, 0.125f, shape.softCap});
    setF32(attention, 0, tokenCount, stride);
    if (llmir_kv_is_integer(kvType))
      setQueryScales(attention.operands[0], stride, shape.qHeads, shape.headDim);
    setKv(attention, kvType, shape.kvHeads, shape.headDim, shape.window, (pages + 1) / 2);
    setF32(attention, 2, tokenCount, outStride);
    add(std::move(attention));
    KernelCase &added = cases.back();
    added.kvLayer.page_table_stride = pages;
    added.batch.sequence_count = tokenCount;
    added.positions.assign(shape.positions.begin(), shape.positions.end());
    added.pageTable.clear();
    for (uint32_t i = 0; i < tokenCount; ++i) {
      added.sequences[i] = i;
      for (uint32_t page = 0; page < pages; ++page)
        added.pageTable.push_back((page + 3 * i) % pages);
    }
  }
}

/// Which operand is the KV layer.
unsigned kvOperand(uint32_t kernel) { return kernel == LLMIR_KERNEL_QKV ? 4 : 1; }

} // namespace

std::vector<KernelCase> makeKernelCases(uint32_t seed) {
  Builder builder(seed);
  builder.addRowKernels();
  builder.addLinear();
  for (uint32_t storage = 0; storage < LLMIR_KV_STORAGE_COUNT; ++storage)
    builder.addAttention(storage);
  return std::move(builder.cases);
}

std::vector<KernelCase> makeLongCases(uint32_t seed) {
  Builder builder(seed);
  for (uint32_t storage = 0; storage < LLMIR_KV_STORAGE_COUNT; ++storage)
    builder.addLongAttention(storage);
  return std::move(builder.cases);
}

std::vector<uint8_t> runKernel(KernelCase kernelCase, llmir_cpu_kernel_fn kernel) {
  llmir_cpu_batch_t &batch = kernelCase.batch;
  batch.tokens = kernelCase.tokens.data();
  batch.positions = kernelCase.positions.data();
  batch.token_sequence = kernelCase.sequences.data();
  batch.output_rows = kernelCase.outputRows.data();
  kernelCase.kvLayer.page_table = kernelCase.pageTable.data();
  kernelCase.kvLayer.pages = kernelCase.kv.data() + kvOffset;

  llmir_cpu_call_t call = {};
  call.batch = &batch;
  for (unsigned i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
    Memory &operand = kernelCase.operands[i];
    call.operands[i] = operand.bytes() != 0 ? operand.data() : nullptr;
    call.row_bytes[i] = kernelCase.rowBytes[i];
  }
  if (kernelCase.usesKv)
    call.operands[kvOperand(kernelCase.variant.kernel)] = &kernelCase.kvLayer;

  const void *params = kernelCase.variant.params.data();
  uint32_t tiles = llmir_cpu_kernel_tile_count(kernelCase.variant.kernel, params, &batch);
  kernel(&call, params, 0, tiles);

  std::vector<uint8_t> written;
  auto append = [&](Memory &memory) {
    written.insert(written.end(), memory.data(), memory.data() + memory.bytes());
  };
  for (Memory &operand : kernelCase.operands)
    append(operand);
  append(kernelCase.kv);
  return written;
}

} // namespace llmir::compiler
