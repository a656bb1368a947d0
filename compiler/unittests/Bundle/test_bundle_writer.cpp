//===- test_bundle_writer.cpp - The file that the writer leaves, and when it leaves none ---===//
//
// What was written is checked field by field against the format; then every way to fail, after
// which the old file must be whole and no temporary file may be left.
//
//===----------------------------------------------------------------------===//
#include "llmir/Bundle/BundleWriter.h"

#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

using namespace llmir::compiler;

namespace {

/// A folder of its own, removed at the end.
struct Folder {
  std::string path;

  Folder() {
    llvm::SmallString<256> made;
    assert_false(bool(llvm::sys::fs::createUniqueDirectory("llmir-test-bundle", made)));
    path = std::string(made);
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }

  std::string file(const char *name) const { return path + "/" + name; }

  size_t fileCount() const {
    std::error_code code;
    size_t count = 0;
    for (llvm::sys::fs::directory_iterator it(path, code), end; it != end; it.increment(code))
      ++count;
    return count;
  }
};

std::vector<uint8_t> readFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false, /*IsVolatile=*/true);
  if (!buffer)
    fail_msg("%s: %s", path.c_str(), buffer.getError().message().c_str());
  return std::vector<uint8_t>((*buffer)->getBuffer().bytes_begin(),
                              (*buffer)->getBuffer().bytes_end());
}

void writeFile(const std::string &path, llvm::StringRef text) {
  std::error_code code;
  llvm::raw_fd_ostream(path, code) << text;
  assert_false(bool(code));
}

/// A bundle with sections of odd sizes; the weights come in three pieces.
BundleWriter exampleWriter() {
  BundleWriter writer;
  writer.add({LLMIR_SECTION_MODEL}, std::vector<uint8_t>(100, 1));
  writer.add({LLMIR_SECTION_CODE, LLMIR_SECTION_TARGET_CPU, LLMIR_CPU_LEVEL_X86_64_V3},
             std::vector<uint8_t>(65, 2));
  writer.addStream({LLMIR_SECTION_WEIGHTS}, [](BundleWriter::Sink sink) -> llvm::Error {
    for (uint8_t piece = 0; piece < 3; ++piece)
      if (llvm::Error error = sink(std::vector<uint8_t>(1000, piece)))
        return error;
    return llvm::Error::success();
  });
  writer.add({LLMIR_SECTION_REPORT}, llvm::StringRef("{}"));
  return writer;
}

WrittenBundle writeGood(const BundleWriter &writer, const std::string &path) {
  llvm::Expected<WrittenBundle> bundle = writer.write(path);
  if (!bundle)
    fail_msg("%s", llvm::toString(bundle.takeError()).c_str());
  return *bundle;
}

void assertFails(const BundleWriter &writer, const std::string &path, const char *piece) {
  llvm::Expected<WrittenBundle> bundle = writer.write(path);
  if (bundle)
    fail_msg("written, expected an error with '%s'", piece);
  const std::string message = llvm::toString(bundle.takeError());
  if (message.find(piece) == std::string::npos)
    fail_msg("'%s' does not contain '%s'", message.c_str(), piece);
}

void test_bundle_writer_follows_the_format(void **) {
  Folder folder;
  const std::string path = folder.file("a.llmir");
  const WrittenBundle bundle = writeGood(exampleWriter(), path);
  std::vector<uint8_t> bytes = readFile(path);
  llmir_bundle_header_t header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  assert_memory_equal(header.magic, LLMIR_BUNDLE_MAGIC, 8);
  assert_int_equal(header.format_major, LLMIR_BUNDLE_FORMAT_MAJOR);
  assert_int_equal(header.format_minor, LLMIR_BUNDLE_FORMAT_MINOR);
  assert_int_equal(header.reader_major, LLMIR_BUNDLE_FORMAT_MAJOR);
  assert_int_equal(header.header_bytes, sizeof(header));
  assert_int_equal(header.section_count, 4);
  assert_int_equal(header.file_bytes, bytes.size());
  assert_int_equal(header.section_table_offset, sizeof(header));
  assert_int_equal(bundle.fileBytes, bytes.size());

  static const struct {
    uint32_t kind, target, level;
    uint64_t bytes, alignment;
  } expected[] = {{LLMIR_SECTION_MODEL, 0, 0, 100, 64},
                  {LLMIR_SECTION_CODE, LLMIR_SECTION_TARGET_CPU, LLMIR_CPU_LEVEL_X86_64_V3, 65, 64},
                  {LLMIR_SECTION_WEIGHTS, 0, 0, 3000, 4096},
                  {LLMIR_SECTION_REPORT, 0, 0, 2, 64}};
  uint64_t end = sizeof(header) + 4 * sizeof(llmir_bundle_section_t);
  for (size_t i = 0; i < 4; ++i) {
    llmir_bundle_section_t section;
    std::memcpy(&section, bytes.data() + sizeof(header) + i * sizeof(section), sizeof(section));
    assert_int_equal(section.kind, expected[i].kind);
    assert_int_equal(section.target, expected[i].target);
    assert_int_equal(section.level, expected[i].level);
    assert_int_equal(section.part, 0);
    assert_int_equal(section.bytes, expected[i].bytes);
    assert_int_equal(section.offset % expected[i].alignment, 0);
    assert_true(section.offset >= end);
    for (; end < section.offset; ++end)
      assert_int_equal(bytes[end], 0);
    end += section.bytes;
    const BundleHash hash = hashBytes(llvm::ArrayRef(bytes).slice(section.offset, section.bytes));
    assert_memory_equal(section.hash, hash.data(), hash.size());
    assert_memory_equal(bundle.sections[i].hash.data(), hash.data(), hash.size());
    assert_int_equal(bundle.sections[i].offset, section.offset);
  }
  assert_int_equal(end, bytes.size());

  std::memset(bytes.data() + offsetof(llmir_bundle_header_t, root_hash), 0, 32);
  const BundleHash root = hashBytes(
      llvm::ArrayRef(bytes).take_front(sizeof(header) + 4 * sizeof(llmir_bundle_section_t)));
  assert_memory_equal(header.root_hash, root.data(), root.size());
}

void test_bundle_writer_hash_is_blake2b_256(void **) {
  // BLAKE2b with 32 bytes of output for "abc".
  static const uint8_t expected[32] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
                                       0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
                                       0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
                                       0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
  const BundleHash hash = hashBytes({'a', 'b', 'c'});
  assert_memory_equal(hash.data(), expected, sizeof(expected));
}

void test_bundle_writer_equal_sections_give_equal_bytes(void **) {
  Folder folder;
  writeGood(exampleWriter(), folder.file("a.llmir"));
  writeGood(exampleWriter(), folder.file("b.llmir"));
  assert_true(readFile(folder.file("a.llmir")) == readFile(folder.file("b.llmir")));
  writeGood(BundleWriter(), folder.file("empty.llmir"));
  assert_int_equal(readFile(folder.file("empty.llmir")).size(), sizeof(llmir_bundle_header_t));
}

void test_bundle_writer_replaces_the_old_file(void **) {
  Folder folder;
  const std::string path = folder.file("50%%.llmir"); // a name that templates would mangle
  writeFile(path, "old");
  auto old = llvm::MemoryBuffer::getFile(path); // somebody reads it meanwhile
  const WrittenBundle bundle = writeGood(exampleWriter(), path);
  assert_int_equal(readFile(path).size(), bundle.fileBytes);
  assert_true((*old)->getBuffer() == "old");
  assert_int_equal(folder.fileCount(), 1);
}

void test_bundle_writer_failing_section_keeps_the_old_file(void **) {
  Folder folder;
  const std::string path = folder.file("a.llmir");
  writeFile(path, "old");
  BundleWriter writer = exampleWriter();
  writer.addStream({LLMIR_SECTION_SELFTEST}, [](BundleWriter::Sink) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "no self-test today");
  });
  assertFails(writer, path, "no self-test today");
  assert_true(readFile(path) == std::vector<uint8_t>({'o', 'l', 'd'}));
  assert_int_equal(folder.fileCount(), 1);
}

/// The size limit of the process stands for a full disk: the write fails in the same place.
void test_bundle_writer_full_disk_keeps_the_old_file(void **) {
  Folder folder;
  const std::string path = folder.file("a.llmir");
  writeFile(path, "old");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (rlim_t limit : {0, 64, 128, 500, 4096, 6000, 7105}) {
    const rlimit low = {limit, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    llvm::Expected<WrittenBundle> bundle = exampleWriter().write(path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    if (bundle)
      fail_msg("written within %zu bytes", static_cast<size_t>(limit));
    const std::string message = llvm::toString(bundle.takeError());
    if (message != path + ": cannot write, the file was not changed: File too large")
      fail_msg("%s", message.c_str());
    assert_true(readFile(path) == std::vector<uint8_t>({'o', 'l', 'd'}));
    assert_int_equal(folder.fileCount(), 1);
  }
  signal(SIGXFSZ, SIG_DFL);
  writeGood(exampleWriter(), path);
}

void test_bundle_writer_impossible_places_fail(void **) {
  Folder folder;
  assertFails(exampleWriter(), folder.file("missing/a.llmir"), "cannot create a temporary file");
  assertFails(exampleWriter(), folder.path, "is not a regular file");
  if (llvm::sys::fs::exists("/dev/null"))
    assertFails(exampleWriter(), "/dev/null", "/dev/null: is not a regular file");
  assert_int_equal(folder.fileCount(), 0);
  BundleWriter writer;
  for (uint32_t i = 0; i <= LLMIR_BUNDLE_MAX_SECTIONS; ++i)
    writer.add({LLMIR_SECTION_REPORT}, llvm::StringRef());
  assertFails(writer, folder.file("a.llmir"), "4097 sections, expected at most 4096");
}

void test_bundle_writer_model_section_is_complete(void **) {
  ModelConfig config;
  config.name = "Name";
  config.architecture = "llama";
  config.vocabCount = 1;
  config.embeddingCount = 2;
  config.layerCount = 3;
  config.qHeadCount = 4;
  config.kvHeadCount = 5;
  config.headDim = 6;
  config.ffnCount = 7;
  const std::vector<uint8_t> bytes = renderModelSection(config, 8, uint64_t(1) << 33);
  llmir_model_record_t record;
  std::memcpy(&record, bytes.data(), sizeof(record));
  assert_int_equal(record.record_bytes, sizeof(record));
  assert_int_equal(record.vocab_count, 1);
  assert_int_equal(record.context_count, 8);
  assert_int_equal(record.embedding_count, 2);
  assert_int_equal(record.layer_count, 3);
  assert_int_equal(record.q_head_count, 4);
  assert_int_equal(record.kv_head_count, 5);
  assert_int_equal(record.head_dim, 6);
  assert_int_equal(record.ffn_count, 7);
  assert_true(record.parameter_count == uint64_t(1) << 33);
  assert_memory_equal(bytes.data() + record.name.offset, "Name", record.name.bytes);
  assert_memory_equal(bytes.data() + record.architecture.offset, "llama", 5);
  assert_int_equal(record.architecture.offset + record.architecture.bytes, bytes.size());
}

} // namespace

/// The object file around a bundle: what LLVM's own reader finds in it.
void test_bundle_writer_object_is_elf(void **) {
  Folder folder;
  BundleWriter writer;
  writer.add({LLMIR_SECTION_REPORT}, llvm::StringRef("{}"));
  for (const ObjectMachine &machine : objectMachines()) {
    for (const uint64_t largeBytes : {uint64_t(1) << 30, uint64_t(1)}) {
      const ObjectFrame frame(machine, symbolStem("a/my-model.v2.o"), largeBytes);
      const std::string path = folder.file("object.o");
      auto written = writer.write(path, &frame);
      assert_true(bool(written));
      auto object = llvm::object::ObjectFile::createObjectFile(path);
      assert_true(bool(object));
      assert_int_equal(object->getBinary()->getBytesInAddress(), machine.is64 ? 8 : 4);
      size_t found = 0;
      for (const llvm::object::SymbolRef &symbol : object->getBinary()->symbols()) {
        const llvm::StringRef name = llvm::cantFail(symbol.getName());
        const auto section = llvm::cantFail(symbol.getSection());
        const llvm::StringRef bytes = llvm::cantFail(section->getContents());
        if (name == "llmir_bundle_my_model_v2") {
          const bool isLarge = machine.name == "x86-64" && largeBytes == 1;
          assert_string_equal(llvm::cantFail(section->getName()).str().c_str(),
                              isLarge ? ".lrodata.llmir" : ".rodata.llmir");
          assert_int_equal(section->getAlignment().value(), LLMIR_BUNDLE_WEIGHTS_ALIGNMENT);
          assert_int_equal(bytes.size(), written->fileBytes);
          assert_memory_equal(bytes.data(), LLMIR_BUNDLE_MAGIC, 4);
          ++found;
        } else if (name == "llmir_bundle_my_model_v2_bytes") {
          uint64_t size = 0;
          assert_int_equal(bytes.size(), sizeof(size));
          std::memcpy(&size, bytes.data(), sizeof(size));
          assert_int_equal(size, written->fileBytes);
          ++found;
        }
      }
      assert_int_equal(found, 2);
    }
  }
  assert_null(findObjectMachine("vax"));
}

/// A comment cannot be ended by a model's name.
void test_bundle_writer_object_header_is_safe(void **) {
  const std::string header =
      ObjectFrame(*findObjectMachine("arm"), "m").header("A */ int x; /*", 4096);
  assert_true(header.find("A * / int x;") != std::string::npos);
  assert_true(header.find("extern const unsigned char llmir_bundle_m[];") != std::string::npos);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_bundle_writer_follows_the_format),
      cmocka_unit_test(test_bundle_writer_hash_is_blake2b_256),
      cmocka_unit_test(test_bundle_writer_equal_sections_give_equal_bytes),
      cmocka_unit_test(test_bundle_writer_replaces_the_old_file),
      cmocka_unit_test(test_bundle_writer_failing_section_keeps_the_old_file),
      cmocka_unit_test(test_bundle_writer_full_disk_keeps_the_old_file),
      cmocka_unit_test(test_bundle_writer_impossible_places_fail),
      cmocka_unit_test(test_bundle_writer_model_section_is_complete),
      cmocka_unit_test(test_bundle_writer_object_is_elf),
      cmocka_unit_test(test_bundle_writer_object_header_is_safe),
  };
  return cmocka_run_group_tests_name("bundle_writer", tests, nullptr, nullptr);
}
