// Each reason why a function cannot be lowered, once.
// RUN: llmir-opt %s --llmir-form-dispatches --verify-diagnostics --split-input-file --allow-unregistered-dialect

// expected-error@+1 {{there is no function 'forward' to lower}}
module {
  func.func @backward() {
    return
  }
}

// -----

// expected-error@+1 {{forward takes tokens, positions, output rows and caches}}
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>) {
  return
}

// -----

// expected-error@+1 {{forward takes tokens, positions, output rows and caches}}
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %x: tensor<?x64xf32>) {
  return
}

// -----

// expected-error@+1 {{caches have no page size; run llmir-kv-blocking}}
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16>) {
  return
}

// -----

// expected-error@+1 {{forward is one block}}
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>) {
  "test.br"()[^next] : () -> ()
^next:
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.scale': no kernel does it, and no other operation takes it in}}
  %y = llmir.scale %x by 2.0 : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.soft_cap': no kernel does it, and no other operation takes it in}}
  %y = llmir.soft_cap %x at 2.0 : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.select_rows': no kernel does it, and no other operation takes it in}}
  %y = llmir.select_rows %x, %r : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.columns': no kernel does it, and no other operation takes it in}}
  %y = llmir.columns %x from 16 : tensor<?x64xf32> -> tensor<?x16xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.add': no kernel does it, and no other operation takes it in}}
  %y = llmir.add %x, %x : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.layer_norm': no kernel does it, and no other operation takes it in}}
  %y = llmir.layer_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.rms_norm': no kernel does it, and no other operation takes it in}}
  %y = llmir.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.moe_route': no kernel does it, and no other operation takes it in}}
  %y, %z = llmir.moe_route %x top 2 softmax : tensor<?x64xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.all_reduce': no kernel does it, and no other operation takes it in}}
  %y = llmir.all_reduce sum %x across "t" : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.all_gather': no kernel does it, and no other operation takes it in}}
  %y = llmir.all_gather %x across "t" of 2 : tensor<?x64xf32> -> tensor<?x128xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.send': no kernel does it, and no other operation takes it in}}
  llmir.send %x to 1 tag 0 across "s" : tensor<?x64xf32>
  return
}

// -----

func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  // expected-error@+1 {{cannot lower 'llmir.recv': no kernel does it, and no other operation takes it in}}
  %y = llmir.recv from 1 tag 0 across "s" : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %y = llmir.quantize %x : tensor<?x64xf32> -> !llmir.q8_rows<64, 32>
  // expected-error@+1 {{cannot lower 'llmir.dequantize': no kernel does it, and no other operation takes it in}}
  %z = llmir.dequantize %y : !llmir.q8_rows<64, 32> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  // expected-error@+1 {{cannot lower 'llmir.embed': kernels embed the tokens of the batch}}
  %x = llmir.embed %p, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @f : !llmir.qtensor<8, f32> plain [#llmir.part<"f", 8>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %f = llmir.weight @f : !llmir.qtensor<8, f32>
  // expected-error@+1 {{cannot lower 'llmir.rope_table': kernels rotate by the positions of the batch}}
  %tab = llmir.rope_table %r, %f : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.residual_norm': kernels select the output rows of the batch}}
  %y = llmir.residual_norm %x weight(%n : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%t : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %y = llmir.residual_norm %x weight(%n : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%r : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.residual_norm': kernels norm the rows of tokens}}
  %z = llmir.residual_norm %y weight(%n : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @w2 : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w2", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %w2 = llmir.weight @w2 : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.residual_norm': the residual is read after its update in place}}
  %u = llmir.residual_norm %x delta(%q : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  %z = llmir.linear %x, %w2 : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @w2 : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w2", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %w2 = llmir.weight @w2 : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.linear': the residual is read after its update in place}}
  %u = llmir.linear %q, %w2 add(%x : tensor<?x64xf32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %z = llmir.linear %x, %w2 : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @src : !llmir.qtensor<64x64, q4_1> plain [#llmir.part<"src", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %src = llmir.weight @src : !llmir.qtensor<64x64, q4_1>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.linear': its weight has no panel layout; run llmir-choose-weight-layouts}}
  %y = llmir.linear %x, %src : tensor<?x64xf32>, !llmir.qtensor<64x64, q4_1> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @q8 : !llmir.qtensor<64x64, panel_u4, 32> plain [#llmir.part<"q8", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %q8 = llmir.weight @q8 : !llmir.qtensor<64x64, panel_u4, 32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.linear': its input is not quantized; run llmir-quantize-activations}}
  %y = llmir.linear %x, %q8 : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_u4, 32> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %y = llmir.residual_norm %x weight(%n : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%r : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.linear': a sum has the rows of its product}}
  %z = llmir.linear %y, %w add(%x : tensor<?x64xf32>) : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': its cache is not made by llmir.append_kv}}
  %o = llmir.paged_attention %q, %kv, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  // expected-error@+1 {{cannot lower 'llmir.append_kv': several operations read its cache}}
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %q, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  %o2 = llmir.paged_attention %x, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': its operands are not made by products of their own}}
  %o = llmir.paged_attention %x, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k8 : !llmir.qtensor<8x64, panel_f16> plain [#llmir.part<"k8", 8>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x8, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k8 = llmir.weight @k8 : !llmir.qtensor<8x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k8 : tensor<?x64xf32>, !llmir.qtensor<8x64, panel_f16> -> tensor<?x8xf32>
  %vv = llmir.linear %x, %k8 : tensor<?x64xf32>, !llmir.qtensor<8x64, panel_f16> -> tensor<?x8xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x8, page = 16>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': its operands cannot lie side by side from multiples of 16 columns}}
  %o = llmir.paged_attention %q, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x8, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @f : !llmir.qtensor<8, f32> plain [#llmir.part<"f", 8>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %f = llmir.weight @f : !llmir.qtensor<8, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %tab = llmir.rope_table %p, %f : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  // expected-error@+1 {{cannot lower 'llmir.rope': kernels rotate halves; run llmir-permute-rope-rows}}
  %qr = llmir.rope %q, %tab head_dim 16 interleaved : tensor<?x64xf32>, tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %qr, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @f : !llmir.qtensor<8, f32> plain [#llmir.part<"f", 8>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %f = llmir.weight @f : !llmir.qtensor<8, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %tab = llmir.rope_table %p, %f : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  // expected-error@+1 {{cannot lower 'llmir.rope': it is no rotation of one attention's heads}}
  %qr = llmir.rope %q, %tab head_dim 32 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %qr, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  // expected-error@+1 {{cannot lower 'llmir.rms_norm': it is no norm of one attention's heads}}
  %qr = llmir.rms_norm %q, %n epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  %o = llmir.paged_attention %qr, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @hn : !llmir.qtensor<16, f32> plain [#llmir.part<"hn", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %hn = llmir.weight @hn : !llmir.qtensor<16, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vn = llmir.rms_norm %vv, %hn epsilon 1.0e-5 : tensor<?x16xf32>, !llmir.qtensor<16, f32>
  %c = llmir.append_kv %kv, %kk, %vn, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': values are neither rotated nor normed}}
  %o = llmir.paged_attention %q, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @f : !llmir.qtensor<8, f32> plain [#llmir.part<"f", 8>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %f = llmir.weight @f : !llmir.qtensor<8, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %tab = llmir.rope_table %p, %f : tensor<?xi32>, !llmir.qtensor<8, f32> -> tensor<?x16xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %qr = llmir.rope %q, %tab head_dim 16 halves : tensor<?x64xf32>, tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': query and key are not rotated and normed alike}}
  %o = llmir.paged_attention %qr, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
llmir.tensor @s : !llmir.qtensor<4, f32> plain [#llmir.part<"s", 4>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %s = llmir.weight @s : !llmir.qtensor<4, f32>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': no kernel has attention sinks}}
  %o = llmir.paged_attention %q, %c, %p sinks(%s : !llmir.qtensor<4, f32>) scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': no kernel attends to later tokens}}
  %o = llmir.paged_attention %q, %c, %p scale 0.25 bidirectional : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @k : !llmir.qtensor<16x64, panel_f16> plain [#llmir.part<"k", 16>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %k = llmir.weight @k : !llmir.qtensor<16x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %q = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %kk = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %vv = llmir.linear %x, %k : tensor<?x64xf32>, !llmir.qtensor<16x64, panel_f16> -> tensor<?x16xf32>
  %c = llmir.append_kv %kv, %kk, %vv, %p : !llmir.paged_kv<1x16, page = 16>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?xi32>
  // expected-error@+1 {{cannot lower 'llmir.paged_attention': kernels attend by the positions of the batch}}
  %o = llmir.paged_attention %q, %c, %r scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, page = 16>, tensor<?xi32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.gate': its operands are not made by products of their own}}
  %o = llmir.gate silu %x, %x : tensor<?x64xf32>
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
llmir.tensor @n : !llmir.qtensor<64, f32> plain [#llmir.part<"n", 64>]
llmir.tensor @w : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w", 64>]
llmir.tensor @w2 : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"w2", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %n = llmir.weight @n : !llmir.qtensor<64, f32>
  %w = llmir.weight @w : !llmir.qtensor<64x64, panel_f16>
  %w2 = llmir.weight @w2 : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %y = llmir.residual_norm %x weight(%n : !llmir.qtensor<64, f32>) epsilon 1.0e-5 rows(%r : tensor<?xi32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'llmir.linear': kernels write the rows of tokens side by side}}
  %g = llmir.linear %y, %w : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %u = llmir.linear %y, %w2 : tensor<?x64xf32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  %o = llmir.gate silu %g, %u : tensor<?x64xf32>
  return
}

// -----

func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{cannot lower 'func.return': forward returns the logits first}}
  return
}

// -----

llmir.tensor @e : !llmir.qtensor<64x64, panel_f16> plain [#llmir.part<"e", 64>]
func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %r: tensor<?xi32>, %kv: !llmir.paged_kv<1x16, page = 16>) -> tensor<?x64xf32> {
  %e = llmir.weight @e : !llmir.qtensor<64x64, panel_f16>
  %x = llmir.embed %t, %e : tensor<?xi32>, !llmir.qtensor<64x64, panel_f16> -> tensor<?x64xf32>
  // expected-error@+1 {{cannot lower 'func.return': the logits are not those of selected rows}}
  return %x : tensor<?x64xf32>
}
