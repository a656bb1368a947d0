// RUN: llmir-opt %s --pass-pipeline='builtin.module(llmir_exec.program(llmir-plan-buffers))' --split-input-file --verify-diagnostics | FileCheck %s
// RUN: llmir-opt %s --pass-pipeline='builtin.module(llmir_exec.program(llmir-plan-buffers{outputs=256}))' --split-input-file 2>&1 | FileCheck %s --check-prefix=MANY
// RUN: not llmir-opt %s --pass-pipeline='builtin.module(llmir_exec.program(llmir-plan-buffers{outputs=-1}))' --split-input-file 2>&1 | FileCheck %s --check-prefix=WRONG

// WRONG: error: a count of output rows is not negative, found -1

// a -> b -> c -> logits: a and c are never alive together; the logits live to the end.
// MANY: remark: activations: 786432 bytes for 256 tokens and 256 output rows, in 2 slots (4 buffers, 1146880 bytes without sharing)
// CHECK: llmir_exec.program @chain page_tokens 64 chunk_tokens 256 slots [1024, 1024], [2048, 0] {
// expected-remark@+1 {{activations: 524288 bytes for 256 tokens and 1 output rows, in 2 slots (4 buffers, 624640 bytes without sharing)}}
llmir_exec.program @chain page_tokens 64 chunk_tokens 256 {
  // CHECK: buffer "a" slot 0 : <tokens, f32, 256>
  %a = llmir_exec.buffer "a" : !llmir_exec.buffer<tokens, f32, 256>
  // CHECK: buffer "b" slot 1 : <tokens, f32, 256>
  %b = llmir_exec.buffer "b" : !llmir_exec.buffer<tokens, f32, 256>
  // CHECK: buffer "c" slot 0 : <tokens, q8, 256, 32>
  %c = llmir_exec.buffer "c" : !llmir_exec.buffer<tokens, q8, 256, 32>
  // CHECK: buffer "logits" slot
  %l = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 512>
  %n = llmir_exec.variant norm {dim = 256 : i32, flags = ["add_delta", "no_output"]}
  %q = llmir_exec.variant quantize {dim = 256 : i32, group = 32 : i32}
  llmir_exec.dispatch %n(%a, %b) : !llmir_exec.buffer<tokens, f32, 256>, !llmir_exec.buffer<tokens, f32, 256>
  llmir_exec.dispatch %q(%b, %c) : !llmir_exec.buffer<tokens, f32, 256>, !llmir_exec.buffer<tokens, q8, 256, 32>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 512>
}

// -----

// An input and the output of one dispatch never share.
// CHECK: llmir_exec.program @one_dispatch
// CHECK-SAME: slots [256, 192], [64, 0]
// expected-remark@+1 {{in 2 slots}}
llmir_exec.program @one_dispatch page_tokens 64 chunk_tokens 1 {
  // CHECK: buffer "x" slot 0
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  // CHECK: buffer "y" slot 1
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<tokens, q8, 64, 32>
  %l = llmir_exec.buffer "logits" : !llmir_exec.buffer<outputs, f32, 16>
  %q = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32}
  llmir_exec.dispatch %q(%x, %y) : !llmir_exec.buffer<tokens, f32, 64>, !llmir_exec.buffer<tokens, q8, 64, 32>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 16>
}
