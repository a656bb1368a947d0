//===- BundleWriter.h - Sections to a bundle file -------------------------===//
//
// Collects the sections of a bundle and writes them in one go: header, section table, then the
// sections in the order in which they were added. The file appears at its place complete or not at
// all.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_BUNDLE_BUNDLEWRITER_H
#define LLMIR_BUNDLE_BUNDLEWRITER_H

#include "llmir/Bundle/ObjectFile.h"
#include "llmir/Import/ImportedModel.h"
#include "llmir_bundle.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <functional>
#include <vector>

namespace llmir::compiler {

using BundleHash = std::array<uint8_t, LLMIR_BUNDLE_HASH_BYTES>;

/// BLAKE2b-256, as all hashes of a bundle.
BundleHash hashBytes(llvm::ArrayRef<uint8_t> bytes);

/// What the section table says about a section beside its place.
struct SectionKey {
  llmir_section_kind_t kind = LLMIR_SECTION_MODEL;
  llmir_section_target_t target = LLMIR_SECTION_TARGET_ANY;
  uint32_t level = 0;
  uint32_t part = 0;
};

struct WrittenSection {
  SectionKey key;
  uint64_t offset = 0, bytes = 0;
  BundleHash hash = {};
};

struct WrittenBundle {
  uint64_t fileBytes = 0;
  std::vector<WrittenSection> sections;
};

class BundleWriter {
public:
  using Sink = llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t>)>;
  /// Hands a section's bytes to the sink, in pieces of any size.
  using Producer = std::function<llvm::Error(Sink)>;

  void add(SectionKey key, std::vector<uint8_t> bytes);
  void add(SectionKey key, llvm::StringRef text);

  /// A section whose bytes are made while the file is written: `producer` runs once, after the
  /// sections before it were written, so that a report may tell what packing the weights cost.
  void addStream(SectionKey key, Producer producer);

  /// Writes a temporary file beside `path`, flushes it to the disk and renames it. On any failure
  /// the temporary file is gone and what stood at `path` is untouched. Equal sections give equal
  /// bytes. With a frame the file is an object file with the bundle in it.
  llvm::Expected<WrittenBundle> write(llvm::StringRef path,
                                      const ObjectFrame *frame = nullptr) const;

private:
  struct Section {
    SectionKey key;
    Producer producer;
  };
  std::vector<Section> sections;
};

/// Whether a bundle could be written to `path`: known before the minutes that making it may take.
llvm::Error checkBundlePath(llvm::StringRef path);

/// The MODEL section. `contextCount` is that of the plan; `parameterCount` counts source elements.
std::vector<uint8_t> renderModelSection(const ModelConfig &config, uint32_t contextCount,
                                        uint64_t parameterCount);

} // namespace llmir::compiler

#endif // LLMIR_BUNDLE_BUNDLEWRITER_H
