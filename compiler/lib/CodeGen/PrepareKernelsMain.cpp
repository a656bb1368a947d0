//===- PrepareKernelsMain.cpp - Build tool: bitcode of the kernels of one level -===//
//
//   llmir-prepare-kernels OUT.bc IN.bc...
//
// Links what clang made of each kernel source and makes it ready for specialisation, once, when
// llmirc is built.
//
//===----------------------------------------------------------------------===//
#include "KernelTarget.h"
#include "PrepareKernels.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace llmir::compiler;

static Expected<std::unique_ptr<Module>> readModule(StringRef path, LLVMContext &context) {
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError(buffer.getError(), path + ": " + buffer.getError().message());
  return parseBitcodeFile(**buffer, context);
}

static Error prepare(StringRef outPath, ArrayRef<char *> inPaths) {
  LLVMContext context;
  Module kernels("kernels", context);
  for (StringRef path : inPaths) {
    auto part = readModule(path, context);
    if (!part)
      return part.takeError();
    if (Linker::linkModules(kernels, std::move(*part)))
      return createStringError(inconvertibleErrorCode(), path + ": cannot be linked");
  }
  kernels.setSourceFileName("kernels");
  auto machine = targetMachineFor(kernels);
  if (!machine)
    return machine.takeError();
  if (Error error = prepareKernels(kernels, **machine))
    return error;

  std::error_code code;
  ToolOutputFile out(outPath, code, sys::fs::OF_None);
  if (code)
    return createStringError(code, outPath + ": " + code.message());
  WriteBitcodeToFile(kernels, out.os());
  out.keep();
  return Error::success();
}

int main(int argc, char **argv) {
  if (argc < 3) {
    errs() << "usage: llmir-prepare-kernels OUT.bc IN.bc...\n";
    return 2;
  }
  if (Error error = prepare(argv[1], ArrayRef<char *>(argv + 2, argv + argc))) {
    errs() << "llmir-prepare-kernels: error: " << toString(std::move(error)) << '\n';
    return 1;
  }
  return 0;
}
