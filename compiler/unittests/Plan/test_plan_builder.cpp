//===- test_plan_builder.cpp - From models to plans that the runtime accepts ------------------===//
//
// Compiles small models of every architecture and lets the runtime's own checker open the plan;
// looks at recipes, rope frequencies and errors.
//
//===-----------------------------------------------------------------------------------------===//

#include "ToyModel.h"
#include "llmir/Plan/PlanBuilder.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstring>

#include "quant/quant_layout.h"
extern "C" {
#include "core/plan.h"

#include <cmocka.h>
}

using namespace llmir::compiler;

namespace {

CompiledProgram compile(const ImportedModel &model, const CompileOptions &options = {}) {
  static mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto program = compileToProgram(context, model, options);
  if (!program)
    fail_msg("%s", llvm::toString(program.takeError()).c_str());
  return std::move(*program);
}

std::string errorOf(const ImportedModel &model, const CompileOptions &options = {}) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto program = compileToProgram(context, model, options);
  return program ? "no error" : llvm::toString(program.takeError());
}

void assertContains(const std::string &text, const char *part) {
  if (text.find(part) == std::string::npos)
    fail_msg("'%s' lacks '%s'", text.c_str(), part);
}

/// Opens the plan as the runtime does; there are shapes but no weights behind the tensors.
void assertOpens(const CompiledProgram &program, uint32_t vocab) {
  std::vector<llmir_tensor_record_t> records;
  std::vector<llmir_tensor_view_t> views;
  for (const TensorRecipe &recipe : program.tensors) {
    llmir_tensor_record_t record = {};
    record.rank = static_cast<uint32_t>(recipe.shape.size());
    std::fill(std::begin(record.shape), std::end(record.shape), 1u);
    llvm::copy(recipe.shape, record.shape);
    record.layout = recipe.layout;
    record.group = recipe.group;
    record.data_bytes =
        llmir_layout_bytes(recipe.layout, recipe.group, recipe.rows(), recipe.columns());
    records.push_back(record);
  }
  for (const llmir_tensor_record_t &record : records)
    views.push_back({&record, nullptr});
  std::vector<uint64_t> aligned((program.plan.size() + 7) / 8 + 8);
  auto address = (reinterpret_cast<uintptr_t>(aligned.data()) + 63) & ~uintptr_t(63);
  auto *section = reinterpret_cast<uint8_t *>(address);
  std::memcpy(section, program.plan.data(), program.plan.size());
  llmir_plan_source_t source = {section, program.plan.size(), views.data(),
                                static_cast<uint32_t>(views.size()), vocab};
  llmir_plan_view_t plan;
  llmir_error_t error = {};
  if (llmir_plan_open(&source, &plan, &error) != LLMIR_STATUS_OK)
    fail_msg("%s", error.message);
  assert_int_equal(plan.record->dispatch_count, program.summary.dispatches);
  assert_int_equal(plan.record->variant_count, program.variants.size());
}

const TensorRecipe *find(const CompiledProgram &program, llvm::StringRef name) {
  auto found =
      llvm::find_if(program.tensors, [&](const TensorRecipe &r) { return name == r.name; });
  return found == program.tensors.end() ? nullptr : &*found;
}

const char *const architectureNames[] = {"gemma3", "llama", "qwen2", "qwen3"};

void test_plan_every_architecture_and_policy_opens(void **) {
  for (const char *name : architectureNames) {
    for (WeightPolicy policy : {WeightPolicy::Keep, WeightPolicy::Q4, WeightPolicy::Q8,
                                WeightPolicy::F16, WeightPolicy::F32}) {
      CompileOptions options;
      options.weights = policy;
      assertOpens(compile(makeToyModel(name), options), 320);
    }
  }
}

void test_plan_every_source_type_opens(void **) {
  for (int type = 0; type <= static_cast<int>(SourceType::Q6_K); ++type)
    assertOpens(compile(makeToyModel("llama", static_cast<SourceType>(type))), 320);
}

void test_plan_mixed_layouts_open(void **) {
  ImportedModel model = makeToyModel("gemma3", SourceType::Q4_K);
  setTensor(model, "blk.0.attn_v.weight", SourceType::Q6_K, {16, 64});
  setTensor(model, "blk.1.ffn_up.weight", SourceType::F16, {96, 64});
  CompiledProgram program = compile(model);
  assertOpens(program, 320);
  assert_non_null(find(program, "blk.0.attn_qk.weight"));
  assert_non_null(find(program, "blk.0.attn_v.weight"));
  assert_non_null(find(program, "blk.1.attn_qkv.weight"));
  assert_non_null(find(program, "blk.1.ffn_up.weight"));
}

void test_plan_odd_sizes_open(void **) {
  // Heads of 8 rows do not fill panels, and 50 columns have no groups.
  ImportedModel model = makeToyModel("qwen3");
  for (auto &[name, tensor] : model.tensors) {
    for (int64_t &extent : tensor.shape)
      extent = extent == 96 ? 50 : extent;
    if (llvm::StringRef(name).contains("_norm.weight") && tensor.shape[0] == 16)
      tensor.shape[0] = 8;
  }
  model.config.ffnCount = 50;
  model.config.headDim = model.config.ropeDim = 8;
  model.config.qHeadCount = 3;
  model.config.kvHeadCount = 1;
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    setTensor(model, prefix + "attn_q.weight", SourceType::Q4_1, {24, 64});
    setTensor(model, prefix + "attn_k.weight", SourceType::Q4_1, {8, 64});
    setTensor(model, prefix + "attn_v.weight", SourceType::Q8_0, {8, 64});
    setTensor(model, prefix + "attn_output.weight", SourceType::F16, {64, 24});
  }
  CompiledProgram program = compile(model);
  assertOpens(program, 320);
  assert_int_equal(find(program, "blk.0.ffn_gate_up.weight")->rows(), 2 * 64);
  assert_int_equal(find(program, "blk.0.ffn_down.weight")->layout, LLMIR_LAYOUT_PANEL_F16);
  assert_int_equal(find(program, "blk.0.attn_qkv.weight")->layout, LLMIR_LAYOUT_PANEL_S8);
}

/// A model with rows of 64 columns, and of 512 in front of the product `down`.
ImportedModel makeWideModel(const char *architecture) {
  ImportedModel model = makeToyModel(architecture);
  model.config.ffnCount = 512;
  for (auto &[name, tensor] : model.tensors)
    for (int64_t &extent : tensor.shape)
      extent = extent == 96 ? 512 : extent;
  return model;
}

void test_plan_groups_follow_the_columns(void **) {
  for (const char *name : architectureNames)
    for (WeightPolicy policy : {WeightPolicy::Q4, WeightPolicy::Q8}) {
      CompileOptions options;
      options.weights = policy;
      const uint32_t dispatches = compile(makeWideModel(name), options).summary.dispatches;
      for (uint32_t group : {32u, 64u, 128u, 256u}) {
        options.group = group;
        CompiledProgram program = compile(makeWideModel(name), options);
        assertOpens(program, 320);
        assert_int_equal(find(program, "blk.1.ffn_down.weight")->group, group);
        for (const char *narrow :
             {"token_embd.weight", "blk.0.attn_qkv.weight", "blk.0.ffn_gate_up.weight"})
          assert_int_equal(find(program, narrow)->group, std::min(group, 64u));
        // All that read a value read the same quantized rows of it.
        assert_int_equal(program.summary.dispatches, dispatches);
      }
    }
}

void test_plan_groups_of_kept_weights_are_their_own(void **) {
  for (WeightPolicy policy : {WeightPolicy::Keep, WeightPolicy::F16, WeightPolicy::F32}) {
    CompileOptions options;
    options.weights = policy;
    options.group = 64;
    assertContains(errorOf(makeToyModel("llama"), options), "groups of 64 columns need");
  }
  CompileOptions options;
  options.weights = WeightPolicy::Q8;
  options.group = 512;
  assertContains(errorOf(makeToyModel("llama"), options), "found 512");
}

void test_plan_equal_models_give_equal_bytes(void **) {
  CompiledProgram a = compile(makeToyModel("gemma3")), b = compile(makeToyModel("gemma3"));
  assert_int_equal(a.plan.size(), b.plan.size());
  assert_memory_equal(a.plan.data(), b.plan.data(), a.plan.size());
}

void test_plan_output_matrix_is_used(void **) {
  ImportedModel model = makeToyModel("llama");
  setTensor(model, "output.weight", SourceType::Q8_0, {320, 64});
  CompiledProgram program = compile(model);
  assertOpens(program, 320);
  assert_non_null(find(program, "output.weight"));
}

void test_recipes_llama_permutes_queries_and_keys(void **) {
  CompiledProgram program = compile(makeToyModel("llama"));
  const TensorRecipe *qkv = find(program, "blk.1.attn_qkv.weight");
  assert_non_null(qkv);
  assert_int_equal(qkv->parts.size(), 3);
  assert_int_equal(static_cast<int>(qkv->how), static_cast<int>(TensorHow::ConcatRows));
  assert_string_equal(qkv->parts[1].name.c_str(), "blk.1.attn_k.weight");
  assert_int_equal(qkv->parts[0].ropeHeadDim, 16);
  assert_int_equal(qkv->parts[1].ropeDim, 16);
  assert_int_equal(qkv->parts[2].ropeHeadDim, 0);
  assert_int_equal(qkv->parts[0].rows + qkv->parts[1].rows + qkv->parts[2].rows, qkv->rows());
  // Other architectures have halves already.
  assert_int_equal(find(compile(makeToyModel("qwen3")), "blk.1.attn_qkv.weight")->parts[0].ropeDim,
                   0);
}

void test_recipes_biases_are_merged_and_permuted(void **) {
  ImportedModel model = makeToyModel("llama");
  for (const char *layer : {"blk.0.", "blk.1."}) {
    setTensor(model, std::string(layer) + "attn_q.bias", SourceType::F32, {64});
    setTensor(model, std::string(layer) + "attn_k.bias", SourceType::F32, {32});
    setTensor(model, std::string(layer) + "attn_v.bias", SourceType::F32, {32});
    setTensor(model, std::string(layer) + "attn_output.bias", SourceType::F32, {64});
  }
  CompiledProgram program = compile(model);
  assertOpens(program, 320);
  const TensorRecipe *bias = find(program, "blk.0.attn_qkv.bias");
  assert_non_null(bias);
  assert_int_equal(bias->columns(), 128);
  assert_int_equal(bias->parts[0].ropeHeadDim, 16);
  assert_int_equal(bias->parts[2].ropeHeadDim, 0);
  assert_non_null(find(program, "blk.0.attn_output.bias"));
}

void test_recipes_rope_source_row_is_a_permutation(void **) {
  TensorPart part;
  part.rows = 48;
  part.ropeHeadDim = 24;
  part.ropeDim = 16;
  std::vector<int> seen(part.rows);
  for (uint32_t row = 0; row < part.rows; ++row)
    ++seen[ropeSourceRow(part, row)];
  for (int count : seen)
    assert_int_equal(count, 1);
  assert_int_equal(ropeSourceRow(part, 24 + 1), 24 + 2);     // first half: even rows
  assert_int_equal(ropeSourceRow(part, 24 + 8 + 1), 24 + 3); // second half: odd rows
  assert_int_equal(ropeSourceRow(part, 24 + 20), 24 + 20);   // behind the rotated rows
}

std::vector<float> frequencies(const ImportedModel &model, const char *name = "rope_frequencies") {
  CompiledProgram program = compile(model);
  const TensorRecipe *recipe = find(program, name);
  assert_non_null(recipe);
  assert_int_equal(static_cast<int>(recipe->how), static_cast<int>(TensorHow::Constant));
  return recipe->constant;
}

void assertNear(double found, double expected) {
  if (std::fabs(found - expected) > 1e-6 * std::fabs(expected))
    fail_msg("found %.9g, expected %.9g", found, expected);
}

void test_rope_frequencies_follow_the_scaling(void **) {
  ImportedModel model = makeToyModel("llama");
  auto plain = [](int pair) { return std::pow(10000.0, -pair / 8.0); };
  assertNear(frequencies(model)[3], plain(3));

  model.config.ropeScaling = RopeScaling::Linear;
  model.config.ropeScaleFactor = 4.0;
  assertNear(frequencies(model)[3], plain(3) / 4.0);

  // Llama 3: short waves stay, long ones are slowed, those of 1 to 4 turns blended.
  auto blended = [](double frequency) {
    const double keep = (8192.0 * frequency / (2 * M_PI) - 1.0) / 3.0;
    return frequency * (keep >= 1.0 ? 1.0 : keep <= 0.0 ? 1 / 8.0 : keep + (1.0 - keep) / 8.0);
  };
  model.config.ropeScaling = RopeScaling::Llama3;
  model.config.ropeScaleFactor = 8.0;
  model.config.ropeOriginalContext = 8192.0;
  assertNear(frequencies(model)[0], plain(0));
  for (int pair : {5, 6, 7})
    assertNear(frequencies(model)[pair], blended(plain(pair)));

  // Factors of the file replace the rule.
  model.config.ropeFrequencyFactors.assign(8, 2.0f);
  assertNear(frequencies(model)[7], plain(7) / 2.0);
  model.config.ropeFrequencyFactors.clear();

  model.config.ropeScaling = RopeScaling::Yarn;
  model.config.ropeOriginalContext = 4096.0;
  assertNear(frequencies(model)[0], plain(0));
  assertNear(frequencies(model)[7], plain(7) / 8.0);
}

void test_rope_frequencies_of_window_layers_are_their_own(void **) {
  ImportedModel model = makeToyModel("gemma3");
  model.config.ropeScaling = RopeScaling::Linear;
  model.config.ropeScaleFactor = 8.0;
  assertNear(frequencies(model)[1], std::pow(1e6, -1 / 8.0) / 8.0);
  assertNear(frequencies(model, "rope_frequencies.window")[1], std::pow(1e4, -1 / 8.0));
}

void test_build_unknown_architecture_lists_the_known(void **) {
  ImportedModel model = makeToyModel("llama");
  model.config.architecture = "mamba";
  std::string error = errorOf(model);
  assertContains(error, "'mamba'");
  assertContains(error, "gemma3, llama, qwen2, qwen3");
}

void test_build_missing_tensor_is_named(void **) {
  for (const char *name : {"token_embd.weight", "output_norm.weight", "blk.1.attn_norm.weight",
                           "blk.0.attn_k.weight", "blk.1.ffn_down.weight"}) {
    ImportedModel model = makeToyModel("llama");
    model.tensors.erase(name);
    assertContains(errorOf(model), name);
  }
  ImportedModel qwen2 = makeToyModel("qwen2");
  qwen2.tensors.erase("blk.0.attn_v.bias");
  assertContains(errorOf(qwen2), "tensor 'blk.0.attn_v.bias' is missing");
}

void test_build_misshapen_tensor_is_named(void **) {
  ImportedModel model = makeToyModel("llama");
  setTensor(model, "blk.1.ffn_up.weight", SourceType::F16, {95, 64});
  std::string error = errorOf(model);
  assertContains(error, "blk.1");
  assertContains(error, "'blk.1.ffn_up.weight' has shape [95, 64], expected [96, 64]");
}

void test_build_unused_tensor_is_named(void **) {
  ImportedModel model = makeToyModel("llama");
  setTensor(model, "blk.0.attn_q_norm.weight", SourceType::F32, {16});
  assertContains(errorOf(model), "tensor 'blk.0.attn_q_norm.weight' is not known");
}

void test_build_impossible_numbers_are_refused(void **) {
  ImportedModel model = makeToyModel("llama");
  model.config.kvHeadCount = 3;
  assertContains(errorOf(model), "4 query heads are no multiple of 3 key/value heads");
  model = makeToyModel("llama");
  model.config.headDim = 12;
  assertContains(errorOf(model), "head size 12");
  model = makeToyModel("llama");
  model.config.layerCount = 0;
  assertContains(errorOf(model), "layers of 0");
  model = makeToyModel("llama");
  model.config.ropeFrequencyFactors.assign(3, 1.0f);
  assertContains(errorOf(model), "rope_freqs.weight");
}

void test_compile_dumps_and_reports_progress(void **) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  CompileOptions options;
  options.dumpAfter = {"build", "llmir-merge-qkv", "llmir-plan-buffers"};
  options.dumpStream = &stream;
  unsigned calls = 0, lastTotal = 0;
  options.progress = [&](llvm::StringRef, unsigned done, unsigned total) {
    assert_int_equal(done, calls++);
    lastTotal = total;
  };
  CompiledProgram program = compile(makeToyModel("llama"), options);
  assertContains(text, "// after build\n");
  assertContains(text, "// after llmir-merge-qkv\n");
  assertContains(text, "llmir_exec.program @forward");
  assert_int_equal(calls, lastTotal);
  assert_int_equal(pipelinePassNames().size(), calls + 1);
  assert_true(program.summary.activationBytes < program.summary.unplannedBytes);
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_plan_every_architecture_and_policy_opens),
      cmocka_unit_test(test_plan_every_source_type_opens),
      cmocka_unit_test(test_plan_mixed_layouts_open),
      cmocka_unit_test(test_plan_odd_sizes_open),
      cmocka_unit_test(test_plan_groups_follow_the_columns),
      cmocka_unit_test(test_plan_groups_of_kept_weights_are_their_own),
      cmocka_unit_test(test_plan_equal_models_give_equal_bytes),
      cmocka_unit_test(test_plan_output_matrix_is_used),
      cmocka_unit_test(test_recipes_llama_permutes_queries_and_keys),
      cmocka_unit_test(test_recipes_biases_are_merged_and_permuted),
      cmocka_unit_test(test_recipes_rope_source_row_is_a_permutation),
      cmocka_unit_test(test_rope_frequencies_follow_the_scaling),
      cmocka_unit_test(test_rope_frequencies_of_window_layers_are_their_own),
      cmocka_unit_test(test_build_unknown_architecture_lists_the_known),
      cmocka_unit_test(test_build_missing_tensor_is_named),
      cmocka_unit_test(test_build_misshapen_tensor_is_named),
      cmocka_unit_test(test_build_unused_tensor_is_named),
      cmocka_unit_test(test_build_impossible_numbers_are_refused),
      cmocka_unit_test(test_compile_dumps_and_reports_progress),
  };
  return cmocka_run_group_tests_name("plan_builder", tests, nullptr, nullptr);
}
