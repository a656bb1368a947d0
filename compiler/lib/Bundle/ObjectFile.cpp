//===- ObjectFile.cpp - A bundle as an object file to link ----------------===//
//
//   ELF header | zeros up to the alignment of weights | bundle | size | symbols | names | section
//   headers
//
// System V ABI, chapters 4 and 5; 32-bit files have the same records with narrower words.
//
//===----------------------------------------------------------------------===//
#include "llmir/Bundle/ObjectFile.h"

#include "llmir_bundle.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;
namespace llmir::compiler {

static constexpr ObjectMachine machines[] = {
    {"x86-64", ELF::EM_X86_64, true, 0},
    {"aarch64", ELF::EM_AARCH64, true, 0},
    {"arm", ELF::EM_ARM, false, ELF::EF_ARM_EABI_VER5},
    {"riscv64", ELF::EM_RISCV, true, ELF::EF_RISCV_RVC | ELF::EF_RISCV_FLOAT_ABI_DOUBLE},
    {"riscv32", ELF::EM_RISCV, false, ELF::EF_RISCV_RVC},
};

ArrayRef<ObjectMachine> objectMachines() { return machines; }

const ObjectMachine *findObjectMachine(StringRef name) {
  const ObjectMachine *found =
      find_if(machines, [&](const ObjectMachine &machine) { return machine.name == name; });
  return found == std::end(machines) ? nullptr : found;
}

const ObjectMachine *hostObjectMachine() {
#if defined(__x86_64__) && defined(__ELF__)
  return findObjectMachine("x86-64");
#elif defined(__aarch64__) && defined(__ELF__)
  return findObjectMachine("aarch64");
#elif defined(__riscv) && __riscv_xlen == 64
  return findObjectMachine("riscv64");
#else
  return nullptr;
#endif
}

namespace {

/// Little-endian records; a word has 8 or 4 bytes.
class Records {
public:
  explicit Records(bool is64) : is64(is64) {}

  Records &u8(uint64_t value) { return put(value, 1); }
  Records &u16(uint64_t value) { return put(value, 2); }
  Records &u32(uint64_t value) { return put(value, 4); }
  Records &u64(uint64_t value) { return put(value, 8); }
  Records &word(uint64_t value) { return put(value, is64 ? 8 : 4); }
  Records &text(StringRef value) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    return *this;
  }
  Records &padTo(uint64_t size) {
    bytes.resize(size);
    return *this;
  }

  std::vector<uint8_t> bytes;

private:
  Records &put(uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }

  bool is64;
};

/// Names, each with its terminator, behind an empty one.
class Names {
public:
  uint32_t add(StringRef name) {
    const uint32_t at = static_cast<uint32_t>(text.size());
    text += name;
    text += '\0';
    return at;
  }
  std::string text = std::string(1, '\0');
};

struct SectionHeader {
  StringRef name;
  uint32_t type = 0;
  uint64_t flags = 0, offset = 0, bytes = 0;
  uint32_t link = 0, info = 0;
  uint64_t alignment = 0, entryBytes = 0;
};

enum SectionIndex {
  nullIndex,
  dataIndex,
  sizeIndex,
  symbolIndex,
  nameIndex,
  sectionNameIndex,
  stackIndex,
  sectionCount
};

constexpr uint64_t symbolCount = 3; // the empty one, the bundle, its size

} // namespace

/// Places behind the bundle, from the start of the file.
struct ObjectFrame::Layout {
  uint64_t size, symbols, names, sectionNames, sections;
};

ObjectFrame::ObjectFrame(const ObjectMachine &machine, StringRef stem, uint64_t largeBytes)
    : machine(machine), symbol(("llmir_bundle_" + stem).str()), largeBytes(largeBytes) {}

uint64_t ObjectFrame::dataOffset() const { return LLMIR_BUNDLE_WEIGHTS_ALIGNMENT; }

uint64_t ObjectFrame::mostBytes() const {
  return machine.is64 ? 1ull << 47 : (1ull << 31) - dataOffset() - (1u << 16);
}

std::string ObjectFrame::dataSection(uint64_t bytes) const {
  const bool isLarge = machine.machine == ELF::EM_X86_64 && bytes >= largeBytes;
  return isLarge ? ".lrodata.llmir" : ".rodata.llmir";
}

/// Names of sections in the order of SectionIndex.
static std::vector<std::string> sectionNames(StringRef data) {
  return {"",        data.str(),  ".rodata.llmir_bytes", ".symtab",
          ".strtab", ".shstrtab", ".note.GNU-stack"};
}

ObjectFrame::Layout ObjectFrame::layoutOf(uint64_t bytes) const {
  const uint64_t symbolBytes = machine.is64 ? 24 : 16;
  uint64_t sectionNameBytes = 0;
  for (const std::string &name : sectionNames(dataSection(bytes)))
    sectionNameBytes += name.size() + 1;
  Layout layout;
  layout.size = alignTo(dataOffset() + bytes, 8);
  layout.symbols = layout.size + 8;
  layout.names = layout.symbols + symbolCount * symbolBytes;
  layout.sectionNames = layout.names + 1 + (symbol.size() + 1) + (symbol.size() + 7);
  layout.sections = alignTo(layout.sectionNames + sectionNameBytes, 8);
  return layout;
}

std::vector<uint8_t> ObjectFrame::head(uint64_t bytes) const {
  Records out(machine.is64);
  out.text(StringRef("\x7f"
                     "ELF"));
  out.u8(machine.is64 ? ELF::ELFCLASS64 : ELF::ELFCLASS32).u8(ELF::ELFDATA2LSB).u8(ELF::EV_CURRENT);
  out.padTo(ELF::EI_NIDENT);
  out.u16(ELF::ET_REL).u16(machine.machine).u32(ELF::EV_CURRENT);
  out.word(0).word(0).word(layoutOf(bytes).sections).u32(machine.flags);
  out.u16(machine.is64 ? 64 : 52).u16(0).u16(0); // this header, no program headers
  out.u16(machine.is64 ? 64 : 40).u16(sectionCount).u16(sectionNameIndex);
  return out.padTo(dataOffset()).bytes;
}

std::vector<uint8_t> ObjectFrame::tail(uint64_t bytes) const {
  const Layout layout = layoutOf(bytes);
  const uint64_t begin = dataOffset() + bytes;
  Records out(machine.is64);
  out.padTo(layout.size - begin).u64(bytes);

  Names names;
  const auto addSymbol = [&](StringRef name, uint64_t size, unsigned section) {
    const uint32_t at = name.empty() ? 0 : names.add(name);
    const unsigned info = name.empty() ? 0 : ELF::STB_GLOBAL << 4 | ELF::STT_OBJECT;
    const unsigned other = name.empty() ? 0 : ELF::STV_HIDDEN;
    if (machine.is64)
      out.u32(at).u8(info).u8(other).u16(section).u64(0).u64(size);
    else
      out.u32(at).u32(0).u32(size).u8(info).u8(other).u16(section);
  };
  addSymbol("", 0, nullIndex);
  addSymbol(symbol, bytes, dataIndex);
  addSymbol(symbol + "_bytes", 8, sizeIndex);
  out.text(names.text);

  const std::string data = dataSection(bytes);
  const std::vector<std::string> titles = sectionNames(data);
  Names sectionText;
  std::vector<uint32_t> titleAt(1, 0);
  for (size_t i = 1; i < titles.size(); ++i)
    titleAt.push_back(sectionText.add(titles[i]));
  out.text(sectionText.text).padTo(layout.sections - begin);

  const uint64_t dataFlags =
      ELF::SHF_ALLOC |
      (data.front() == '.' && data[1] == 'l' ? uint64_t(ELF::SHF_X86_64_LARGE) : 0);
  const SectionHeader headers[sectionCount] = {
      {},
      {"", ELF::SHT_PROGBITS, dataFlags, dataOffset(), bytes, 0, 0, LLMIR_BUNDLE_WEIGHTS_ALIGNMENT,
       0},
      {"", ELF::SHT_PROGBITS, ELF::SHF_ALLOC, layout.size, 8, 0, 0, 8, 0},
      {"", ELF::SHT_SYMTAB, 0, layout.symbols, layout.names - layout.symbols, nameIndex, 1, 8,
       machine.is64 ? 24u : 16u},
      {"", ELF::SHT_STRTAB, 0, layout.names, names.text.size(), 0, 0, 1, 0},
      {"", ELF::SHT_STRTAB, 0, layout.sectionNames, sectionText.text.size(), 0, 0, 1, 0},
      {"", ELF::SHT_PROGBITS, 0, layout.sections, 0, 0, 0, 1, 0}, // no executable stack
  };
  for (unsigned i = 0; i < sectionCount; ++i) {
    const SectionHeader &h = headers[i];
    out.u32(titleAt[i]).u32(h.type).word(h.flags).word(0).word(h.offset).word(h.bytes);
    out.u32(h.link).u32(h.info).word(h.alignment).word(h.entryBytes);
  }
  return out.bytes;
}

std::string ObjectFrame::header(StringRef about, uint64_t arenaBytes) const {
  const std::string guard = StringRef(symbol).upper() + "_H";
  std::string comment = about.str();
  for (size_t at = 0; (at = comment.find("*/", at)) != std::string::npos;)
    comment.replace(at, 2, "* /");
  return formatv("/* {0}\n"
                 " *\n"
                 " * The bundle is in the object file of the same name; link it and load it where "
                 "it is:\n"
                 " *   llmir_model_load_memory(runtime, {1}, (size_t){1}_bytes, NULL, &model, "
                 "&error) */\n"
                 "#ifndef {2}\n"
                 "#define {2}\n"
                 "\n"
                 "#include <stdint.h>\n"
                 "\n"
                 "#ifdef __cplusplus\n"
                 "extern \"C\" {{\n"
                 "#endif\n"
                 "\n"
                 "/* All that a runtime of one thread, the model and one session with default options "
                 "take from an\n"
                 " * allocator that hands out one array from front to back. */\n"
                 "#define {3}_ARENA_BYTES {4}\n"
                 "\n"
                 "extern const unsigned char {1}[];\n"
                 "extern const uint64_t {1}_bytes;\n"
                 "\n"
                 "#ifdef __cplusplus\n"
                 "}\n"
                 "#endif\n"
                 "\n"
                 "#endif /* {2} */\n",
                 comment, symbol, guard, StringRef(symbol).upper(), arenaBytes)
      .str();
}

std::string symbolStem(StringRef path) {
  std::string stem = sys::path::stem(path).str();
  for (char &c : stem)
    if (!isAlnum(c))
      c = '_';
  return stem;
}

} // namespace llmir::compiler
