//===- LLMIROps.td - All operations of the llmir dialect --------------------------------------===//
//
// The operations stand in one file a theme; this file only gathers them.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_OPS
#define LLMIR_DIALECT_LLMIR_OPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"
include "llmir/Dialect/LLMIR/LLMIRProjectionOps.td"
include "llmir/Dialect/LLMIR/LLMIRAttentionOps.td"
include "llmir/Dialect/LLMIR/LLMIRRowOps.td"
include "llmir/Dialect/LLMIR/LLMIRExpertOps.td"
include "llmir/Dialect/LLMIR/LLMIRCollectiveOps.td"

#endif // LLMIR_DIALECT_LLMIR_OPS
