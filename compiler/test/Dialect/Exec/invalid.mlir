// Each verifier message once.
// RUN: llmir-opt %s --verify-diagnostics --split-input-file

// expected-error@+1 {{a buffer has from 1 to}}
func.func private @f(!llmir_exec.buffer<tokens, f32, 0>)

// -----

// expected-error@+1 {{f32 rows have no groups}}
func.func private @f(!llmir_exec.buffer<tokens, f32, 64, 32>)

// -----

// expected-error@+1 {{quantized rows have groups of 32, 64, 128 or 256 columns, found 0}}
func.func private @f(!llmir_exec.buffer<tokens, q8, 64>)

// -----

// expected-error@+1 {{48 columns are no multiple of the group of 32}}
func.func private @f(!llmir_exec.buffer<tokens, q8, 48, 32>)

// -----

// expected-error@+1 {{has pages of a multiple of 16 tokens from 16 to 256, found 24}}
llmir_exec.program @forward page_tokens 24 chunk_tokens 256 {
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

// expected-error@+1 {{has chunks of at least one token, found 0}}
llmir_exec.program @forward page_tokens 64 chunk_tokens 0 {
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

// expected-error@+1 {{has slots with and without output rows}}
llmir_exec.program @forward page_tokens 64 chunk_tokens 1 slots [64], [] {
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{does not belong in a program}}
  %r = llmir.recv from 0 tag 0 across "g" : tensor<?x64xf32>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has pages of 32 tokens in a program with 64}}
  %kv = llmir_exec.kv_layer : !llmir.paged_kv<1x16, page = 32>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has a slot in a program without slots}}
  %x = llmir_exec.buffer "x" slot 0 : !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 slots [128], [256] {
  // expected-error@+1 {{has no slot among the program's 1}}
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" slot 0 : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 slots [128], [256] {
  // expected-error@+1 {{has rows of 256 bytes in a slot of 128}}
  %x = llmir_exec.buffer "x" slot 0 : !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" slot 0 : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has no parameter 'rows' in kernel embed}}
  %v = llmir_exec.variant embed {rows = 1 : i32}
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has a parameter 'dim' that cannot be 1 : i64}}
  %v = llmir_exec.variant embed {dim = 1 : i64}
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has a parameter 'scale' that cannot be 1 : i32}}
  %v = llmir_exec.variant embed {scale = 1 : i32}
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has a parameter 'layout' that cannot be "panel_q4"}}
  %v = llmir_exec.variant embed {layout = "panel_q4"}
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  // expected-error@+1 {{has a parameter 'flags' that cannot be ["sub"]}}
  %v = llmir_exec.variant linear {flags = ["sub"]}
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<tokens, f32, 64>
  // expected-error@+1 {{expects logits of f32 output rows}}
  llmir_exec.return %l : !llmir_exec.buffer<tokens, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %q = llmir_exec.buffer "q" : !llmir_exec.buffer<tokens, q8, 64, 32>
  %v = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32}
  // expected-error@+1 {{has more operands than kernel quantize}}
  llmir_exec.dispatch %v(%x, %q, %x) : !llmir_exec.buffer<tokens, f32, 64>, !llmir_exec.buffer<tokens, q8, 64, 32>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %v = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32}
  // expected-error@+1 {{lacks operand 'out' of kernel quantize}}
  llmir_exec.dispatch %v(%x) : !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %v = llmir_exec.variant embed {dim = 64 : i32}
  // expected-error@+1 {{lacks operand 'weights' of kernel embed}}
  llmir_exec.dispatch %v(%x, %x) : !llmir_exec.buffer<tokens, f32, 64>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %v = llmir_exec.variant quantize {dim = 64 : i32, group = 32 : i32}
  // expected-error@+1 {{has operand 'out' of type '!llmir_exec.buffer<tokens, f32, 64>', which does not fit quantize}}
  llmir_exec.dispatch %v(%x, %x) : !llmir_exec.buffer<tokens, f32, 64>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %v = llmir_exec.variant norm {dim = 64 : i32, flags = ["add_delta", "no_output"]}
  // expected-error@+1 {{lacks operand 'delta' against the flags of norm}}
  llmir_exec.dispatch %v(%x) : !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<tokens, f32, 64>
  %v = llmir_exec.variant norm {dim = 64 : i32, flags = ["no_output"]}
  // expected-error@+1 {{has operand 'delta' against the flags of norm}}
  llmir_exec.dispatch %v(%x, %y) : !llmir_exec.buffer<tokens, f32, 64>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir.tensor @w : !llmir.qtensor<64x64, panel_f32> plain [#llmir.part<"w", 64>]
llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<tokens, f32, 64>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f32>
  %v = llmir_exec.variant linear {rows = 64 : i32, columns = 64 : i32, layout = "panel_f16", out_stride = 64 : i32}
  // expected-error@+1 {{has operand 'weights' of type '!llmir.qtensor<64x64, panel_f32>', which does not fit linear}}
  llmir_exec.dispatch %v(%x, %w, _, %y) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.qtensor<64x64, panel_f32>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir.tensor @w : !llmir.qtensor<64x64, panel_f32> plain [#llmir.part<"w", 64>]
llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<tokens, f32, 64>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f32>
  %v = llmir_exec.variant linear {rows = 64 : i32, columns = 64 : i32, layout = "panel_f32", out_column = 16 : i32, out_stride = 64 : i32}
  // expected-error@+1 {{writes columns 16 to 80 of 64; the first must be a multiple of 16}}
  llmir_exec.dispatch %v(%x, %w, _, %y) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.qtensor<64x64, panel_f32>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %kv = llmir_exec.kv_layer : !llmir.paged_kv<1x16, page = 64>
  %v = llmir_exec.variant qkv {q_heads = 4 : i32, kv_heads = 1 : i32, head_dim = 16 : i32, stride = 64 : i32}
  // expected-error@+1 {{has more heads than columns}}
  llmir_exec.dispatch %v(%x, _, _, _, %kv) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.paged_kv<1x16, page = 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %kv = llmir_exec.kv_layer : !llmir.paged_kv<1x16, page = 64>
  %v = llmir_exec.variant qkv {q_heads = 2 : i32, kv_heads = 1 : i32, head_dim = 8 : i32, stride = 64 : i32}
  // expected-error@+1 {{has operand 'kv_layer' of type '!llmir.paged_kv<1x16, page = 64>', which does not fit qkv}}
  llmir_exec.dispatch %v(%x, _, _, _, %kv) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.paged_kv<1x16, page = 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

llmir_exec.program @forward page_tokens 64 chunk_tokens 256 {
  %x = llmir_exec.buffer "x" : !llmir_exec.buffer<tokens, f32, 64>
  %y = llmir_exec.buffer "y" : !llmir_exec.buffer<tokens, f32, 64>
  %kv = llmir_exec.kv_layer : !llmir.paged_kv<1x16, page = 64>
  %v = llmir_exec.variant attention {q_heads = 3 : i32, kv_heads = 1 : i32, head_dim = 16 : i32, q_stride = 64 : i32, out_stride = 64 : i32}
  // expected-error@+1 {{has heads that do not fit the columns}}
  llmir_exec.dispatch %v(%x, %kv, %y) : !llmir_exec.buffer<tokens, f32, 64>, !llmir.paged_kv<1x16, page = 64>, !llmir_exec.buffer<tokens, f32, 64>
  %l = llmir_exec.buffer "l" : !llmir_exec.buffer<outputs, f32, 64>
  llmir_exec.return %l : !llmir_exec.buffer<outputs, f32, 64>
}

// -----

func.func @f(%v: !llmir_exec.variant, %x: !llmir_exec.buffer<tokens, f32, 64>) {
  // expected-error@+1 {{expects the result of llmir_exec.variant}}
  llmir_exec.dispatch %v(%x) : !llmir_exec.buffer<tokens, f32, 64>
  return
}

// -----

func.func @f(%x: !llmir_exec.buffer<tokens, f32, 64>) {
  %v = llmir_exec.variant gate {dim = 32 : i32}
  // expected-error@+1 {{expects one place for each operand}}
  "llmir_exec.dispatch"(%v, %x) <{places = array<i32>}> : (!llmir_exec.variant, !llmir_exec.buffer<tokens, f32, 64>) -> ()
  return
}
