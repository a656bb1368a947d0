//===- test_cpu_codegen.cpp - Specialised kernels against the built-in ones -===//
//
// Compiles random-input cases of every kernel for each level, loads the image with the runtime's
// own loader, and compares all bytes that the kernels write with those of the kernels built into
// the runtime. Levels that this processor lacks are compiled and inspected, not run.
//
//===----------------------------------------------------------------------===//
#include "KernelCases.h"
#include "targets/cpu/kernels/fingerprint.h"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/Support/raw_ostream.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstring>

extern "C" {
#include "targets/cpu/cpu_elf.h"
#include "targets/cpu/cpu_level.h"

#include <cmocka.h>
}

using namespace llvm;
using namespace llmir::compiler;

namespace {

constexpr uint32_t seeds[] = {1, 2, 3};

/// The levels of this machine's processor, or those of all others.
std::vector<const CpuLevel *> levelsOf(bool isHost) {
  std::vector<const CpuLevel *> levels;
  for (const CpuLevel &level : cpuLevels())
    if ((level.processor == "x86-64") == isHost)
      levels.push_back(&level);
  return levels;
}

std::vector<KernelVariant> variantsOf(const std::vector<KernelCase> &cases) {
  std::vector<KernelVariant> variants;
  for (const KernelCase &kernelCase : cases)
    variants.push_back(kernelCase.variant);
  return variants;
}

std::vector<CpuCode> compile(ArrayRef<KernelVariant> variants, const CpuCodeOptions &options = {},
                             bool isHost = true) {
  auto codes = compileCpuCode(variants, levelsOf(isHost), options);
  if (!codes)
    fail_msg("%s", toString(codes.takeError()).c_str());
  return std::move(*codes);
}

/// What the tests share: it takes seconds to compile, so it is done once.
struct Fixture {
  std::vector<KernelCase> cases = makeKernelCases(seeds[0]);
  std::vector<CpuCode> codes = compile(variantsOf(cases));
};

int setUp(void **state) {
  *state = new Fixture;
  return 0;
}

int tearDown(void **state) {
  delete static_cast<Fixture *>(*state);
  return 0;
}

const Fixture &fixture(void **state) { return *static_cast<Fixture *>(*state); }

const llmir_cpu_kernel_table_t *builtIn(uint32_t level) {
  for (uint32_t i = 0; i < llmir_cpu_kernel_table_count; ++i)
    if (llmir_cpu_kernel_tables[i]->level == level)
      return llmir_cpu_kernel_tables[i];
  return nullptr;
}

/// Runs every case by both kernels and compares every byte.
void compareLevel(const CpuCode &code, const std::vector<KernelCase> &cases) {
  const llmir_cpu_kernel_table_t *table = builtIn(code.level);
  assert_non_null(table);
  llmir_elf_image_t image = {};
  llmir_error_t error = {};
  assert_int_equal(
      llmir_elf_load(code.image.data(), code.image.size(), llmir_elf_native_abi(), &image, &error),
      LLMIR_STATUS_OK);
  for (size_t i = 0; i < cases.size(); ++i) {
    assert_true(llmir_elf_has_code(&image, code.entries[i]));
    auto special = reinterpret_cast<llmir_cpu_kernel_fn>(image.pages + code.entries[i]);
    std::vector<uint8_t> expected = runKernel(cases[i], table->run[cases[i].variant.kernel]);
    std::vector<uint8_t> found = runKernel(cases[i], special);
    auto [a, b] = std::mismatch(expected.begin(), expected.end(), found.begin());
    if (a != expected.end())
      fail_msg("level %x, %s: byte %td is %u, expected %u", code.level, cases[i].name.c_str(),
               a - expected.begin(), *b, *a);
  }
  llmir_elf_unload(&image);
}

void test_cpu_codegen_random_inputs_give_the_bits_of_built_in_kernels(void **state) {
  unsigned compared = 0;
  for (const CpuCode &code : fixture(state).codes) {
    if (!llmir_cpu_level_is_supported(code.level)) {
      print_message("level %x is not supported here: not run\n", code.level);
      continue;
    }
    for (uint32_t seed : seeds)
      compareLevel(code, makeKernelCases(seed));
    ++compared;
  }
  assert_int_not_equal(compared, 0);
}

/// A case that a wrong image must not pass: kernels do write something.
void test_cpu_codegen_cases_change_memory(void **state) {
  const llmir_cpu_kernel_table_t *table = llmir_cpu_level_choose(0);
  auto idle = [](const llmir_cpu_call_t *, const void *, uint32_t, uint32_t) {};
  for (const KernelCase &kernelCase : fixture(state).cases)
    if (runKernel(kernelCase, table->run[kernelCase.variant.kernel]) == runKernel(kernelCase, idle))
      fail_msg("%s: nothing was written", kernelCase.name.c_str());
}

void test_cpu_codegen_image_has_no_imports_and_no_writable_code(void **state) {
  for (const CpuCode &code : fixture(state).codes) {
    StringRef bytes(reinterpret_cast<const char *>(code.image.data()), code.image.size());
    auto file = object::ELF64LEFile::create(bytes);
    assert_true(static_cast<bool>(file));
    assert_int_equal(file->getHeader().e_shnum, 0);
    for (const auto &segment : cantFail(file->program_headers())) {
      if (segment.p_type != ELF::PT_LOAD)
        continue;
      assert_int_equal(segment.p_flags & ELF::PF_W, 0); // constants only, all position-independent
      assert_true(segment.p_offset + segment.p_filesz <= code.image.size());
    }
    for (const auto &entry : cantFail(file->dynamicEntries())) {
      assert_int_not_equal(entry.getTag(), ELF::DT_NEEDED);
      assert_int_not_equal(entry.getTag(), ELF::DT_RELA);
      assert_int_not_equal(entry.getTag(), ELF::DT_JMPREL);
    }
  }
}

/// x86-64 subtracts 32-bit numbers from the stack pointer with 48 81 EC: never more than a page,
/// and a page is written to at once (48 C7 04 24, a number: movq to (%rsp)).
void test_cpu_codegen_large_frames_touch_every_page(void **state) {
  if (levelsOf(true).front()->processor != "x86-64")
    skip();
  for (const CpuCode &code : fixture(state).codes) {
    size_t probes = 0;
    for (size_t i = 0; i + 11 <= code.image.size(); ++i) {
      const uint8_t *at = code.image.data() + i;
      if (at[0] != 0x48 || at[1] != 0x81 || at[2] != 0xec)
        continue;
      const uint32_t bytes = support::endian::read32le(at + 3);
      assert_in_range(bytes, 1, 4096);
      if (bytes == 4096) {
        assert_memory_equal(at + 7, "\x48\xc7\x04\x24", 4);
        ++probes;
      }
    }
    assert_int_not_equal(probes, 0);
  }
}

/// Class, machine, and that the loader has nothing to do but to map segments.
template <typename ELFT> void checkForeignImage(const CpuCode &code, unsigned machine) {
  StringRef bytes(reinterpret_cast<const char *>(code.image.data()), code.image.size());
  auto file = object::ELFFile<ELFT>::create(bytes);
  assert_true(static_cast<bool>(file));
  assert_int_equal(file->getHeader().e_machine, machine);
  for (const auto &segment : cantFail(file->program_headers()))
    assert_true(segment.p_type != ELF::PT_LOAD || (segment.p_flags & ELF::PF_W) == 0);
  for (const auto &entry : cantFail(file->dynamicEntries()))
    assert_false(entry.getTag() == ELF::DT_NEEDED || entry.getTag() == ELF::DT_RELA ||
                 entry.getTag() == ELF::DT_REL || entry.getTag() == ELF::DT_JMPREL);
}

/// Code for other processors is made here and run under emulators: tests/e2e/check_processors.py.
void test_cpu_codegen_other_processors_get_images_of_theirs(void **state) {
  if (levelsOf(/*isHost=*/false).empty())
    skip(); // LLMIR_KERNEL_PROCESSORS left them out
  std::vector<KernelVariant> variants;
  for (size_t i = 0; i < fixture(state).cases.size(); i += 6) // some of each kernel
    variants.push_back(fixture(state).cases[i].variant);
  std::vector<CpuCode> codes = compile(variants, {}, /*isHost=*/false);
  assert_int_equal(codes.size(), levelsOf(/*isHost=*/false).size());
  for (const CpuCode &code : codes) {
    if (code.level == LLMIR_CPU_LEVEL_ARMV7_NEON)
      checkForeignImage<object::ELF32LE>(code, ELF::EM_ARM);
    else
      checkForeignImage<object::ELF64LE>(
          code, code.level == LLMIR_CPU_LEVEL_RV64GCV ? ELF::EM_RISCV : ELF::EM_AARCH64);
  }
}

void test_cpu_codegen_section_follows_the_format(void **state) {
  (void)state;
  std::vector<KernelCase> cases = makeKernelCases(seeds[0]);
  cases.resize(3);
  CpuCodeOptions options;
  options.planHash.fill(0xa5);
  for (const CpuCode &code : compile(variantsOf(cases), options)) {
    llmir_code_record_t record;
    std::memcpy(&record, code.section.data(), sizeof record);
    assert_int_equal(record.record_bytes, sizeof record);
    assert_int_equal(record.kernel_abi_version, LLMIR_KERNEL_ABI_VERSION);
    assert_int_equal(record.kernel_fingerprint, llmir_kernel_fingerprint());
    assert_int_equal(record.entry_count, 3);
    assert_memory_equal(code.section.data() + record.entry_offset, code.entries.data(), 12);
    assert_int_equal(record.image_offset % LLMIR_BUNDLE_SECTION_ALIGNMENT, 0);
    assert_int_equal(record.image_offset + record.image_bytes, code.section.size());
    assert_memory_equal(code.section.data() + record.image_offset,
                        "\x7f"
                        "ELF",
                        4);
    assert_memory_equal(record.plan_hash, options.planHash.data(), sizeof record.plan_hash);
  }
}

void test_cpu_codegen_equal_variants_share_a_function(void **state) {
  std::vector<KernelVariant> variants(3, fixture(state).cases[0].variant);
  variants[1] = fixture(state).cases[1].variant;
  for (const CpuCode &code : compile(variants)) {
    assert_int_equal(code.functions, 2);
    assert_int_equal(code.entries[0], code.entries[2]);
    assert_int_not_equal(code.entries[0], code.entries[1]);
  }
}

void test_cpu_codegen_two_runs_give_equal_bytes(void **state) {
  std::vector<KernelVariant> variants;
  for (size_t i = 0; i < fixture(state).cases.size(); i += 6) // some of each kernel
    variants.push_back(fixture(state).cases[i].variant);
  std::vector<CpuCode> once = compile(variants), again = compile(variants);
  for (size_t i = 0; i < again.size(); ++i)
    assert_true(again[i].section == once[i].section);
}

void test_cpu_codegen_bad_variant_is_an_error(void **state) {
  KernelVariant shortened = fixture(state).cases[0].variant, unknown = shortened;
  shortened.params.pop_back();
  unknown.kernel = LLMIR_KERNEL_COUNT;
  for (const KernelVariant &variant : {shortened, unknown}) {
    auto codes = compileCpuCode(variant, levelsOf(true), {});
    assert_false(static_cast<bool>(codes));
    assert_non_null(std::strstr(toString(codes.takeError()).c_str(), "variant 0"));
  }
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_cpu_codegen_random_inputs_give_the_bits_of_built_in_kernels),
      cmocka_unit_test(test_cpu_codegen_cases_change_memory),
      cmocka_unit_test(test_cpu_codegen_image_has_no_imports_and_no_writable_code),
      cmocka_unit_test(test_cpu_codegen_large_frames_touch_every_page),
      cmocka_unit_test(test_cpu_codegen_other_processors_get_images_of_theirs),
      cmocka_unit_test(test_cpu_codegen_section_follows_the_format),
      cmocka_unit_test(test_cpu_codegen_equal_variants_share_a_function),
      cmocka_unit_test(test_cpu_codegen_two_runs_give_equal_bytes),
      cmocka_unit_test(test_cpu_codegen_bad_variant_is_an_error),
  };
  return cmocka_run_group_tests_name("cpu_codegen", tests, setUp, tearDown);
}
