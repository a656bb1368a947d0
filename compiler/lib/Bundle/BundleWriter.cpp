//===- BundleWriter.cpp - Sections to a bundle file -----------------------===//
//
// Sections are written and hashed as they come; header and table, which hold places and hashes, are
// written last into the room left for them. Then the file is flushed and renamed.
//
//===----------------------------------------------------------------------===//
#include "llmir/Bundle/BundleWriter.h"

#include "AtomicFile.h"
#include "Blake2b.h"

#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace llvm;
namespace llmir::compiler {

BundleHash hashBytes(ArrayRef<uint8_t> bytes) {
  Blake2b hash;
  hash.update(bytes);
  return hash.finish();
}

void BundleWriter::add(SectionKey key, std::vector<uint8_t> bytes) {
  addStream(key, [bytes = std::move(bytes)](Sink sink) { return sink(bytes); });
}

void BundleWriter::add(SectionKey key, StringRef text) {
  add(key, std::vector<uint8_t>(text.bytes_begin(), text.bytes_end()));
}

void BundleWriter::addStream(SectionKey key, Producer producer) {
  sections.push_back({key, std::move(producer)});
}

static uint64_t alignmentOf(llmir_section_kind_t kind) {
  return kind == LLMIR_SECTION_WEIGHTS ? LLMIR_BUNDLE_WEIGHTS_ALIGNMENT
                                       : LLMIR_BUNDLE_SECTION_ALIGNMENT;
}

/// Header and section table with the hash over both.
static std::vector<uint8_t> renderHead(const WrittenBundle &bundle) {
  llmir_bundle_header_t header = {};
  std::memcpy(header.magic, LLMIR_BUNDLE_MAGIC, sizeof(header.magic));
  header.format_major = header.reader_major = LLMIR_BUNDLE_FORMAT_MAJOR;
  header.format_minor = LLMIR_BUNDLE_FORMAT_MINOR;
  header.reader_minor = 0; // minor versions only add what old readers skip
  header.header_bytes = sizeof(header);
  header.section_count = static_cast<uint32_t>(bundle.sections.size());
  header.file_bytes = bundle.fileBytes;
  header.section_table_offset = sizeof(header);

  std::vector<uint8_t> head(sizeof(header) +
                            bundle.sections.size() * sizeof(llmir_bundle_section_t));
  uint8_t *at = head.data() + sizeof(header);
  for (const WrittenSection &section : bundle.sections) {
    llmir_bundle_section_t record = {};
    record.kind = section.key.kind;
    record.target = section.key.target;
    record.level = section.key.level;
    record.part = section.key.part;
    record.offset = section.offset;
    record.bytes = section.bytes;
    std::memcpy(record.hash, section.hash.data(), section.hash.size());
    std::memcpy(at, &record, sizeof(record));
    at += sizeof(record);
  }
  std::memcpy(head.data(), &header, sizeof(header)); // root_hash is zero while it is computed
  const BundleHash root = hashBytes(head);
  std::memcpy(header.root_hash, root.data(), root.size());
  std::memcpy(head.data(), &header, sizeof(header));
  return head;
}

Expected<WrittenBundle> BundleWriter::write(StringRef path, const ObjectFrame *frame) const {
  if (sections.size() > LLMIR_BUNDLE_MAX_SECTIONS)
    return createStringError(inconvertibleErrorCode(), path + ": " + Twine(sections.size()) +
                                                           " sections, expected at most " +
                                                           Twine(LLMIR_BUNDLE_MAX_SECTIONS));
  Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();

  WrittenBundle bundle;
  const uint64_t base = frame ? frame->dataOffset() : 0; // positions are those in the bundle
  uint64_t position =
      sizeof(llmir_bundle_header_t) + sections.size() * sizeof(llmir_bundle_section_t);
  if (Error error = file->appendZeros(base + position))
    return error;
  for (const Section &section : sections) {
    const uint64_t start = alignTo(position, alignmentOf(section.key.kind));
    if (Error error = file->appendZeros(start - position))
      return error;
    position = start;
    Blake2b hash;
    const auto sink = [&](ArrayRef<uint8_t> bytes) {
      hash.update(bytes);
      position += bytes.size();
      return file->append(bytes);
    };
    if (Error error = section.producer(sink))
      return error;
    bundle.sections.push_back({section.key, start, position - start, hash.finish()});
  }
  bundle.fileBytes = position;
  if (frame) {
    if (bundle.fileBytes > frame->mostBytes())
      return createStringError(inconvertibleErrorCode(),
                               path + ": a bundle of " + Twine(bundle.fileBytes) +
                                   " bytes, an object file for this processor holds at most " +
                                   Twine(frame->mostBytes()));
    if (Error error = file->append(frame->tail(bundle.fileBytes)))
      return error;
    if (Error error = file->overwriteAt(0, frame->head(bundle.fileBytes)))
      return error;
  }
  if (Error error = file->overwriteAt(base, renderHead(bundle)))
    return error;
  if (Error error = file->commit())
    return error;
  return bundle;
}

Error checkBundlePath(StringRef path) {
  return AtomicFile::create(path).takeError(); // its temporary file goes away with it
}

std::vector<uint8_t> renderModelSection(const ModelConfig &config, uint32_t contextCount,
                                        uint64_t parameterCount) {
  llmir_model_record_t record = {};
  record.record_bytes = sizeof(record);
  record.vocab_count = static_cast<uint32_t>(config.vocabCount);
  record.context_count = contextCount;
  record.embedding_count = static_cast<uint32_t>(config.embeddingCount);
  record.layer_count = static_cast<uint32_t>(config.layerCount);
  record.q_head_count = static_cast<uint32_t>(config.qHeadCount);
  record.kv_head_count = static_cast<uint32_t>(config.kvHeadCount);
  record.head_dim = static_cast<uint32_t>(config.headDim);
  record.ffn_count = static_cast<uint32_t>(config.ffnCount);
  record.parameter_count = parameterCount;
  record.name = {sizeof(record), static_cast<uint32_t>(config.name.size())};
  record.architecture = {record.name.offset + record.name.bytes,
                         static_cast<uint32_t>(config.architecture.size())};
  std::vector<uint8_t> bytes(sizeof(record));
  std::memcpy(bytes.data(), &record, sizeof(record));
  bytes.insert(bytes.end(), config.name.begin(), config.name.end());
  bytes.insert(bytes.end(), config.architecture.begin(), config.architecture.end());
  return bytes;
}

} // namespace llmir::compiler
