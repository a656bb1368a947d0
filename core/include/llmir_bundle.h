/* The LLMIR bundle, format 1: one file that holds a compiled language model.
 *
 * This header is the file format, shared by the compiler that writes bundles and the runtime that
 * reads them. Everything is little-endian, fixed-width and position-independent: records refer to
 * each other by byte offsets, never by pointers. docs/BUNDLE_FORMAT.md describes every field in
 * prose.
 *
 *   +--------------------+ 0
 *   | llmir_bundle_header|
 *   +--------------------+ section_table_offset
 *   | section table      |
 *   +--------------------+ 64-byte aligned (WEIGHTS: 4096-byte aligned)
 *   | section            |
 *   | ...                |
 *   +--------------------+ file_bytes
 *
 * It is one file, however long, because it is one format.
 *
 * Rules for readers: skip sections of unknown kind; check every offset, count and size against the
 * enclosing section before use; never trust a string to be terminated. Rules for writers: zero all
 * padding and reserved fields, so that equal input gives equal bytes. */
#ifndef LLMIR_BUNDLE_H
#define LLMIR_BUNDLE_H

#include <stdint.h>

#ifdef __cplusplus
#define LLMIR_BUNDLE_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type " size")
#else
#define LLMIR_BUNDLE_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " size")
#endif

#define LLMIR_BUNDLE_MAGIC "LLMIRBND" /* 8 bytes, no terminator in the file */
#define LLMIR_BUNDLE_FORMAT_MAJOR 1u
#define LLMIR_BUNDLE_FORMAT_MINOR 0u
#define LLMIR_BUNDLE_SECTION_ALIGNMENT 64u
#define LLMIR_BUNDLE_WEIGHTS_ALIGNMENT 4096u
#define LLMIR_BUNDLE_TENSOR_ALIGNMENT 64u
#define LLMIR_BUNDLE_HASH_BYTES 32u /* BLAKE2b-256, RFC 7693 */
#define LLMIR_BUNDLE_MAX_SECTIONS 4096u
#define LLMIR_BUNDLE_MAX_RANK 4u

/* A byte range inside the enclosing section; {0, 0} is the empty range. Strings are UTF-8, not
 * terminated. */
typedef struct llmir_bundle_range {
    uint32_t offset; /* bytes from the start of the section */
    uint32_t bytes;
} llmir_bundle_range_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_bundle_range_t, 8);

typedef struct llmir_bundle_header {
    uint8_t magic[8];
    uint16_t format_major; /* the format that the file follows */
    uint16_t format_minor;
    uint16_t reader_major; /* the oldest reader that understands the file */
    uint16_t reader_minor;
    uint32_t header_bytes; /* sizeof(llmir_bundle_header_t) of the writer, at least the size here */
    uint32_t section_count;
    uint64_t file_bytes;
    uint64_t section_table_offset;
    uint8_t root_hash[LLMIR_BUNDLE_HASH_BYTES]; /* of this header with root_hash zeroed, followed by
                                                   the section table */
    uint8_t reserved[56];
} llmir_bundle_header_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_bundle_header_t, 128);

typedef enum llmir_section_kind {
    LLMIR_SECTION_MODEL = 1,     /* hyper-parameters: llmir_model_record_t */
    LLMIR_SECTION_TOKENIZER = 2, /* llmir_tokenizer_record_t */
    LLMIR_SECTION_CHAT = 3,      /* llmir_chat_record_t */
    LLMIR_SECTION_WEIGHTS =
        4, /* llmir_weights_record_t; several parts are numbered as one sequence of tensors */
    LLMIR_SECTION_PLAN = 5,     /* llmir_plan_record_t */
    LLMIR_SECTION_CODE = 6,     /* llmir_code_record_t: machine code for one target and level */
    LLMIR_SECTION_SELFTEST = 7, /* a token sequence and the expected result */
    LLMIR_SECTION_REPORT = 8,   /* UTF-8 JSON: what was compiled from what, options, quality */
    LLMIR_SECTION_SIGNATURE = 9,
} llmir_section_kind_t;

typedef enum llmir_section_target {
    LLMIR_SECTION_TARGET_ANY = 0,
    LLMIR_SECTION_TARGET_CPU = 1,
    LLMIR_SECTION_TARGET_VULKAN = 2,
    LLMIR_SECTION_TARGET_CUDA = 3,
    LLMIR_SECTION_TARGET_HIP = 4,
} llmir_section_target_t;

/* ISA levels of CPU code and kernels. Levels of one architecture are ordered by what they need. */
typedef enum llmir_cpu_level {
    LLMIR_CPU_LEVEL_NONE = 0,
    LLMIR_CPU_LEVEL_X86_64_V2 = 0x102,      /* SSE4.2 */
    LLMIR_CPU_LEVEL_X86_64_V3 = 0x103,      /* AVX2, FMA, F16C */
    LLMIR_CPU_LEVEL_X86_64_V4_VNNI = 0x105, /* AVX-512 F BW CD DQ VL, VNNI */
    LLMIR_CPU_LEVEL_AARCH64 = 0x201,
    LLMIR_CPU_LEVEL_AARCH64_DOTPROD = 0x202,
    LLMIR_CPU_LEVEL_AARCH64_I8MM = 0x203,
    LLMIR_CPU_LEVEL_ARMV7_NEON = 0x301,
    LLMIR_CPU_LEVEL_RV64GCV = 0x401,
} llmir_cpu_level_t;

typedef struct llmir_bundle_section {
    uint32_t kind;   /* llmir_section_kind_t; unknown kinds are skipped */
    uint32_t target; /* llmir_section_target_t */
    uint32_t level;  /* CPU: llmir_cpu_level_t; GPUs: architecture number; else 0 */
    uint32_t part;   /* WEIGHTS: index of the part, ascending from 0; else 0 */
    uint64_t offset; /* from the start of the file, aligned as the kind asks */
    uint64_t bytes;
    uint8_t hash[LLMIR_BUNDLE_HASH_BYTES]; /* BLAKE2b-256 of the section's bytes */
} llmir_bundle_section_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_bundle_section_t, 64);

/* ---- MODEL ---- */

typedef struct llmir_model_record {
    uint32_t record_bytes;  /* sizeof of the writer; fields are only added at the end */
    uint32_t vocab_count;   /* columns of the logits; at least the tokenizer's token count */
    uint32_t context_count; /* positions that the model was trained for (or --context) */
    uint32_t embedding_count;
    uint32_t layer_count;
    uint32_t q_head_count;
    uint32_t kv_head_count;
    uint32_t head_dim;
    uint32_t ffn_count;
    uint32_t reserved;
    uint64_t parameter_count;
    llmir_bundle_range_t name;         /* e.g. "SmolLM2 135M Instruct" */
    llmir_bundle_range_t architecture; /* e.g. "llama"; for people, the runtime never acts on it */
} llmir_model_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_model_record_t, 64);

/* ---- WEIGHTS ---- */

/* How a tensor's bytes lie. Panel layouts interleave 16 output rows (LLMIR_PANEL_ROWS) so that one
 * vector register holds one step of the inner dimension for all of them; quant/quant_layout.h draws
 * each of them. A matrix is [rows = outputs][columns = inputs]; rows are padded to whole panels
 * with zeros. */
typedef enum llmir_layout {
    LLMIR_LAYOUT_NONE = 0,
    LLMIR_LAYOUT_F32 = 1,        /* row-major, any rank */
    LLMIR_LAYOUT_F16 = 2,        /* row-major, any rank */
    LLMIR_LAYOUT_PANEL_F32 = 3,  /* matrix panels: [row / 16][column][16] f32 */
    LLMIR_LAYOUT_PANEL_F16 = 4,  /* matrix panels: [row / 16][column][16] f16 */
    LLMIR_LAYOUT_PANEL_BF16 = 5, /* matrix panels: [row / 16][column][16] bf16 */
    LLMIR_LAYOUT_PANEL_S4 = 6,   /* w = d * (q - 8), q in 0..15, f16 d per row and group */
    LLMIR_LAYOUT_PANEL_U4 = 7,   /* w = d * q + m,   q in 0..15, f16 d and m per row and group */
    LLMIR_LAYOUT_PANEL_S8 = 8,   /* w = d * q,       q in -128..127, f16 d per row and group */
} llmir_layout_t;

typedef struct llmir_weights_record {
    uint32_t record_bytes;
    uint32_t tensor_count;
    uint64_t tensor_table_offset; /* of llmir_tensor_record_t[tensor_count], from the start of the
                                     section */
} llmir_weights_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_weights_record_t, 16);

typedef struct llmir_tensor_record {
    uint64_t
        data_offset; /* from the start of the section; multiple of LLMIR_BUNDLE_TENSOR_ALIGNMENT */
    uint64_t data_bytes;                   /* equals llmir_layout_bytes() of the other fields */
    uint32_t shape[LLMIR_BUNDLE_MAX_RANK]; /* outermost first; unused dimensions are 1 */
    uint32_t rank;                         /* 1 .. LLMIR_BUNDLE_MAX_RANK */
    uint32_t layout;                       /* llmir_layout_t */
    uint32_t group; /* columns that share a scale: 32, 64, 128 or 256 (int layouts), else 0 */
    uint32_t reserved;
    llmir_bundle_range_t name; /* from the start of the section */
} llmir_tensor_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_tensor_record_t, 56);

/* ---- PLAN ---- */
/* The program: a list of dispatches over planned buffers, for one flat batch of T tokens of which R
 * rows get logits. A variant is a kernel with its constant parameters; layers share variants.
 * Buffers live in slots: buffers whose lifetimes do not overlap share one, and the runtime lays the
 * slots out one after the other for the T and R it is configured with. */

typedef enum llmir_kernel {
    LLMIR_KERNEL_EMBED = 1,
    LLMIR_KERNEL_ROPE_TABLE = 2,
    LLMIR_KERNEL_NORM = 3,
    LLMIR_KERNEL_QUANTIZE = 4,
    LLMIR_KERNEL_LINEAR = 5,
    LLMIR_KERNEL_QKV = 6,
    LLMIR_KERNEL_ATTENTION = 7,
    LLMIR_KERNEL_GATE = 8,
} llmir_kernel_t;
#define LLMIR_KERNEL_COUNT 9u       /* one past the largest */
#define LLMIR_KERNEL_ABI_VERSION 4u /* plans of older versions run, their code does not */

typedef struct llmir_plan_record {
    uint32_t record_bytes;
    uint32_t kernel_abi_version; /* LLMIR_KERNEL_ABI_VERSION that variants and code follow */
    uint32_t variant_count;
    uint32_t
        variant_offset; /* of llmir_plan_variant_t[variant_count], from the start of the section */
    uint32_t dispatch_count;
    uint32_t dispatch_offset; /* of llmir_plan_dispatch_t[dispatch_count] */
    uint32_t buffer_count;
    uint32_t buffer_offset; /* of llmir_plan_buffer_t[buffer_count] */
    uint32_t slot_count;
    uint32_t slot_offset; /* of llmir_plan_slot_t[slot_count] */
    uint32_t kv_layer_count;
    uint32_t kv_layer_offset; /* of llmir_plan_kv_layer_t[kv_layer_count] */
    uint32_t page_tokens;     /* tokens a KV page; a multiple of 16, 16 .. 256 */
    uint32_t chunk_tokens;    /* recommended largest T of one pass */
    uint32_t logits_buffer;   /* buffer index: f32 [R][vocab_count] */
    uint32_t tensor_count;    /* tensors of all WEIGHTS parts together: what operands may index */
} llmir_plan_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_record_t, 64);

typedef struct llmir_plan_variant {
    uint32_t kernel; /* llmir_kernel_t */
    uint32_t reserved;
    llmir_bundle_range_t
        params; /* the kernel's parameter struct below; offset is a multiple of 8 */
} llmir_plan_variant_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_variant_t, 16);

typedef enum llmir_operand_space {
    LLMIR_OPERAND_NONE = 0,   /* absent; the kernel's flags say so too */
    LLMIR_OPERAND_BUFFER = 1, /* index into the buffer table */
    LLMIR_OPERAND_TENSOR = 2, /* index into the tensors of all parts */
    LLMIR_OPERAND_KV = 3,     /* index into the KV layer table */
} llmir_operand_space_t;

typedef struct llmir_plan_operand {
    uint32_t space; /* llmir_operand_space_t */
    uint32_t index;
} llmir_plan_operand_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_operand_t, 8);

#define LLMIR_PLAN_MAX_OPERANDS 6u

typedef struct llmir_plan_dispatch {
    uint32_t variant;
    uint32_t layer; /* decoder layer for traces; UINT32_MAX outside of layers */
    llmir_plan_operand_t operands[LLMIR_PLAN_MAX_OPERANDS]; /* meaning: see each kernel */
} llmir_plan_dispatch_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_dispatch_t, 56);

typedef enum llmir_extent {
    LLMIR_EXTENT_TOKENS = 0,  /* T rows: one for each token of the batch */
    LLMIR_EXTENT_OUTPUTS = 1, /* R rows: one for each token whose logits are wanted */
} llmir_extent_t;

/* What a row of a buffer holds. A kernel accepts one format for each operand; the runtime checks
 * it. */
typedef enum llmir_row_format {
    LLMIR_ROW_F32 = 0, /* columns f32 */
    LLMIR_ROW_Q8 = 1,  /* quantized activations: quant/activation.h */
} llmir_row_format_t;

typedef struct llmir_plan_buffer {
    uint32_t slot;
    uint32_t extent;    /* llmir_extent_t */
    uint32_t format;    /* llmir_row_format_t */
    uint32_t columns;   /* elements of a row */
    uint32_t group;     /* Q8: columns that share a sum and a scale; else 0 */
    uint32_t row_bytes; /* distance of two rows; multiple of 64 */
} llmir_plan_buffer_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_buffer_t, 24);

/* A slot takes max(T * token_row_bytes, R * output_row_bytes). */
typedef struct llmir_plan_slot {
    uint32_t token_row_bytes;
    uint32_t output_row_bytes;
} llmir_plan_slot_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_slot_t, 8);

/* One layer's share of a KV page: keys and values of kv_heads heads for page_tokens positions. A
 * page is the concatenation of all layers in table order. How elements are stored is the
 * application's choice when it runs the model, so sizes in bytes are not part of the plan:
 * quant/kv_layout.h draws them. */
typedef struct llmir_plan_kv_layer {
    uint32_t kv_heads;
    uint32_t head_dim; /* multiple of 8, at most 512 */
    uint32_t window;   /* tokens that attention looks back, 0: all */
    uint32_t reserved;
    uint64_t element_offset; /* elements of the layers before it, keys and values */
} llmir_plan_kv_layer_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_plan_kv_layer_t, 24);

/* ---- Kernel parameters ---- */
/* Operand lists give index: meaning. "rows" is T or R as the buffers' extent says. All floats are
 * IEEE binary32. */

/* x[row] = dequantize(weights[token[row]]) * scale
 * 0: weights [vocab][dim] any matrix layout; 1: x f32 [T][dim] (out) */
typedef struct llmir_embed_params {
    uint32_t dim;
    uint32_t vocab;
    uint32_t layout; /* llmir_layout_t of the weights */
    uint32_t group;
    float scale;
    uint32_t reserved;
} llmir_embed_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_embed_params_t, 24);

/* table[row][i] = attention_factor * {cos, sin}(position[row] * frequency[i])
 * 0: frequency f32 [pair_count] tensor; 1: table f32 [T][2 * pair_count] (out): all cosines, then
 * all sines */
typedef struct llmir_rope_table_params {
    uint32_t pair_count;
    float attention_factor;
} llmir_rope_table_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_rope_table_params_t, 8);

typedef enum llmir_norm_flag {
    LLMIR_NORM_ADD_DELTA = 1u << 0, /* x += delta first */
    LLMIR_NORM_DELTA_NORM =
        1u << 1, /* ... after delta = rms_norm(delta) * delta_weight (Gemma's post norms) */
    LLMIR_NORM_NO_OUTPUT = 1u << 2, /* only the residual update */
    LLMIR_NORM_WIDE = 1u << 3,      /* out is a wide Q8 row (quant/activation.h) */
} llmir_norm_flag_t;

/* [x += delta]; out = quantize?(rms_norm(x) * weight)
 * 0: x f32 [T][dim] (inout with ADD_DELTA); 1: delta f32 [T][dim]; 2: delta_weight f32 [dim]; 3:
 * weight f32 [dim]; 4: out f32 or Q8 [rows][dim], WIDE: Q8 [rows][2 * dim] */
typedef struct llmir_norm_params {
    uint32_t dim;
    uint32_t flags; /* llmir_norm_flag_t */
    float epsilon;
    float delta_epsilon;
    uint32_t out_format; /* llmir_row_format_t */
    uint32_t group;      /* of a Q8 output */
    uint32_t gather; /* 1: out has R rows, row r is made of x and delta at token output_rows[r]; x
                        stays unwritten */
    uint32_t reserved;
} llmir_norm_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_norm_params_t, 32);

/* 0: in f32 [rows][dim]; 1: out Q8 [rows][dim], wide: [rows][2 * dim] */
typedef struct llmir_quantize_params {
    uint32_t dim;
    uint32_t group;
    uint32_t extent; /* llmir_extent_t of both */
    uint32_t wide;   /* 1: out holds wide rows (quant/activation.h) */
} llmir_quantize_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_quantize_params_t, 16);

typedef enum llmir_linear_flag {
    LLMIR_LINEAR_BIAS = 1u << 0, /* + bias[row of the weights] */
    LLMIR_LINEAR_ADD = 1u << 1,  /* out += instead of out = */
    LLMIR_LINEAR_WIDE = 1u << 2, /* integer weights only: the activations are wide Q8 rows of 2 *
                                    columns, and each weight is used for both bytes */
} llmir_linear_flag_t;

typedef enum llmir_gate {
    LLMIR_GATE_NONE = 0,
    LLMIR_GATE_SILU = 1,      /* z / (1 + exp(-z)) */
    LLMIR_GATE_GELU_TANH = 2, /* 0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) */
} llmir_gate_t;

/* out[t][out_column + n] = epilogue(sum over k of w[n][k] * a[t][k])
 * With a gate, the weights' panels alternate gate and up (panel 2i: rows 16i.. of the gate matrix,
 * panel 2i+1: the same rows of up) and out[t][n] = gate(g[n]) * u[n]; `rows` then counts the rows
 * of one of the two. 0: activations: Q8 for integer weights, f32 for float weights,
 * [rows][columns]; 1: weights; 2: bias f32 [rows]; 3: out f32 [rows][out_stride] */
typedef struct llmir_linear_params {
    uint32_t rows;       /* outputs */
    uint32_t columns;    /* inputs */
    uint32_t layout;     /* llmir_layout_t of the weights: a panel layout */
    uint32_t group;      /* of weights and Q8 activations; 0 for float weights */
    uint32_t flags;      /* llmir_linear_flag_t */
    uint32_t gate;       /* llmir_gate_t */
    uint32_t extent;     /* llmir_extent_t of activations and out */
    uint32_t out_column; /* first column written, multiple of 16 */
    uint32_t out_stride; /* f32 elements between rows of out */
    float soft_cap;      /* c * tanh(v / c) if not 0 */
} llmir_linear_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_linear_params_t, 40);

typedef enum llmir_qkv_flag {
    LLMIR_QKV_NORM =
        1u << 0, /* RMS norm of each q and k head before the rotation (Qwen3, Gemma 3) */
    LLMIR_QKV_ROPE = 1u << 1,
} llmir_qkv_flag_t;

/* Finishes the projections of a layer: [norm], rotate q in place and k on its way into the cache,
 * store v. Rotation pairs element i with i + rope_dim / 2 (the compiler permutes rows of models
 * that pair 2i with 2i + 1). 0: qkv f32 [T][stride] (inout): q heads, then k heads, then v heads;
 * 1: rope table f32 [T][rope_dim]; 2: q norm f32 [head_dim]; 3: k norm f32 [head_dim]; 4: KV layer
 * (out) */
typedef struct llmir_qkv_params {
    uint32_t q_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t rope_dim; /* even, at most head_dim; the rest of a head is not rotated */
    uint32_t stride;   /* f32 elements between rows */
    uint32_t flags;    /* llmir_qkv_flag_t */
    float norm_epsilon;
    uint32_t reserved;
} llmir_qkv_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_qkv_params_t, 32);

/* out[t][h] = softmax(scale * q . keys, causal, window) . values, for the keys at positions 0 ..
 * position[t] of its sequence. 0: qkv f32 [T][q_stride], q heads first; 1: KV layer; 2: out f32
 * [T][q_heads * head_dim] */
typedef struct llmir_attention_params {
    uint32_t q_heads; /* a multiple of kv_heads */
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t window; /* keys looked at, the token's own included; 0: all */
    uint32_t q_stride;
    uint32_t out_stride;
    float scale;
    float soft_cap; /* of the scores: c * tanh(s / c); 0: none */
} llmir_attention_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_attention_params_t, 32);

/* out[row][n] = gate(in[row][n]) * in[row][dim + n]: for gate and up matrices that could not be
 * merged 0: in f32 [T][2 * dim]; 1: out f32 [T][dim] */
typedef struct llmir_gate_params {
    uint32_t dim;
    uint32_t gate; /* llmir_gate_t */
} llmir_gate_params_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_gate_params_t, 8);

/* ---- TOKENIZER ---- */
/* Everything that turns text into ids and back, as tables that are used where they lie: nothing is
 * built or allocated at load. Offsets of tables are multiples of 8. Text goes through
 *
 *   special tokens -> normalise (NFC, spaces) -> split into words -> words to ids
 *
 * "Bytes" of a token are what it stands for in text: the byte-level alphabet and the U+2581 escape
 * of the source vocabularies are resolved by the compiler. */

typedef enum llmir_tokenizer_kind {
    LLMIR_TOKENIZER_BPE = 1,     /* byte-level: merges by rank of the pair */
    LLMIR_TOKENIZER_SPM = 2,     /* SentencePiece BPE: merges by score of the result */
    LLMIR_TOKENIZER_UNIGRAM = 3, /* SentencePiece unigram: the best path */
} llmir_tokenizer_kind_t;

/* How text is split into words that merges do not cross (BPE only). */
typedef enum llmir_pretokenizer {
    LLMIR_PRETOKENIZER_NONE = 0,
    LLMIR_PRETOKENIZER_GPT2 = 1,
    LLMIR_PRETOKENIZER_SMOLLM = 2, /* single digits, then gpt2 */
    LLMIR_PRETOKENIZER_LLAMA3 = 3, /* up to three digits */
    LLMIR_PRETOKENIZER_QWEN2 = 4,  /* as llama3 with single digits */
} llmir_pretokenizer_t;

typedef enum llmir_tokenizer_flag {
    LLMIR_TOKENIZER_ADD_BOS = 1u << 0,
    LLMIR_TOKENIZER_ADD_EOS = 1u << 1,
    LLMIR_TOKENIZER_SPACE_PREFIX = 1u << 2,  /* a space goes before text that begins or follows a
                                                special token */
    LLMIR_TOKENIZER_TRIM_SPACES = 1u << 3,   /* runs of spaces become one, none at the ends */
    LLMIR_TOKENIZER_BYTE_FALLBACK = 1u << 4, /* byte_ids stand in for text without a token */
    LLMIR_TOKENIZER_NFC = 1u << 5,           /* text is brought to Unicode's form C first */
} llmir_tokenizer_flag_t;

/* A token's info byte: class in the low four bits, marks in the others. */
typedef enum llmir_token_class {
    LLMIR_TOKEN_NORMAL = 1,
    LLMIR_TOKEN_UNKNOWN = 2,      /* stands for text that has no token */
    LLMIR_TOKEN_CONTROL = 3,      /* never made from plain text */
    LLMIR_TOKEN_USER_DEFINED = 4, /* text, matched before everything else */
    LLMIR_TOKEN_UNUSED = 5,
    LLMIR_TOKEN_BYTE = 6, /* one byte, where no other token fits */
} llmir_token_class_t;
#define LLMIR_TOKEN_CLASS_MASK 0x0fu
#define LLMIR_TOKEN_END 0x10u   /* ends the model's turn */
#define LLMIR_TOKEN_WHOLE 0x20u /* BPE: a word of exactly these bytes becomes this token */

typedef struct llmir_tokenizer_record {
    uint32_t record_bytes;
    uint32_t kind;            /* llmir_tokenizer_kind_t */
    uint32_t pretokenizer;    /* llmir_pretokenizer_t */
    uint32_t flags;           /* llmir_tokenizer_flag_t */
    uint32_t token_count;     /* 1 .. LLMIR_TOKENIZER_MAX_TOKENS */
    uint32_t merge_count;     /* at most LLMIR_TOKENIZER_MAX_MERGES */
    uint32_t max_token_bytes; /* longest token in text_slots or vocab_nodes */
    uint32_t text_probes;     /* slots that a look-up in text_slots visits at most, and ... */
    uint32_t merge_probes;    /* ... in merge_slots */
    int32_t bos_id;           /* -1: none, as the next three */
    int32_t eos_id;
    int32_t unknown_id;
    int32_t padding_id;
    uint32_t unicode_version; /* of char_blocks: major << 16 | minor << 8 | patch */
    float unknown_score;      /* UNIGRAM: of a character without a token */
    uint32_t reserved;
    llmir_bundle_range_t token_offsets; /* u32 [token_count + 1] into token_bytes, ascending */
    llmir_bundle_range_t token_bytes;
    llmir_bundle_range_t token_info;    /* u8 [token_count]: class and marks */
    llmir_bundle_range_t text_slots;    /* u32 []: hash table from bytes to id; BPE, SPM */
    llmir_bundle_range_t byte_ids;      /* i32 [256]: token of a single byte or -1 */
    llmir_bundle_range_t merge_slots;   /* u64 []: hash table from pair to rank; BPE */
    llmir_bundle_range_t merge_ids;     /* u32 [merge_count]: the merged token of a rank; BPE */
    llmir_bundle_range_t token_ranks;   /* u32 [token_count]: smaller merges first; SPM */
    llmir_bundle_range_t token_scores;  /* f32 [token_count]: log-probabilities; UNIGRAM */
    llmir_bundle_range_t space_joins;   /* u8 [32]: bit b: some token holds byte b before a space;
                                           SPM, UNIGRAM */
    llmir_bundle_range_t special_first; /* u8 [32]: bit b: some special token begins with byte b */
    llmir_bundle_range_t special_nodes; /* llmir_trie_node_t []: control and user-defined tokens */
    llmir_bundle_range_t vocab_nodes;   /* llmir_trie_node_t []: normal tokens; UNIGRAM */
    llmir_bundle_range_t char_index;    /* u16 [LLMIR_CHAR_INDEX_COUNT]: block of a code point */
    llmir_bundle_range_t char_blocks;   /* u8 [][LLMIR_CHAR_BLOCK]: llmir_char_flag_t */
    llmir_bundle_range_t nfc_chars;     /* llmir_nfc_char_t [], ascending by code */
    llmir_bundle_range_t nfc_pool;      /* u32 []: decompositions */
    llmir_bundle_range_t nfc_pairs;     /* llmir_nfc_pair_t [], ascending by first, second */
} llmir_tokenizer_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_tokenizer_record_t, 208);

#define LLMIR_TOKENIZER_MAX_TOKENS (1u << 21)
#define LLMIR_TOKENIZER_MAX_MERGES ((1u << 22) - 1u)
#define LLMIR_TOKENIZER_MAX_PROBES 256u
#define LLMIR_TOKENIZER_MAX_TOKEN_BYTES                       \
    1024u /* of a token that text becomes; bounds every match \
           */
#define LLMIR_TOKENIZER_NO_TOKEN                                    \
    UINT32_MAX /* an empty text slot, a trie node that ends nothing \
                */

/* A merge slot is left << 43 | right << 22 | rank. */
#define LLMIR_MERGE_SLOT_EMPTY UINT64_MAX
#define LLMIR_MERGE_LEFT_SHIFT 43u
#define LLMIR_MERGE_RANK_BITS 22u
#define LLMIR_MERGE_RANK_MASK ((1u << LLMIR_MERGE_RANK_BITS) - 1u)

/* Both hash tables probe linearly from llmir_tokenizer_slot() and wrap at the end. */
static inline uint32_t llmir_tokenizer_hash_mix(uint32_t hash) {
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    return hash ^ (hash >> 16);
}

/* FNV-1a over the bytes, then mixed so that the high bits are usable. */
static inline uint32_t llmir_tokenizer_hash_bytes(const uint8_t* bytes, uint32_t count) {
    uint32_t hash = 0x811c9dc5u;
    for (uint32_t i = 0; i < count; ++i) {
        hash = (hash ^ bytes[i]) * 0x01000193u;
    }
    return llmir_tokenizer_hash_mix(hash);
}

static inline uint32_t llmir_tokenizer_hash_pair(uint32_t left, uint32_t right) {
    return llmir_tokenizer_hash_mix(left * 0x9e3779b1u + right * 0x7feb352du);
}

/* Maps a hash to 0 .. slot_count - 1 without a division. */
static inline uint32_t llmir_tokenizer_slot(uint32_t hash, uint32_t slot_count) {
    return (uint32_t)(((uint64_t)hash * slot_count) >> 32);
}

/* A node of a double-array trie; node 0 is the root. The child of node n by byte b is
 * base(n) + b if that node exists and its parent is n. */
typedef struct llmir_trie_node {
    uint32_t base;
    uint32_t parent; /* LLMIR_TRIE_FREE: not a node */
    uint32_t token;  /* the token that ends here or LLMIR_TOKENIZER_NO_TOKEN */
} llmir_trie_node_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_trie_node_t, 12);
#define LLMIR_TRIE_FREE UINT32_MAX

/* Code points in two stages: char_blocks[char_index[code / BLOCK]][code % BLOCK]. */
#define LLMIR_CHAR_BLOCK 128u
#define LLMIR_CHAR_INDEX_COUNT (0x110000u / LLMIR_CHAR_BLOCK)

typedef enum llmir_char_flag {
    LLMIR_CHAR_LETTER = 1u << 0, /* general category L */
    LLMIR_CHAR_NUMBER = 1u << 1, /* general category N */
    LLMIR_CHAR_SPACE = 1u << 2,  /* White_Space */
    LLMIR_CHAR_NFC = 1u << 3,    /* form C may change it or what stands before it */
} llmir_char_flag_t;

/* A character with a canonical decomposition or a combining class; Hangul is done by rule. */
typedef struct llmir_nfc_char {
    uint32_t code;
    uint8_t combining_class;
    uint8_t length; /* of the full decomposition, 0: none */
    uint16_t first; /* its first element in nfc_pool */
} llmir_nfc_char_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_nfc_char_t, 8);

typedef struct llmir_nfc_pair {
    uint32_t first;
    uint32_t second;
    uint32_t composed;
} llmir_nfc_pair_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_nfc_pair_t, 12);

/* ---- CHAT ---- */
/* The chat template, lowered at compile time to the text between two contents: what stands before
 * the first content, between a user's and the assistant's, and so on. A conversation is contents
 * joined by transitions; a transition that is not present is one that the template forbids. */

typedef enum llmir_chat_role {
    LLMIR_CHAT_ROLE_SYSTEM = 0,
    LLMIR_CHAT_ROLE_USER = 1,
    LLMIR_CHAT_ROLE_ASSISTANT = 2,
} llmir_chat_role_t;
#define LLMIR_CHAT_ROLE_COUNT 3u

/* Rows of the transition table: a role, or the start. Columns: a role, the end of the text, or the
 * opening of an answer to be generated. */
#define LLMIR_CHAT_FROM_START 3u
#define LLMIR_CHAT_FROM_COUNT 4u
#define LLMIR_CHAT_TO_END 3u
#define LLMIR_CHAT_TO_GENERATE 4u
#define LLMIR_CHAT_TO_COUNT 5u

typedef enum llmir_chat_record_flag {
    LLMIR_CHAT_SYSTEM_BEFORE_LAST_USER = 1u << 0, /* the system's content moves there (Mistral) */
} llmir_chat_record_flag_t;

/* Which white space around a content the template removes. */
typedef enum llmir_chat_trim {
    LLMIR_CHAT_TRIM_LEFT = 1u << 0,
    LLMIR_CHAT_TRIM_RIGHT = 1u << 1,
    LLMIR_CHAT_TRIM_NEWLINES = 1u << 2, /* line feeds only; else white space of any kind */
    /* The left side of a content that follows the system's stays: they are trimmed as one. */
    LLMIR_CHAT_TRIM_NOT_AFTER_SYSTEM = 1u << 3,
} llmir_chat_trim_t;
#define LLMIR_CHAT_TRIM_KNOWN 15u

typedef struct llmir_chat_record {
    uint32_t record_bytes;
    uint32_t flags;                          /* llmir_chat_record_flag_t */
    uint32_t trim[LLMIR_CHAT_ROLE_COUNT];    /* llmir_chat_trim_t of each role's content */
    uint32_t present[LLMIR_CHAT_FROM_COUNT]; /* bit `to`: the transition exists, even if empty */
    uint32_t reserved;
    llmir_bundle_range_t text[LLMIR_CHAT_FROM_COUNT][LLMIR_CHAT_TO_COUNT];
} llmir_chat_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_chat_record_t, 200);

/* ---- CODE ---- */
/* Kernels specialised to this plan: entry i replaces the built-in kernel of variant i. The image is
 * an ELF shared object without imports: PT_LOAD segments, relative relocations, no segment both
 * writable and executable. */
typedef struct llmir_code_record {
    uint32_t record_bytes;
    uint32_t kernel_abi_version;
    uint32_t entry_count;  /* equals the plan's variant_count */
    uint32_t entry_offset; /* of uint32_t[entry_count]: virtual address in the image, 0 = use the
                              built-in kernel */
    uint64_t image_offset; /* from the start of the section, multiple of 64 */
    uint64_t image_bytes;
    uint8_t plan_hash[LLMIR_BUNDLE_HASH_BYTES]; /* hash of the PLAN section that it was made from */
    uint32_t kernel_fingerprint; /* of tilings and layouts: targets/cpu/kernels/fingerprint.h */
    uint32_t reserved;
} llmir_code_record_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_code_record_t, 72);
#define LLMIR_CODE_RECORD_BYTES_MIN 64u /* before kernel ABI 4: without a fingerprint */

/* ---- CODE for GPUs ---- */
/* The image of a GPU's CODE section: a module with one function for each way to run a variant. An
 * entry of the code record is 1 + the index of the variant's first function; `next` chains the
 * others. The function called f<index> takes
 *
 *   binding 0 .. 5   the operands that the variant's kernel has; of the cache the pages of a layer
 *   binding 6        the arrays of the batch
 *   words            LLMIR_GPU_WORD_COUNT of them: push constants, or behind the buffers' addresses
 *
 * All buffers are arrays of 32-bit words. A workgroup has `threads` threads along x; the grid is
 * grid_x by the rows of the dispatch over `rows`. */
typedef enum llmir_gpu_word {
    LLMIR_GPU_WORD_OFFSET = 0,  /* 6 words: where operand i begins in its binding */
    LLMIR_GPU_WORD_STRIDE = 6,  /* 6 words: from a row of operand i to the next */
    LLMIR_GPU_WORD_ROWS = 12,   /* rows of the dispatch: T or R */
    LLMIR_GPU_WORD_FIRST = 13,  /* first weight row that the binding holds */
    LLMIR_GPU_WORD_HELD = 14,   /* weight rows that it holds */
    LLMIR_GPU_WORD_PAGE = 15,   /* words from a KV page of the layer to the next */
    LLMIR_GPU_WORD_LAYER = 16,  /* from the start of the binding to the layer's page 0 */
    LLMIR_GPU_WORD_VALUES = 17, /* from a layer's keys in a page to its values */
    LLMIR_GPU_WORD_TABLE = 18,  /* in binding 6: page table of the layer */
    LLMIR_GPU_WORD_TABLE_STRIDE = 19,
    LLMIR_GPU_WORD_POSITIONS = 20, /* in binding 6, as the next three */
    LLMIR_GPU_WORD_SEQUENCES = 21,
    LLMIR_GPU_WORD_TOKENS = 22,
    LLMIR_GPU_WORD_OUTPUT_ROWS = 23,
} llmir_gpu_word_t;
#define LLMIR_GPU_WORD_COUNT 24u
#define LLMIR_GPU_BATCH_BINDING 6u
#define LLMIR_GPU_BINDING_COUNT 7u

/* Levels of Vulkan code: what a module needs beyond Vulkan 1.1. */
typedef enum llmir_vulkan_level {
    LLMIR_VULKAN_LEVEL_BASE = 0x101,
    LLMIR_VULKAN_LEVEL_DOT = 0x102, /* 16-bit floats and integers, packed integer dot products */
    LLMIR_VULKAN_LEVEL_SOFTWARE =
        0x103, /* the same, for devices that are programs on a processor */
} llmir_vulkan_level_t;

/* Levels of Vulkan code that multiplies with cooperative matrices, one for each shape: rows of
 * weights, tokens and columns of one product of signed bytes, and threads of a subgroup. A device
 * runs its own shape's code and none of another shape; it needs what LLMIR_VULKAN_LEVEL_DOT needs,
 * 8-bit integers and Vulkan's memory model beside. X(number, rows, tokens, columns, threads) */
#define LLMIR_VULKAN_MATRICES(X)                         \
    X(0, 8, 8, 8, 8)     /* Mesa's lavapipe, 256 bits */ \
    X(1, 16, 16, 16, 32) /* AMD */                       \
    X(2, 16, 16, 32, 32) /* NVIDIA */                    \
    X(3, 8, 16, 32, 16)  /* Intel */
#define LLMIR_VULKAN_LEVEL_MATRIX(number) (((uint32_t)(number) + 2u) << 8)

/* Level of HIP code for one chip: 0x90a is gfx90a. No chip runs another one's code. */
#define LLMIR_GPU_LEVEL_HIP(gfx) ((uint32_t)(gfx) << 8)

/* Level of CUDA code that is assembled for one chip: 90 is sm_90. PTX has the level 90 itself. A
 * runtime that knows none passes it over: no device has a level of that architecture. */
#define LLMIR_GPU_LEVEL_CUBIN(sm) (UINT32_C(0x80000000) | (uint32_t)(sm))
#define LLMIR_CUDA_CUBINS(X) X(75) X(80) X(86) X(87) X(89) X(90) X(100) X(120)

/* How a module lies in the image. */
typedef enum llmir_packing {
    LLMIR_PACKING_NONE = 0,
    LLMIR_PACKING_LZMA = 1, /* with an end marker, without a header; the parameters below */
} llmir_packing_t;

/* Of LZMA: bits of the last byte and of the place that literals depend on, and of the place that
 * everything else depends on. Code is words, so bytes of words are alike. */
#define LLMIR_LZMA_LC 0u
#define LLMIR_LZMA_LP 2u
#define LLMIR_LZMA_PB 2u

#define LLMIR_GPU_MODULE_BYTES_MAX (64u << 20)

typedef struct llmir_gpu_image {
    uint32_t record_bytes;
    uint32_t function_count;
    uint32_t function_offset; /* of llmir_gpu_function_t[function_count], from the image's start */
    uint32_t binary_offset;   /* SPIR-V, PTX or an ELF, packed or not; multiple of 4 */
    uint32_t binary_bytes;
    uint32_t largest;      /* 1 + the function below; 0: none */
    uint32_t packing;      /* llmir_packing_t */
    uint32_t module_bytes; /* unpacked; of what is not packed 0 or the same as binary_bytes */
} llmir_gpu_image_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_gpu_image_t, 32);

/* The function that finds the largest logit of a row, one workgroup a row: bindings 0 and 1 are the
 * activations, the rows begin as operand 0, results are words from LLMIR_GPU_WORD_OFFSET + 1 on,
 * LLMIR_GPU_WORD_HELD are columns. The lowest index among equals; NaN counts as -infinity. */

#define LLMIR_GPU_ANY UINT32_MAX

typedef struct llmir_gpu_function {
    uint32_t threads;
    uint32_t grid_x;
    uint32_t rows;        /* rows of the dispatch that a workgroup takes */
    uint32_t rows_min;    /* of a dispatch, for which it is meant */
    uint32_t weight_rows; /* weight rows that a workgroup along x takes; 0: not a share of them */
    uint32_t kv_type;     /* llmir_kv_storage_t, LLMIR_GPU_ANY: no cache, or any */
    uint32_t split;       /* 1 + index of a function that does it in parts, see below; 0: none */
    uint32_t next;        /* 1 + index of another function of the variant; 0: none */
} llmir_gpu_function_t;
LLMIR_BUNDLE_ASSERT_SIZE(llmir_gpu_function_t, 32);

/* Attention of few tokens over long contexts. The keys that a token sees lie in pieces, which begin
 * at multiples of LLMIR_GPU_PIECE_KEYS; ceil(pieces / LLMIR_GPU_PARTS) of them, from its first one
 * on, are a part. The function that `split` names has a grid of grid_x workgroups a part (part p of
 * workgroup x is x / grid_x), at least as many parts as any token has, and leaves f32
 * [row][grid_x][LLMIR_GPU_PARTS][2 + head_dim] in binding LLMIR_GPU_SCRATCH_BINDING; its own
 * `split` names the function that makes the result of them. A batch of at most
 * LLMIR_GPU_SPLIT_ROWS tokens may be run by these two, with the same bits. A runtime may
 * ignore `split`. */
#define LLMIR_GPU_PIECE_KEYS 256u
#define LLMIR_GPU_PARTS 64u
#define LLMIR_GPU_SPLIT_ROWS 8u
#define LLMIR_GPU_SCRATCH_BINDING 5u

#endif /* LLMIR_BUNDLE_H */
