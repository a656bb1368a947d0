//===- SharedObject.cpp - From an object to the image of a CODE section ---===//
//
// lld runs inside the process, over two temporary files (it knows no other input). The image is
// then cut behind its last segment: symbols and section headers serve nobody at run time.
//
//===----------------------------------------------------------------------===//
#include "SharedObject.h"
#include "TemporaryFile.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstring>

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace llmir::compiler {
namespace {

/// What an image may ask of the loader: segments and relative relocations, nothing else.
constexpr int64_t forbiddenTags[] = {ELF::DT_NEEDED, ELF::DT_JMPREL,     ELF::DT_INIT,
                                     ELF::DT_FINI,   ELF::DT_INIT_ARRAY, ELF::DT_FINI_ARRAY,
                                     ELF::DT_TEXTREL};

Error linkError(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), "linking kernels: " + message);
}

Error runLinker(StringRef input, StringRef output) {
  std::string in = input.str(), out = output.str(), messages;
  // No -z separate-code: it pads every segment to a page in the file. 65536 suits pages of 4, 16
  // and 64 KiB alike. rodynamic keeps even the dynamic table in a read-only segment.
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "-Bsymbolic",
                             "-z",
                             "norelro",
                             "-z",
                             "noexecstack",
                             "-z",
                             "rodynamic",
                             "-z",
                             "max-page-size=65536",
                             "--hash-style=sysv",
                             "--build-id=none",
                             "--no-undefined",
                             "--threads=1",
                             "-o",
                             out.c_str(),
                             in.c_str()};
  raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return linkError(StringRef(messages).trim().split('\n').first);
  return Error::success();
}

template <typename ELFT> Error checkDynamic(const object::ELFFile<ELFT> &file) {
  auto entries = file.dynamicEntries();
  if (!entries)
    return entries.takeError();
  for (const typename ELFT::Dyn &entry : *entries)
    if (is_contained(forbiddenTags, static_cast<int64_t>(entry.getTag())))
      return linkError("dynamic tag " + Twine(entry.getTag()) + " in the image");
  return Error::success();
}

/// Reads addresses and segment sizes; returns where the last segment ends in the file.
template <typename ELFT> Expected<uint64_t> readImage(MemoryBufferRef buffer, SharedObject &out) {
  auto parsed = object::ELFObjectFile<ELFT>::create(buffer);
  if (!parsed)
    return parsed.takeError();
  for (const object::ELFSymbolRef &symbol : parsed->symbols()) {
    auto name = symbol.getName();
    auto address = symbol.getAddress();
    if (!name)
      return name.takeError();
    if (!address)
      return address.takeError();
    if (symbol.getELFType() == ELF::STT_FUNC)
      out.functions[*name] = static_cast<uint32_t>(*address);
  }

  const object::ELFFile<ELFT> &file = parsed->getELFFile();
  if (Error error = checkDynamic(file))
    return error;
  auto segments = file.program_headers();
  if (!segments)
    return segments.takeError();
  uint64_t end = file.getHeader().e_phoff + file.getHeader().e_phnum * sizeof(typename ELFT::Phdr);
  for (const typename ELFT::Phdr &segment : *segments) {
    if (segment.p_type != ELF::PT_LOAD)
      continue;
    end = std::max<uint64_t>(end, segment.p_offset + segment.p_filesz);
    if (segment.p_flags & ELF::PF_X)
      out.codeBytes += segment.p_filesz;
  }
  return end;
}

template <typename ELFT> void dropSections(std::vector<uint8_t> &image, uint64_t end) {
  image.resize(end);
  typename ELFT::Ehdr header;
  std::memcpy(&header, image.data(), sizeof header);
  header.e_shoff = 0;
  header.e_shnum = 0;
  header.e_shentsize = 0;
  header.e_shstrndx = 0;
  std::memcpy(image.data(), &header, sizeof header);
}

template <typename ELFT>
Expected<SharedObject> takeImage(MemoryBufferRef buffer, bool keepSymbols) {
  SharedObject result;
  auto end = readImage<ELFT>(buffer, result);
  if (!end)
    return end.takeError();
  result.image.assign(buffer.getBufferStart(), buffer.getBufferEnd());
  if (!keepSymbols)
    dropSections<ELFT>(result.image, *end);
  return result;
}

} // namespace

Expected<SharedObject> linkSharedObject(ArrayRef<char> object, bool keepSymbols) {
  TemporaryFile input, output;
  if (Error error = input.create("o", object))
    return error;
  if (Error error = output.create("so", {}))
    return error;
  if (Error error = runLinker(input.path, output.path))
    return error;

  auto buffer = MemoryBuffer::getFile(output.path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return linkError(buffer.getError().message());
  const MemoryBufferRef image = (*buffer)->getMemBufferRef();
  return object::getElfArchType(image.getBuffer()).first == ELF::ELFCLASS32
             ? takeImage<object::ELF32LE>(image, keepSymbols)
             : takeImage<object::ELF64LE>(image, keepSymbols);
}

} // namespace llmir::compiler
