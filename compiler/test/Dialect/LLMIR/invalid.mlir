// Each verifier message once.
// RUN: llmir-opt %s --verify-diagnostics --split-input-file

// expected-error@+1 {{a weight has 1 to 3 dimensions, found 4}}
func.func private @f(!llmir.qtensor<2x2x2x2, f32>)

// -----

// expected-error@+1 {{dimensions of a weight are from 1 to 2^31 - 1, found 0}}
func.func private @f(!llmir.qtensor<0x2, f32>)

// -----

// expected-error@+1 {{layout panel_f32 is for matrices}}
func.func private @f(!llmir.qtensor<32, panel_f32>)

// -----

// expected-error@+1 {{layout panel_u4 has groups of 32, 64, 128 or 256 columns, found 48}}
func.func private @f(!llmir.qtensor<16x96, panel_u4, 48>)

// -----

// expected-error@+1 {{100 columns are no multiple of the group of 32}}
func.func private @f(!llmir.qtensor<16x100, panel_s8, 32>)

// -----

// expected-error@+1 {{layout q4_0 has no groups}}
func.func private @f(!llmir.qtensor<16x96, q4_0, 32>)

// -----

// expected-error@+1 {{groups of quantized rows are 32, 64, 128 or 256 columns, found 16}}
func.func private @f(!llmir.q8_rows<64, 16>)

// -----

// expected-error@+1 {{65 columns are no multiple of the group of 32}}
func.func private @f(!llmir.q8_rows<65, 32>)

// -----

// expected-error@+1 {{expected kv_heads x head_dim}}
func.func private @f(!llmir.paged_kv<3>)

// -----

// expected-error@+1 {{expected page, window or storage}}
func.func private @f(!llmir.paged_kv<3x64, pages = 2>)

// -----

// expected-error@+1 {{storage is any, f16 or f32}}
func.func private @f(!llmir.paged_kv<3x64, storage = s8>)

// -----

// expected-error@+1 {{a cache has at least one head, found 0}}
func.func private @f(!llmir.paged_kv<0x64>)

// -----

// expected-error@+1 {{the head size is a multiple of 8 up to 512, found 60}}
func.func private @f(!llmir.paged_kv<3x60>)

// -----

// expected-error@+1 {{a page has a multiple of 16 tokens from 16 to 256, found 24}}
func.func private @f(!llmir.paged_kv<3x64, page = 24>)

// -----

// expected-error@+1 {{a window has at least one token, found -1}}
func.func private @f(!llmir.paged_kv<3x64, window = -1>)

// -----

// expected-error@+1 {{a part names a tensor of the source}}
llmir.tensor @w : !llmir.qtensor<64, f32> plain [#llmir.part<"", 64>]

// -----

// expected-error@+1 {{a part has from 1 to 2^31 - 1 rows, found 0}}
llmir.tensor @w : !llmir.qtensor<64, f32> plain [#llmir.part<"w", 0>]

// -----

// expected-error@+1 {{rope turns an even number of rows up to the head size of 16, found 15}}
llmir.tensor @w : !llmir.qtensor<64, f32> plain [#llmir.part<"w", 64, rope 15 of 16>]

// -----

// expected-error@+1 {{64 rows are no whole heads of 24}}
llmir.tensor @w : !llmir.qtensor<64, f32> plain [#llmir.part<"w", 64, rope 16 of 24>]

// -----

// expected-error@+1 {{expects a dense f32 value for a constant}}
llmir.tensor @w : !llmir.qtensor<2, f32> constant = dense<[1, 2]> : tensor<2xi32>

// -----

// expected-error@+1 {{is a constant and has no parts}}
llmir.tensor @w : !llmir.qtensor<2, f32> constant [#llmir.part<"w", 2>] = dense<1.0> : tensor<2xf32>

// -----

// expected-error@+1 {{is a constant and has layout f32}}
llmir.tensor @w : !llmir.qtensor<2, f16> constant = dense<1.0> : tensor<2xf32>

// -----

// expected-error@+1 {{has a value of another shape than}}
llmir.tensor @w : !llmir.qtensor<2, f32> constant = dense<1.0> : tensor<3xf32>

// -----

// expected-error@+1 {{has a value but is no constant}}
llmir.tensor @w : !llmir.qtensor<2, f32> plain [#llmir.part<"w", 2>] = dense<1.0> : tensor<2xf32>

// -----

// expected-error@+1 {{made by plain has 2 parts}}
llmir.tensor @w : !llmir.qtensor<4, f32> plain [#llmir.part<"w", 2>, #llmir.part<"v", 2>]

// -----

// expected-error@+1 {{made by interleave_panels has 1 parts}}
llmir.tensor @w : !llmir.qtensor<32x64, f32> interleave_panels [#llmir.part<"w", 16>]

// -----

// expected-error@+1 {{interleaves parts with different numbers of rows}}
llmir.tensor @w : !llmir.qtensor<32x64, f32> interleave_panels [#llmir.part<"w", 16>, #llmir.part<"v", 8>]

// -----

// expected-error@+1 {{has parts of 48 rows for}}
llmir.tensor @w : !llmir.qtensor<32x64, f32> concat_rows [#llmir.part<"w", 16>, #llmir.part<"v", 32>]

// -----

func.func @f() {
  // expected-error@+1 {{names no llmir.tensor: @missing}}
  %0 = llmir.weight @missing : !llmir.qtensor<64, f32>
  return
}

// -----

llmir.tensor @w : !llmir.qtensor<64, f32> plain [#llmir.part<"w", 64>]
func.func @f() {
  // expected-error@+1 {{has type '!llmir.qtensor<64, f16>', the tensor has '!llmir.qtensor<64, f32>'}}
  %0 = llmir.weight @w : !llmir.qtensor<64, f16>
  return
}

// -----

func.func @f(%t: tensor<?xi32>, %w: !llmir.qtensor<64, f32>) {
  // expected-error@+1 {{expects a matrix as table}}
  %0 = llmir.embed %t, %w : tensor<?xi32>, !llmir.qtensor<64, f32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%t: tensor<?xi32>, %w: !llmir.qtensor<512x32, f32>) {
  // expected-error@+1 {{has a result of 64 columns for a table of 32}}
  %0 = llmir.embed %t, %w : tensor<?xi32>, !llmir.qtensor<512x32, f32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%t: tensor<3xi32>, %w: !llmir.qtensor<512x64, f32>) {
  // expected-error@+1 {{has operands and results with different numbers of rows}}
  %0 = llmir.embed %t, %w : tensor<3xi32>, !llmir.qtensor<512x64, f32> -> tensor<4x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>) {
  // expected-error@+1 {{expects a matrix as weight}}
  %0 = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<64, f32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{has an input of 32 columns for a weight of 64}}
  %0 = llmir.linear %x, %w : tensor<?x32xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{has a result of 64 columns for a weight of 96 rows}}
  %0 = llmir.linear %x, %w : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{has a result of 50 columns for a gated weight of 96 rows}}
  %0 = llmir.linear %x, %w gate silu : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x50xf32>
  return
}

// -----

func.func @f(%x: !llmir.q8_rows<64, 32>, %w: !llmir.qtensor<96x64, panel_f16>) {
  // expected-error@+1 {{has a quantized input for a weight without integer layout}}
  %0 = llmir.linear %x, %w : !llmir.q8_rows<64, 32>, !llmir.qtensor<96x64, panel_f16> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: !llmir.q8_rows<64, 64>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{has an input with groups of 64 for a weight with groups of 32}}
  %0 = llmir.linear %x, %w : !llmir.q8_rows<64, 64>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{with a gate has no bias, residual or soft cap}}
  %0 = llmir.linear %x, %w gate silu soft_cap 1.0 : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x48xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>, %b: !llmir.qtensor<64, f32>) {
  // expected-error@+1 {{expects bias to be a vector of 96, found '!llmir.qtensor<64, f32>'}}
  %0 = llmir.linear %x, %w bias(%b : !llmir.qtensor<64, f32>) : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{expects the residual to have the type of the result}}
  %0 = llmir.linear %x, %w add(%x : tensor<?x64xf32>) : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{expects soft_cap to be positive and finite}}
  %0 = llmir.linear %x, %w soft_cap 0.0 : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{expects soft_cap to be positive and finite}}
  %0 = llmir.logits %x, %w soft_cap -1.0 : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>) {
  // expected-error@+1 {{has an input of 32 columns for a weight of 64}}
  %0 = llmir.logits %x, %w : tensor<?x32xf32>, !llmir.qtensor<96x64, panel_u4, 32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expects as many columns in the result as in the input}}
  %0 = llmir.quantize %x : tensor<?x64xf32> -> !llmir.q8_rows<32, 32>
  return
}

// -----

func.func @f(%x: !llmir.q8_rows<32, 32>) {
  // expected-error@+1 {{expects as many columns in the result as in the input}}
  %0 = llmir.dequantize %x : !llmir.q8_rows<32, 32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%p: tensor<?xi32>, %w: !llmir.qtensor<32, f16>) {
  // expected-error@+1 {{expects f32 frequencies}}
  %0 = llmir.rope_table %p, %w : tensor<?xi32>, !llmir.qtensor<32, f16> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%p: tensor<?xi32>, %w: !llmir.qtensor<16, f32>) {
  // expected-error@+1 {{expects a cosine and a sine for each of 16 frequencies}}
  %0 = llmir.rope_table %p, %w : tensor<?xi32>, !llmir.qtensor<16, f32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %t: tensor<?x16xf32>) {
  // expected-error@+1 {{has 64 columns, which are no whole heads of 24}}
  %0 = llmir.rope %x, %t head_dim 24 halves : tensor<?x64xf32>, tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %t: tensor<?x32xf32>) {
  // expected-error@+1 {{turns an even number of elements up to the head size of 16, the table has 32}}
  %0 = llmir.rope %x, %t head_dim 16 halves : tensor<?x64xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @f(%c: !llmir.paged_kv<1x16, window = 128>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error@+1 {{expects keys and values of 16 columns}}
  %0 = llmir.append_kv %c, %k, %v, %p : !llmir.paged_kv<1x16, window = 128>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<3x16>, %p: tensor<?xi32>) {
  // expected-error@+1 {{has a query of 64 columns, which are no multiple of 3 heads of 16}}
  %0 = llmir.paged_attention %q, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<3x16>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16, window = 128>, %p: tensor<?xi32>, %s: !llmir.qtensor<3, f32>) {
  // expected-error@+1 {{expects sinks to be a vector of 4}}
  %0 = llmir.paged_attention %q, %c, %p sinks(%s : !llmir.qtensor<3, f32>) scale 0.25 window 128 : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 128>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16, window = 128>, %p: tensor<?xi32>) {
  // expected-error@+1 {{looks back 0 tokens (0: all) in a cache that keeps 128}}
  %0 = llmir.paged_attention %q, %c, %p scale 0.25 : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 128>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16, window = 128>, %p: tensor<?xi32>) {
  // expected-error@+1 {{looks back 129 tokens (0: all) in a cache that keeps 128}}
  %0 = llmir.paged_attention %q, %c, %p scale 0.25 window 129 : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 128>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16, window = 128>, %p: tensor<?xi32>) {
  // expected-error@+1 {{expects scale to be positive and finite}}
  %0 = llmir.paged_attention %q, %c, %p scale 0.0 window 128 : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 128>, tensor<?xi32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !llmir.paged_kv<1x16, window = 128>, %p: tensor<?xi32>) {
  // expected-error@+1 {{expects soft_cap to be 0 or positive, and finite}}
  %0 = llmir.paged_attention %q, %c, %p scale 0.25 window 128 soft_cap -1.0 : tensor<?x64xf32>, !llmir.paged_kv<1x16, window = 128>, tensor<?xi32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<48, f32>) {
  // expected-error@+1 {{expects a weight whose size divides 64 columns}}
  %0 = llmir.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<48, f32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>) {
  // expected-error@+1 {{expects epsilon to be positive and finite}}
  %0 = llmir.rms_norm %x, %w epsilon 0.0 : tensor<?x64xf32>, !llmir.qtensor<64, f32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<32, f32>) {
  // expected-error@+1 {{expects weight to be a vector of 64}}
  %0 = llmir.layer_norm %x, %w epsilon 1.0e-5 : tensor<?x64xf32>, !llmir.qtensor<32, f32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{has no result}}
  llmir.residual_norm %x weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> ->
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{updates the residual exactly if there is a delta and no selection of rows}}
  %0 = llmir.residual_norm %x weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> updated tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{has an output exactly if it has a weight}}
  %0 = llmir.residual_norm %x  : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects the delta to have the type of the input}}
  %0 = llmir.residual_norm %x delta(%n : tensor<?x32xf32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects the updated rows to have the type of the input}}
  %0 = llmir.residual_norm %x delta(%d : tensor<?x64xf32>) : tensor<?x64xf32> -> updated tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{has a delta weight but no delta}}
  %0 = llmir.residual_norm %x delta_weight(%w : !llmir.qtensor<64, f32>) weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects delta_weight to be a vector of 64}}
  %0 = llmir.residual_norm %x delta(%d : tensor<?x64xf32>) delta_weight(%v : !llmir.qtensor<32, f32>) delta_epsilon 1.0e-5 : tensor<?x64xf32> -> updated tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects delta_epsilon to be positive and finite}}
  %0 = llmir.residual_norm %x delta(%d : tensor<?x64xf32>) delta_weight(%w : !llmir.qtensor<64, f32>) : tensor<?x64xf32> -> updated tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects as many columns in the output as in the input}}
  %0 = llmir.residual_norm %x weight(%w : !llmir.qtensor<64, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects weight to be a vector of 64}}
  %0 = llmir.residual_norm %x weight(%v : !llmir.qtensor<32, f32>) epsilon 1.0e-5 : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %d: tensor<?x64xf32>, %w: !llmir.qtensor<64, f32>, %v: !llmir.qtensor<32, f32>, %n: tensor<?x32xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects epsilon to be positive and finite}}
  %0 = llmir.residual_norm %x weight(%w : !llmir.qtensor<64, f32>) : tensor<?x64xf32> -> output tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expects cap to be positive and finite}}
  %0 = llmir.soft_cap %x at 0.0 : tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expects as many columns in the result as in the input}}
  %0 = llmir.select_rows %x, %r : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{takes columns 32 to 80 of 64}}
  %0 = llmir.columns %x from 32 : tensor<?x64xf32> -> tensor<?x48xf32>
  return
}

// -----

func.func @f(%s: tensor<?x8xf32>) {
  // expected-error@+1 {{chooses 9 of 8 experts}}
  %w, %e = llmir.moe_route %s top 9 softmax : tensor<?x8xf32> -> tensor<?x9xf32>, tensor<?x9xi32>
  return
}

// -----

func.func @f(%s: tensor<?x8xf32>) {
  // expected-error@+1 {{expects results of 2 columns}}
  %w, %e = llmir.moe_route %s top 2 sigmoid : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x3xi32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<96x64, panel_u4, 32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{expects a weight of experts x rows x columns}}
  %0 = llmir.moe_linear %x, %w, %e : tensor<?x64xf32>, !llmir.qtensor<96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x2x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3x64xf32>, %w: !llmir.qtensor<8x96x64, panel_u4, 32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{has input 'tensor<?x3x64xf32>' for 2 experts of}}
  %0 = llmir.moe_linear %x, %w, %e : tensor<?x3x64xf32>, !llmir.qtensor<8x96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x2x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<8x96x64, panel_u4, 32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{has result 'tensor<?x96xf32>' for 2 experts of}}
  %0 = llmir.moe_linear %x, %w, %e : tensor<?x64xf32>, !llmir.qtensor<8x96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !llmir.qtensor<8x96x64, panel_u4, 32>, %e: tensor<?x2xi32>, %s: tensor<?x3xf32>) {
  // expected-error@+1 {{expects weights of 2 columns}}
  %0 = llmir.moe_linear %x, %w, %e weights(%s : tensor<?x3xf32>) : tensor<?x64xf32>, !llmir.qtensor<8x96x64, panel_u4, 32>, tensor<?x2xi32> -> tensor<?x96xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{names no group}}
  %0 = llmir.all_reduce sum %x across "" : tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expects the columns of 2 members side by side}}
  %0 = llmir.all_gather %x across "t" of 2 : tensor<?x64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expects peer and tag from 0}}
  llmir.send %x to -1 tag 0 across "t" : tensor<?x64xf32>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{expects peer and tag from 0}}
  %0 = llmir.recv from 0 tag -1 across "t" : tensor<?x64xf32>
  return
}
