//===- ProbeStack.cpp - Frames that touch every page ----------------------===//
#include "KernelTarget.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace llmir::compiler {

void probeStack(Function &function, const TargetMachine &machine) {
  if (machine.getTargetTriple().getArch() != Triple::x86_64)
    return;
  function.addFnAttr("probe-stack", "inline-asm");
  // LLVM 19's probes count in r11. Where a function may return before it needs a frame, the frame
  // is made behind that return, and r11 may hold a value there: so it is needed at once.
  IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
  builder.CreateStore(builder.getInt8(0), builder.CreateAlloca(builder.getInt8Ty()),
                      /*isVolatile=*/true);
}

} // namespace llmir::compiler
