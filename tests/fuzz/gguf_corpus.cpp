// Writes the seeds of fuzz_gguf into a folder: a small model of each architecture and encoding.
#include "GgufBuilder.h"
#include "llmir/Import/SourceTypes.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llmir::compiler;

static bool writeFile(const std::string &path, const std::vector<uint8_t> &bytes) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  stream.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  stream.close();
  if (!code && !stream.has_error())
    return true;
  llvm::errs() << "gguf_corpus: error: " << path << ": " << (code ? code : stream.error()).message()
               << '\n';
  stream.clear_error();
  return false;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    llvm::errs() << "usage: gguf_corpus FOLDER\n";
    return 2;
  }
  const std::string folder = argv[1];
  llvm::sys::fs::create_directories(folder);
  bool done = true;
  for (const char *architecture : {"gemma3", "llama", "qwen2", "qwen3"})
    done &=
        writeFile(folder + "/" + architecture + ".gguf", testing::tinyModel(architecture).build());
  for (const SourceTypeInfo &info : knownSourceTypes())
    done &= writeFile(folder + "/" + info.name + ".gguf",
                      testing::tinyModel("llama", info.type).build());
  return done ? 0 : 1;
}
