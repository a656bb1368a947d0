// RUN: llmir-opt %s --llmir-kv-blocking --split-input-file | FileCheck %s
// RUN: llmir-opt %s --llmir-kv-blocking=page-tokens=32 --split-input-file | FileCheck %s --check-prefix=ASKED
// RUN: not llmir-opt %s --llmir-kv-blocking=page-tokens=40 --split-input-file 2>&1 | FileCheck %s --check-prefix=WRONG

// WRONG: error: a page has a multiple of 16 tokens from 16 to 256, found 40

// ASKED: llmir.page_reason = "32 tokens as asked for"
// CHECK: module attributes {{.*}}llmir.page_reason = "64 tokens: larger ones are no faster on CPUs"
module attributes {llmir.context_tokens = 8192 : i64} {
  // All types change, the function's among them.
  // CHECK: func.func @forward(%{{.+}}: !llmir.paged_kv<3x64, page = 64>, %{{.+}}: !llmir.paged_kv<3x64, page = 64, window = 512>, {{.+}}) -> !llmir.paged_kv<3x64, page = 64>
  // ASKED: func.func @forward(%{{.+}}: !llmir.paged_kv<3x64, page = 32>
  func.func @forward(%a: !llmir.paged_kv<3x64>, %b: !llmir.paged_kv<3x64, window = 512>, %k: tensor<?x192xf32>, %p: tensor<?xi32>) -> !llmir.paged_kv<3x64> {
    // CHECK: llmir.append_kv %{{.+}} : <3x64, page = 64>,
    %0 = llmir.append_kv %a, %k, %k, %p : !llmir.paged_kv<3x64>, tensor<?x192xf32>, tensor<?x192xf32>, tensor<?xi32>
    return %0 : !llmir.paged_kv<3x64>
  }
}

// -----

// CHECK: llmir.page_reason = "32 tokens: at most a 32nd of the context of 1024"
module attributes {llmir.context_tokens = 1024 : i64} {
  // CHECK: !llmir.paged_kv<3x64, page = 32>
  func.func private @short_context(!llmir.paged_kv<3x64>)
}

// -----

// CHECK: llmir.page_reason = "16 tokens: at most a quarter of the window of 64"
module attributes {llmir.context_tokens = 8192 : i64} {
  func.func @short_window(%a: !llmir.paged_kv<3x64, window = 64>, %b: !llmir.paged_kv<3x64, window = 4096>) {
    return
  }
}

// -----

// Never below one tile of attention.
// CHECK: llmir.page_reason = "16 tokens: at most a 32nd of the context of 10"
module attributes {llmir.context_tokens = 10 : i64} {
  func.func private @tiny_context(!llmir.paged_kv<3x64>)
}
