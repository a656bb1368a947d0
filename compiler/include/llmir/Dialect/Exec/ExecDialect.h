//===- ExecDialect.h - The llmir_exec dialect -------------------------------------------------===//
#ifndef LLMIR_DIALECT_EXEC_EXECDIALECT_H
#define LLMIR_DIALECT_EXEC_EXECDIALECT_H

#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "llmir/Dialect/Exec/ExecEnums.h.inc"

#include "llmir/Dialect/Exec/ExecDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "llmir/Dialect/Exec/ExecTypes.h.inc"

#define GET_OP_CLASSES
#include "llmir/Dialect/Exec/ExecOps.h.inc"

#endif // LLMIR_DIALECT_EXEC_EXECDIALECT_H
