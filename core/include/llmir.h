/* LLMIR: run compiled language models inside an application.
 *
 *   runtime   allocator, logger, threads                     llmir_runtime_create
 *   model     a bundle (model.llmir), mapped and checked     llmir_model_load_file
 *   pool      memory in which sessions run together          llmir_pool_create (optional)
 *   session   one conversation: its KV pages, its sampler    llmir_session_create
 *   grammar   what a session's text must be, for any number  llmir_grammar_create (optional)
 *   scheduler many requests at once from any threads         llmir_scheduler_create (optional)
 *
 * It is the whole manual of the library, and therefore longer than other files.
 *
 * Conventions, valid unless a comment says otherwise:
 * - Every fallible call returns a status and takes an `llmir_error_t*` last (NULL allowed) that
 * receives the code and a message naming the object, what was found and what was expected.
 * - What `create` or `load` returns belongs to the caller until the matching `destroy`, which
 * accepts NULL. Arguments are borrowed for the call. `*out_x` is NULL after a failure.
 * - One thread at a time per object. A model may be shared by any number of pools and sessions on
 * any threads; sessions of one pool are one object. Children must be destroyed before their
 * parents.
 * - The library never aborts, exits, prints, reads the environment or keeps global state.
 * - Option structs begin with `struct_size` and are made by their `_INIT` macro; a zero field means
 * the default. */
#ifndef LLMIR_H
#define LLMIR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(LLMIR_API)
#if defined(_WIN32) && defined(LLMIR_BUILDING)
#define LLMIR_API __declspec(dllexport)
#elif defined(_WIN32) && defined(LLMIR_SHARED)
#define LLMIR_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define LLMIR_API __attribute__((visibility("default")))
#else
#define LLMIR_API
#endif
#endif

#if defined(__GNUC__)
#define LLMIR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define LLMIR_MUST_CHECK
#endif

#define LLMIR_VERSION_MAJOR 0
#define LLMIR_VERSION_MINOR 1
#define LLMIR_VERSION_PATCH 0

/* ---- Status ---- */

/* Name, value, text. Values are never changed or reused; the list only grows. */
#define LLMIR_STATUS_LIST(X)                                                       \
    X(OK, 0, "success")                                                            \
    X(INVALID_ARGUMENT, 1, "an argument breaks the documented contract")           \
    X(OUT_OF_MEMORY, 2, "the allocator or a device refused memory")                \
    X(IO, 3, "the operating system could not read or write")                       \
    X(NOT_FOUND, 4, "the named thing does not exist")                              \
    X(CORRUPT, 5, "the data breaks its format")                                    \
    X(UNSUPPORTED, 6, "valid, but not supported by this build, device or version") \
    X(CAPACITY, 7, "a fixed capacity is used up")                                  \
    X(CANCELLED, 8, "the application asked to stop")                               \
    X(DEVICE_LOST, 9, "the device failed; objects on it can only be destroyed")    \
    X(INTERNAL, 10, "a fault of this library; please report it")                   \
    X(DEADLINE, 11, "the time given by the application is up")

typedef enum llmir_status {
#define LLMIR_STATUS_ENUM(name, value, text) LLMIR_STATUS_##name = value,
    LLMIR_STATUS_LIST(LLMIR_STATUS_ENUM)
#undef LLMIR_STATUS_ENUM
} llmir_status_t;

/* Filled by a failing call; untouched by a successful one. Frozen layout. */
typedef struct llmir_error {
    int32_t code;      /* llmir_status_t */
    char message[252]; /* UTF-8, always terminated, cut if too long */
} llmir_error_t;

/* Returns the fixed English text of a status; never NULL. Threads: any. Since 0.1. */
LLMIR_API const char* llmir_status_text(llmir_status_t status);

/* Returns major << 16 | minor << 8 | patch of the linked library. Threads: any. Since 0.1. */
LLMIR_API uint32_t llmir_version(void);

/* ---- Runtime ---- */

/* One sized, aligned realloc for everything. Frozen layout; copied by value.
 *   resize  block == NULL: allocate; new_size == 0: free and return NULL; else grow or shrink,
 * keeping the contents. alignment is a power of two. Returns NULL if refused, and then leaves
 * `block` as it was. Called from any thread that uses the runtime. NULL: the C library's heap. */
typedef struct llmir_allocator {
    void* self;
    void* (*resize)(void* self, void* block, size_t old_size, size_t new_size, size_t alignment);
} llmir_allocator_t;

typedef enum llmir_log_level {
    LLMIR_LOG_ERROR = 1,
    LLMIR_LOG_WARNING = 2,
    LLMIR_LOG_INFO = 3,
} llmir_log_level_t;

/* Receives one line without a newline; called on the thread that called the library; must not call
 * back into it. */
typedef void (*llmir_log_fn)(int32_t level, const char* message, void* user);

/* Threads of the application to compute on, instead of the runtime's own: OpenMP, a task system, an
 * event loop's workers. Frozen layout; copied by value, `self` is kept until the runtime is
 * destroyed. Results do not depend on it.
 *   concurrency  how many tasks can make progress at once, the calling thread included; asked once,
 *                by llmir_runtime_create.
 *   run          calls task(task_user, i) for each i in [0, count), on any threads, at once or one
 *                after the other, and returns when all calls have returned. Called by the thread
 *                that feeds, once a pass. Tasks wait for each other's work by spinning shortly and
 *                then sleeping, never for a task that has not begun. A task takes up to 128 KiB
 *                of stack.
 * Both or neither; neither: the runtime makes its own threads. See llmir_openmp.h for OpenMP. */
typedef void (*llmir_task_fn)(void* task_user, uint32_t index);
typedef struct llmir_executor {
    void* self;
    uint32_t (*concurrency)(void* self);
    void (*run)(void* self, llmir_task_fn task, void* task_user, uint32_t count);
} llmir_executor_t;

/* What would have to be made again at each start, kept by the application, in files for example:
 * the pipelines that a GPU's driver compiled, and that a device passed its self-test. Everything
 * works without it, only later. Frozen layout; copied by value, `self` is kept until the runtime is
 * destroyed.
 *   get  copies the entry of `key` to `out_data` if it has at most `capacity` bytes, and returns
 * how many it has, 0 if there is none; `out_data` is NULL if capacity is 0. put  keeps a copy of
 * `bytes` bytes, in the place of an older entry; may do nothing. A key is made of at most 63
 * lower-case letters, digits and '-'. Entries are checked before they are used, so damaged and
 * outdated ones are as good as none, and are replaced; but they belong where only the user can
 * write, as a driver trusts what bears the right hash. Both or neither; both are called on the
 * thread that loads a model. */
#define LLMIR_CACHE_KEY_BYTES 64u
typedef struct llmir_cache {
    void* self;
    size_t (*get)(void* self, const char* key, void* out_data, size_t capacity);
    void (*put)(void* self, const char* key, const void* data, size_t bytes);
} llmir_cache_t;

typedef enum llmir_trace_phase {
    LLMIR_TRACE_BEGIN = 1,
    LLMIR_TRACE_END = 2,
} llmir_trace_phase_t;

#define LLMIR_TRACE_NO_LAYER UINT32_MAX

/* Begin or end of a span. Spans nest: "pass" contains one span for each dispatch of the plan. The
 * struct is the library's, for the call only; new fields come at its end. */
typedef struct llmir_trace_event {
    uint32_t struct_size;
    uint32_t phase;          /* llmir_trace_phase_t */
    uint64_t time_ns;        /* monotonic clock */
    const char* name;        /* "pass", or the kernel: "linear", "attention", ...; lives on */
    uint32_t layer;          /* decoder layer or LLMIR_TRACE_NO_LAYER */
    uint32_t dispatch;       /* index in the plan; of "pass" their number */
    uint32_t token_count;    /* tokens of the pass */
    uint32_t sequence_count; /* sequences of the pass */
} llmir_trace_event_t;

/* Receives the spans of all passes; a cancelled pass ends the spans that it has begun. Called on
 * the threads that compute; the calls for one model come one after the other, those for two models
 * may come at once if they are on two devices. Must not call the library. */
typedef void (*llmir_trace_fn)(const llmir_trace_event_t* event, void* user);

typedef struct llmir_runtime llmir_runtime_t;

typedef struct llmir_runtime_options {
    uint32_t struct_size;
    uint32_t thread_count; /* threads that compute, the caller's included; 0: one per physical core,
                              or what the executor says; 1: no thread is made */
    llmir_allocator_t allocator;
    llmir_log_fn log; /* NULL: silent */
    void* log_user;
    uint32_t cpu_level_max;    /* llmir_cpu_level_t of llmir_bundle.h to stay at or below; 0: the
                                  machine's best */
    uint32_t flags;            /* llmir_runtime_flag_t; unknown flags are INVALID_ARGUMENT */
    llmir_executor_t executor; /* zeros: own threads */
    llmir_trace_fn trace;      /* NULL: no tracing, no cost */
    void* trace_user;
    llmir_cache_t cache; /* zeros: nothing is kept from one start to the next */
} llmir_runtime_options_t;
#define LLMIR_RUNTIME_OPTIONS_INIT                                                    \
    {                                                                                 \
        (uint32_t)sizeof(llmir_runtime_options_t), 0, {NULL, NULL}, NULL, NULL, 0, 0, \
            {NULL, NULL, NULL}, NULL, NULL, {                                         \
            NULL, NULL, NULL                                                          \
        }                                                                             \
    }

typedef enum llmir_runtime_flag {
    LLMIR_RUNTIME_NO_BUNDLE_CODE =
        1u << 0, /* always use the built-in kernels, never code from a bundle */
} llmir_runtime_flag_t;

/* Creates a runtime. `options` NULL: all defaults.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_runtime_create(
    const llmir_runtime_options_t* options, llmir_runtime_t** out_runtime, llmir_error_t* error);

/* Its models must be gone. NULL is allowed, as in every destroy. Since 0.1. */
LLMIR_API void llmir_runtime_destroy(llmir_runtime_t* runtime);

/* Number of threads that compute, the caller's included. Threads: any. Since 0.1. */
LLMIR_API uint32_t llmir_runtime_thread_count(const llmir_runtime_t* runtime);

/* ---- Model ---- */

typedef struct llmir_model llmir_model_t;

typedef enum llmir_model_flag {
    LLMIR_MODEL_VERIFY =
        1u << 0, /* check the hash of every section, the weights' included, before use */
} llmir_model_flag_t;

typedef struct llmir_model_options {
    uint32_t struct_size;
    uint32_t flags;     /* llmir_model_flag_t */
    const char* device; /* "auto" (NULL): the best one that works; "cpu", "cuda", "vulkan"; or part
                           of a GPU's name. With ",cpu" behind it, and in "auto": if the model does
                           not fit the device's memory, the layers that do, and the rest on the
                           processor */
    uint32_t device_layers; /* decoder layers that run on the device, the rest on the processor; 0:
                               as said above; more than the model has: all of it, which is the
                               layers and what comes before and behind them */
    uint32_t reserved;
    uint64_t device_bytes; /* of the device's memory to use at most for weights, keys, values and
                              activations; what does not fit runs on the processor; 0: fifteen
                              sixteenths of what is free */
    const struct llmir_pool_options* pool; /* the pool that will be made, for whose memory room is
                                              left on the device; read during the call; NULL: the
                                              one of a session without a pool */
} llmir_model_options_t;
#define LLMIR_MODEL_OPTIONS_INIT {(uint32_t)sizeof(llmir_model_options_t), 0, NULL, 0, 0, 0, NULL}

/* Loads a bundle by mapping it; the file must not change while the model lives. Every section but
 * the weights is compared with its hash (LLMIR_MODEL_VERIFY: the weights too).
 *
 *   path        UTF-8, terminated.
 *   descriptor  an open file descriptor, borrowed for the call; the bundle is `bytes` long and
 *               begins at `offset`, a multiple of 64.
 *   data        kept by the model until it is destroyed; aligned to 64 bytes.
 *
 * Errors: IO, CORRUPT, UNSUPPORTED (newer format, no plan for this runtime), OUT_OF_MEMORY,
 * NOT_FOUND (the file; a device that is not part of this build), INVALID_ARGUMENT. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_model_load_file(llmir_runtime_t* runtime,
                      const char* path,
                      const llmir_model_options_t* options,
                      llmir_model_t** out_model,
                      llmir_error_t* error);

/* The same from an open file. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_model_load_descriptor(llmir_runtime_t* runtime,
                            int32_t descriptor,
                            uint64_t offset,
                            uint64_t bytes,
                            const llmir_model_options_t* options,
                            llmir_model_t** out_model,
                            llmir_error_t* error);

/* The same from memory. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_model_load_memory(llmir_runtime_t* runtime,
                        const void* data,
                        size_t bytes,
                        const llmir_model_options_t* options,
                        llmir_model_t** out_model,
                        llmir_error_t* error);

/* Its pools, sessions and grammars must be gone. Since 0.1. */
LLMIR_API void llmir_model_destroy(llmir_model_t* model);

typedef struct llmir_model_info {
    uint32_t struct_size;
    uint32_t vocab_count;   /* floats in a row of logits */
    uint32_t context_count; /* positions that the model was made for */
    uint32_t layer_count;
    uint32_t embedding_count;
    uint32_t kv_page_tokens; /* tokens in one page of the KV cache */
    uint64_t parameter_count;
    uint64_t bundle_bytes;
    const char* name;         /* owned by the model */
    const char* architecture; /* owned by the model */
    const char* device;       /* what runs it, e.g. "cpu", or "cuda: NAME (12 of 30 layers), cpu";
                                 owned by the model */
    const char* code;         /* "bundle x86-64-v3" or "built-in x86-64-v3"; owned by the model */
    const char*
        code_reason; /* why the bundle's code is not used; "" if it is; owned by the model */
} llmir_model_info_t;

/* Fills `inout_info`, whose struct_size the caller has set. Errors: INVALID_ARGUMENT. Threads: any.
 * Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_model_get_info(const llmir_model_t* model,
                                                               llmir_model_info_t* inout_info,
                                                               llmir_error_t* error);

/* What became of one kind of device when the model was loaded. */
typedef struct llmir_device_report {
    uint32_t struct_size;
    uint32_t is_taken;    /* 1: the model runs on it */
    int32_t status;       /* llmir_status_t: OK if it is taken or was not tried */
    const char* target;   /* "cpu", "cuda", "vulkan"; the strings are owned by the model */
    const char* device;   /* its name; "" if none was found */
    const char* reason;   /* why it was not taken, or only a part of the model runs on it, or its
                             driver refused the code for just this device; else "" */
    uint32_t layer_count; /* decoder layers that run on it */
    uint32_t reserved;
} llmir_device_report_t;

/* Tells of the kinds of device that this build knows, in the order in which "auto" tries them, why
 * each was taken or not: no driver, no device, no code in the bundle, too little memory, or a
 * self-test that failed.
 *   index  from 0; NOT_FOUND behind the last kind.
 * Errors: INVALID_ARGUMENT, NOT_FOUND. Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_model_device_report(const llmir_model_t* model,
                          uint32_t index,
                          llmir_device_report_t* inout_report,
                          llmir_error_t* error);

/* ---- Memory, announced before it is taken ---- */

/* How keys and values are stored. */
typedef enum llmir_kv_type {
    LLMIR_KV_F16 = 0,
    LLMIR_KV_F32 = 1, /* twice the memory, for checking */
    LLMIR_KV_Q8 = 2,  /* int8 with one scale a head and token: about half the memory of F16, and in
                         long contexts faster */
    LLMIR_KV_Q4 = 3,  /* keys as in Q8, values in int4: about two fifths of the memory of F16 */
} llmir_kv_type_t;

typedef struct llmir_pool_options {
    uint32_t struct_size;
    uint32_t context_tokens; /* KV positions of all sessions together, however they are spread over
                                them (shared ones count once); 0: the model's context; no session
                                uses more than that, so more are not taken */
    uint32_t session_count;  /* sessions alive at once; 0: 1 */
    uint32_t chunk_tokens;   /* most tokens computed in one pass; 0: the plan's recommendation */
    uint32_t output_rows;    /* most rows of logits in one pass; 0: session_count */
    uint32_t kv_type;        /* llmir_kv_type_t */
    uint32_t flags;          /* llmir_pool_flag_t; unknown flags are INVALID_ARGUMENT */
    uint32_t guess_tokens;   /* most tokens that a session with speculation guesses at once, each of
                                which takes a row of logits in every session; 0: none, at most
                                LLMIR_MAX_GUESS_TOKENS */
} llmir_pool_options_t;
#define LLMIR_MAX_GUESS_TOKENS 16u
#define LLMIR_POOL_OPTIONS_INIT {(uint32_t)sizeof(llmir_pool_options_t), 0, 0, 0, 0, 0, 0, 0}

typedef enum llmir_pool_flag {
    /* Layers that look back by a window keep all positions, like the others. Without it they keep
     * their window, which takes much less memory; moving a session back by more than about 64
     * tokens (llmir_session_truncate) then may mean that the next call computes its tokens again.
     * Results are the same. */
    LLMIR_POOL_WHOLE_WINDOWS = 1u << 0,
} llmir_pool_flag_t;

typedef struct llmir_memory_plan {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t
        weights_bytes; /* of the bundle's weights: mapped or borrowed, never copied on the CPU */
    uint64_t kv_bytes; /* pages */
    uint64_t activation_bytes; /* buffers of one pass, logits included */
    uint64_t state_bytes;      /* page tables, batches, sampler and stream state */
    uint64_t arena_bytes;      /* kv + activation + state: what llmir_pool_create takes from the
                                  allocator, and from the memory of devices other than the processor */
    uint64_t device_bytes;     /* in the memory of such devices: their weights, and their share of
                                  arena_bytes */
} llmir_memory_plan_t;

/* Answers exactly what a pool with these options takes. `options` NULL: defaults.
 * Errors: INVALID_ARGUMENT, CAPACITY (sizes beyond the address space). Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_model_memory_plan(const llmir_model_t* model,
                        const llmir_pool_options_t* options,
                        llmir_memory_plan_t* inout_plan,
                        llmir_error_t* error);

typedef struct llmir_pool llmir_pool_t;

/* Creates the memory in which up to `session_count` sessions of a model run. This is the last
 * allocation: nothing is allocated by sessions, decoding or sampling afterwards. Errors:
 * INVALID_ARGUMENT, OUT_OF_MEMORY, CAPACITY. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_pool_create(llmir_model_t* model,
                                                            const llmir_pool_options_t* options,
                                                            llmir_pool_t** out_pool,
                                                            llmir_error_t* error);

/* Its sessions must be gone. Since 0.1. */
LLMIR_API void llmir_pool_destroy(llmir_pool_t* pool);

/* What a pool has done since it was created, and what it holds. A page that is neither free nor
 * cached is held by a session. */
typedef struct llmir_pool_stats {
    uint32_t struct_size;
    uint32_t page_count;
    uint32_t free_page_count;
    uint32_t cached_page_count; /* held by no session; given up when room is needed */
    uint32_t page_tokens;       /* positions of a page */
    uint32_t reserved;
    uint64_t computed_token_count; /* tokens that went through the model */
    uint64_t reused_token_count;   /* tokens fed whose keys and values were there already */
    uint64_t evicted_page_count;   /* cached pages given up */
    uint64_t copied_page_count;    /* pages copied because a session changed a shared one */
    /* Pages of layers with a window, where these keep no more than that; else zeros. */
    uint32_t window_page_count;
    uint32_t free_window_page_count;
    uint32_t cached_window_page_count;
    uint32_t reserved2;
    uint64_t guessed_token_count;  /* by speculation, and computed */
    uint64_t accepted_token_count; /* of those, the ones that were sampled then */
} llmir_pool_stats_t;

/* Fills `inout_stats`, whose struct_size the caller has set.
 * Threads: as the pool. Memory: allocates nothing. Errors: INVALID_ARGUMENT. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_pool_get_stats(const llmir_pool_t* pool,
                                                               llmir_pool_stats_t* inout_stats,
                                                               llmir_error_t* error);

/* ---- Session ---- */

#define LLMIR_MAX_DRY_BREAKERS 16u
#define LLMIR_MAX_LOGIT_BIAS 64u

/* Steps from logits to the draw whose order can be chosen. Logit bias comes before all of them,
 * then the grammar. docs/SAMPLING.md has the formulas. */
typedef enum llmir_sampler_step {
    LLMIR_SAMPLER_PENALTIES = 1, /* repetition, then frequency and presence */
    LLMIR_SAMPLER_DRY = 2,
    LLMIR_SAMPLER_TOP_K = 3,
    LLMIR_SAMPLER_TEMPERATURE = 4,
    LLMIR_SAMPLER_TYPICAL = 5,
    LLMIR_SAMPLER_TOP_P = 6,
    LLMIR_SAMPLER_MIN_P = 7,
} llmir_sampler_step_t;

/* Is added to the logit of a token. */
typedef struct llmir_logit_bias {
    int32_t token;
    float bias; /* finite; -1000 forbids as a rule, 1000 forces; several of one token add up */
} llmir_logit_bias_t;

/* Whatever is not finite or out of range is INVALID_ARGUMENT. Where temperature is 0, the largest
 * logit after bias, grammar, penalties and DRY is taken, and the other steps do not matter. */
typedef struct llmir_sampler_options {
    uint32_t struct_size;
    uint32_t top_k;             /* the k likeliest stay; 0: off */
    float temperature;          /* 0: greedy (the lowest id among equals) */
    float top_p;                /* the likeliest stay that together have this share; 0 or 1: off */
    float min_p;                /* what is less than this times the likeliest goes; 0: off */
    float repetition_penalty;   /* 0 or 1: off; > 1 makes recent tokens less likely */
    uint32_t repetition_window; /* last tokens that penalties count; 0: 64, at most 1024 */
    uint32_t dry_window;        /* last tokens that DRY looks at; 0: 1024, at most 1024 */
    uint64_t seed;              /* equal seeds give equal output */
    float frequency_penalty;    /* taken off once for each time that a token is in the window */
    float presence_penalty;     /* taken off if it is in the window */
    float typical_p;      /* those stay whose information is nearest to the entropy, as many as have
                             this share; 0 or 1: off */
    float dry_multiplier; /* 0: off. A token that would continue a repetition of n tokens loses
                             multiplier * base^(n - allowed_length) if n is at least that */
    float dry_base;       /* 0: 1.75; else at least 1 */
    uint32_t dry_allowed_length;          /* 0: 2 */
    uint32_t dry_breaker_count;           /* at most LLMIR_MAX_DRY_BREAKERS */
    uint32_t logit_bias_count;            /* at most LLMIR_MAX_LOGIT_BIAS */
    const int32_t* dry_breakers;          /* tokens that no repetition goes across; copied */
    const llmir_logit_bias_t* logit_bias; /* copied */
    uint8_t order[8]; /* llmir_sampler_step_t, each at most once, ended by 0; steps not named are
                         left out. All zeros: all, in the order of their numbers */
} llmir_sampler_options_t;
#define LLMIR_SAMPLER_OPTIONS_INIT              \
    {(uint32_t)sizeof(llmir_sampler_options_t), \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     NULL,                                      \
     NULL,                                      \
     {0}}

/* ---- Grammar ---- */

/* Generation that follows a grammar: only tokens are sampled whose text the grammar allows, so that
 * the output, where it ends by itself, is a text of the grammar. A token that ends the model's turn
 * is allowed where the text may end; where nothing else can follow, the generation finishes with
 * LLMIR_FINISH_END. The grammar begins anew with each generation. */
typedef struct llmir_grammar llmir_grammar_t;

typedef enum llmir_grammar_kind {
    /* Rules `name ::= ...`, from `root`: "literal", [a-z] and [^a-z], . (any character), names,
     * (groups), | (or), and repetition ? * + {m} {m,} {m,n}; # begins a comment. Escapes in
     * literals and classes: \n \r \t \\ \" \xHH \uHHHH \UHHHHHHHH. A rule ends with its line; lines
     * may end inside parentheses and around |. Rules may be recursive, but not left-recursive. */
    LLMIR_GRAMMAR_GBNF = 1,
    /* A JSON schema: type, properties (in their order), required, additionalProperties (behind
     * them; without it there are none beside properties), items, minItems, maxItems, minLength,
     * maxLength, format (date, time, date-time, uuid), enum, const, anyOf, oneOf (as anyOf), $ref
     * inside the text. `{}` or `true`: any JSON. Keywords that only describe are skipped; all
     * others are UNSUPPORTED. */
    LLMIR_GRAMMAR_JSON_SCHEMA = 2,
} llmir_grammar_kind_t;

/* Compiles a grammar for the model's vocabulary.
 *   text  UTF-8, at most 1 MiB, read during the call only.
 * Owns:    the model must outlive it; sessions that use it must go first.
 * Threads: any number of sessions on any threads may use one grammar at once.
 * Memory:  all that it will ever take, from the runtime's allocator; with the model's first grammar
 *          also what all of them share, a tree of its vocabulary, which stays with the model.
 * Time:    the first token at each place of a grammar costs a look at the whole vocabulary, a few
 *          milliseconds, in which llmir_session_cancel is not seen; what is found is kept.
 * Errors:  INVALID_ARGUMENT with line and column; UNSUPPORTED (a keyword of a schema; a bundle
 *          without tokenizer); OUT_OF_MEMORY. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_grammar_create(const llmir_model_t* model,
                                                               llmir_grammar_kind_t kind,
                                                               const char* text,
                                                               size_t text_bytes,
                                                               llmir_grammar_t** out_grammar,
                                                               llmir_error_t* error);

/* The sessions that use it must be gone. Since 0.1. */
LLMIR_API void llmir_grammar_destroy(llmir_grammar_t* grammar);

/* ---- Session options ---- */

#define LLMIR_MAX_STOP_STRINGS 16u
#define LLMIR_MAX_STOP_BYTES 64u
#define LLMIR_MAX_STOP_TOKENS 16u
#define LLMIR_MAX_TOP_LOGPROBS 20u

/* What happens when a session's context is full. Rolling keeps the session going: the first
 * `sink_tokens` tokens and the newer half of the others stay, the older half is forgotten. The kept
 * ones move to the positions behind the sinks and are computed again, so that what follows is what
 * a session would say that had been fed the kept tokens alone, and costs about one more computed
 * token for each token generated. Positions never pass the context, so any model can roll. */
typedef enum llmir_overflow {
    LLMIR_OVERFLOW_STOP = 0,  /* llmir_session_next finishes with CONTEXT, feeding is CAPACITY */
    LLMIR_OVERFLOW_ERROR = 1, /* both are CAPACITY */
    LLMIR_OVERFLOW_ROLL = 2, /* llmir_session_feed and llmir_session_next roll; llmir_pool_feed does
                                not and is CAPACITY */
} llmir_overflow_t;

/* Guessing the next tokens and computing them together with the one that was sampled: where the
 * guesses are what is sampled then, their logits are there already. What is said is the same, bit
 * by bit, with any sampler and grammar. Guesses are few where they prove wrong. */
typedef enum llmir_speculation {
    LLMIR_SPECULATION_NONE = 0,
    LLMIR_SPECULATION_LOOKUP = 1, /* what followed the last tokens earlier in the session: for
                                     summaries, edits, code and other text that repeats */
    LLMIR_SPECULATION_DRAFT = 2,  /* what a smaller model says: `draft` */
} llmir_speculation_t;

typedef struct llmir_session llmir_session_t;

typedef struct llmir_session_options {
    uint32_t struct_size;
    uint32_t stop_count;             /* at most LLMIR_MAX_STOP_STRINGS */
    const char* const* stop_strings; /* each 1 .. LLMIR_MAX_STOP_BYTES bytes of UTF-8; copied */
    const llmir_sampler_options_t* sampler; /* NULL: greedy */
    uint32_t context_tokens;                /* private pool only: see llmir_pool_options_t */
    uint32_t chunk_tokens;                  /* private pool only */
    uint32_t kv_type;                       /* private pool only */
    uint32_t flags;                         /* llmir_session_flag_t */
    uint32_t max_tokens;      /* generated after a feed before LLMIR_FINISH_LIMIT; 0: no limit */
    uint32_t overflow;        /* llmir_overflow_t */
    uint32_t sink_tokens;     /* ROLL: tokens at the start that stay, at most half of the context */
    uint32_t top_logprobs;    /* with LLMIR_SESSION_LOGPROBS: how many of the likeliest tokens each
                                 piece names, at most LLMIR_MAX_TOP_LOGPROBS */
    llmir_grammar_t* grammar; /* NULL: none; kept until the session is destroyed */
    const int32_t* stop_tokens; /* ids that end the generation as stop strings do; copied */
    uint32_t stop_token_count;  /* at most LLMIR_MAX_STOP_TOKENS */
    uint32_t speculation;       /* llmir_speculation_t */
    llmir_session_t* draft;     /* DRAFT: a session of a smaller model with the same vocabulary, in
                                   another pool, kept and used alone by this session; its text is
                                   what this one says, ahead of it */
} llmir_session_options_t;
#define LLMIR_SESSION_OPTIONS_INIT              \
    {(uint32_t)sizeof(llmir_session_options_t), \
     0,                                         \
     NULL,                                      \
     NULL,                                      \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     0,                                         \
     NULL,                                      \
     NULL,                                      \
     0,                                         \
     0,                                         \
     NULL}

typedef enum llmir_session_flag {
    LLMIR_SESSION_IGNORE_END = 1u << 0, /* end-of-turn tokens do not stop generation (benchmarks) */
    LLMIR_SESSION_NO_SHARING =
        1u << 1, /* neither takes pages that other sessions of the pool have computed nor leaves its
                    own to them: nobody can tell by the time taken what was fed here */
    LLMIR_SESSION_LOGPROBS = 1u << 2, /* pieces carry log-probabilities: see llmir_piece_t */
} llmir_session_flag_t;

/* Creates a session in `pool`, or with a private pool for one session if `pool` is NULL.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, CAPACITY (no free session in the pool). Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_session_create(llmir_model_t* model,
                     llmir_pool_t* pool,
                     const llmir_session_options_t* options,
                     llmir_session_t** out_session,
                     llmir_error_t* error);

/* Gives its pages back, and its private pool, if it has one. Since 0.1. */
LLMIR_API void llmir_session_destroy(llmir_session_t* session);

/* Creates a session in the pool of `session` that goes on from the same point: same position,
 * logits, options, sampler state and text held back. Takes O(pages) time and no memory: pages are
 * shared until one of the two changes them. Set a sampler with another seed to get another text.
 * Errors: INVALID_ARGUMENT, CAPACITY (no free session in the pool; private pools have one). Since
 * 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_fork(const llmir_session_t* session,
                                                             llmir_session_t** out_session,
                                                             llmir_error_t* error);

/* Forgets everything fed so far: position 0, no KV pages, sampler as after creation. Since 0.1. */
LLMIR_API void llmir_session_reset(llmir_session_t* session);

/* Forgets the tokens from `position` on; the next token fed gets that position. Pages shared with
 * other sessions stay theirs. Generation state ends. See LLMIR_POOL_WHOLE_WINDOWS for what moving
 * far back costs in models with windows. Errors: INVALID_ARGUMENT (beyond the current position).
 * Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_truncate(llmir_session_t* session,
                                                                 uint32_t position,
                                                                 llmir_error_t* error);

/* Tokens fed and generated so far that are in the KV cache. Threads: as the session. Since 0.1. */
LLMIR_API uint32_t llmir_session_position(const llmir_session_t* session);

/* Feeds tokens and leaves the logits of the last one in the session.
 *   tokens       ids in [0, vocab_count), read during the call only.
 *   token_count  any count >= 1 that fits the context; computed in chunks of at most chunk_tokens.
 * After CANCELLED, DEADLINE or CAPACITY the session is as before the call. A generation that was
 * under way ends: the next llmir_session_next begins a new one, without text held back by the last.
 * With LLMIR_OVERFLOW_ROLL any number of tokens fits.
 * Errors: INVALID_ARGUMENT, CAPACITY (context or pages used up), CANCELLED, DEADLINE, DEVICE_LOST.
 * Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_feed(llmir_session_t* session,
                                                             const int32_t* tokens,
                                                             size_t token_count,
                                                             llmir_error_t* error);

/* How many of `tokens`, were they fed now, need not be computed, because a session of the pool has
 * computed the same sequence and its pages are still there. A multiple of the page's tokens and
 * less than `token_count`. llmir_session_feed takes such pages by itself. 0 for NULL.
 * Threads: as the pool. Memory: allocates nothing. Since 0.1. */
LLMIR_API size_t llmir_session_cached(const llmir_session_t* session,
                                      const int32_t* tokens,
                                      size_t token_count);

/* Takes those pages: the session's position moves behind them, the caller feeds the rest, for
 * example with llmir_pool_feed, which takes none by itself. If any are taken the session has no
 * logits until it is fed.
 *   out_count  tokens taken, as llmir_session_cached counts them.
 * Memory: allocates nothing. Errors: INVALID_ARGUMENT. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_reuse(llmir_session_t* session,
                                                              const int32_t* tokens,
                                                              size_t token_count,
                                                              size_t* out_count,
                                                              llmir_error_t* error);

/* Logits of the last token fed: f32 [vocab_count], valid until the next call that feeds, generates,
 * truncates or destroys. A GPU keeps them until they are asked for. NULL if there are none, or a
 * pass that failed has overwritten them. Since 0.1. */
LLMIR_API const float* llmir_session_logits(const llmir_session_t* session);

/* One item of a batch: tokens fed to one session. */
typedef struct llmir_feed {
    llmir_session_t* session;
    const int32_t* tokens;
    size_t token_count; /* at least 1; the sum over the batch is at most the pool's chunk_tokens */
    float* all_logits;  /* NULL, or f32 [token_count][vocab_count] that receives the logits of every
                           token */
} llmir_feed_t;

/* Feeds several sessions of one pool in one pass. The results are the same bits as feeding each
 * alone. With all_logits, token_count must not exceed the pool's output_rows less those of the
 * other items. Errors: as llmir_session_feed; on failure no session has changed. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_pool_feed(llmir_pool_t* pool,
                                                          const llmir_feed_t* feeds,
                                                          size_t feed_count,
                                                          llmir_error_t* error);

typedef enum llmir_finish {
    LLMIR_FINISH_NONE = 0,  /* more may follow */
    LLMIR_FINISH_END = 1,   /* the model ended its turn */
    LLMIR_FINISH_STOP = 2,  /* a stop string or a stop token was met; it is not part of the text */
    LLMIR_FINISH_LIMIT = 3, /* max_tokens reached */
    LLMIR_FINISH_CONTEXT = 4, /* the context is full */
} llmir_finish_t;

typedef struct llmir_token_logprob {
    int32_t token;
    float logprob;
} llmir_token_logprob_t;

/* One step of generation. Log-probabilities are natural logarithms of the softmax of the model's
 * logits as they are: before logit bias, grammar, penalties, temperature and every other step of
 * the sampler, so that they say what the model thinks, not how likely the sampler was to choose.
 * They are finite, at least -FLT_MAX, and 0 without LLMIR_SESSION_LOGPROBS or where no token was
 * sampled. */
typedef struct llmir_piece {
    int32_t token;    /* the token sampled, -1 if none was */
    int32_t finish;   /* llmir_finish_t */
    const char* text; /* valid UTF-8, not terminated; owned by the session until its next call */
    size_t
        text_bytes; /* 0 while bytes are held back that may become a character or a stop string */
    float logprob;  /* of the token sampled */
    uint32_t top_count;
    const llmir_token_logprob_t*
        top; /* [top_count], the likeliest first, the lower id first among equals; owned as text */
} llmir_piece_t;

/* Samples a token from the current logits, feeds it and returns the text that became certain. Bytes
 * that no UTF-8 character can begin with come out as U+FFFD. After a finish other than NONE, text
 * held back has been delivered, and the next call continues only after more tokens were fed. The
 * token that finishes with END, STOP or CONTEXT is not fed; its text, where it has one, is part of
 * the piece, unless it is a stop token.
 * Errors: INVALID_ARGUMENT (no logits: feed first), CANCELLED and DEADLINE (call again to go on),
 * DEVICE_LOST; CAPACITY (a grammar's text is nested too deeply).
 * Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_next(llmir_session_t* session,
                                                             llmir_piece_t* out_piece,
                                                             llmir_error_t* error);

/* Replaces the sampler of a session; its state starts afresh. Errors: INVALID_ARGUMENT. Since 0.1.
 */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_set_sampler(
    llmir_session_t* session, const llmir_sampler_options_t* sampler, llmir_error_t* error);

/* Makes a running or the next feed or next of the session return CANCELLED, within milliseconds:
 * threads look between small parts of a dispatch.
 * Threads: any, also from a signal handler. Since 0.1. */
LLMIR_API void llmir_session_cancel(llmir_session_t* session);

/* Takes the cancellation back. Since 0.1. */
LLMIR_API void llmir_session_clear_cancel(llmir_session_t* session);

/* Gives the session `timeout_ns` from now on: what runs or begins later returns DEADLINE, as
 * promptly as cancelled work does, and leaves the session as before the call, until another
 * deadline is set. 0: no deadline, as after creation; rounded up to milliseconds, at most 24 days.
 * In llmir_pool_feed the earliest deadline counts for all.
 * Threads: any, also while the session computes. Memory: allocates nothing. Since 0.1. */
LLMIR_API void llmir_session_set_deadline(llmir_session_t* session, uint64_t timeout_ns);

/* ---- Scheduler ----
 *
 * Many requests on one model, computed together: each pass takes the next token of every request
 * that is being answered and, up to chunk_tokens, prompts of those that have just begun. Whatever
 * runs beside it, a request's output is, bit by bit, what a session alone would say.
 *
 * Requests go by rank: a level of priority counts as much as having been submitted
 * LLMIR_SCHEDULER_PRIORITY_PASSES passes earlier, so that none waits for ever. If sessions or pages
 * run out, those of the last rank lose them and go on later, from the swap space or by computing
 * their tokens again. A request whose pieces nobody takes stops after a few and keeps no one
 * waiting. */

#define LLMIR_SCHEDULER_PRIORITY_PASSES 256

typedef struct llmir_scheduler llmir_scheduler_t;
typedef struct llmir_request llmir_request_t;

typedef enum llmir_scheduler_flag {
    LLMIR_SCHEDULER_THREAD = 1u << 0, /* computes on a thread of its own; else the application calls
                                         llmir_scheduler_step */
    LLMIR_SCHEDULER_WHOLE_WINDOWS = 1u << 1, /* LLMIR_POOL_WHOLE_WINDOWS */
} llmir_scheduler_flag_t;

typedef struct llmir_scheduler_options {
    uint32_t struct_size;
    uint32_t flags;          /* llmir_scheduler_flag_t; unknown flags are INVALID_ARGUMENT */
    uint32_t context_tokens; /* KV positions of all requests together, as in llmir_pool_options_t */
    uint32_t session_count;  /* requests computed at once; 0: 8 */
    uint32_t request_count;  /* requests submitted and not destroyed; 0: 64 */
    uint32_t chunk_tokens; /* most tokens of one pass, raised to 2 * (session_count + guess_tokens);
                              0: the plan's recommendation. Smaller ones keep answers flowing while
                              a long prompt is read */
    uint32_t kv_type;      /* llmir_kv_type_t */
    uint32_t guess_tokens; /* as in llmir_pool_options_t; requests may ask for LOOKUP then */
    void* swap; /* where requests that lost their pages are kept, or NULL: they are computed again.
                   The application's, until the scheduler is destroyed */
    size_t swap_bytes;
} llmir_scheduler_options_t;
#define LLMIR_SCHEDULER_OPTIONS_INIT \
    {(uint32_t)sizeof(llmir_scheduler_options_t), 0, 0, 0, 0, 0, 0, 0, NULL, 0}

/* Answers exactly what llmir_scheduler_create takes from the allocator; state_bytes include the
 * requests' tokens and pieces. Errors: as llmir_scheduler_create. Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_scheduler_memory_plan(const llmir_model_t* model,
                            const llmir_scheduler_options_t* options,
                            llmir_memory_plan_t* inout_plan,
                            llmir_error_t* error);

/* Creates a scheduler with its pool. This is the last allocation. `options` NULL: defaults.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY (also for threads), CAPACITY, UNSUPPORTED (a thread where
 * there are none). Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_scheduler_create(llmir_model_t* model,
                       const llmir_scheduler_options_t* options,
                       llmir_scheduler_t** out_scheduler,
                       llmir_error_t* error);

/* Stops what is running and takes everything back, the requests too: their handles are dead. No
 * other thread may be in a call on the scheduler or its requests. */
LLMIR_API void llmir_scheduler_destroy(llmir_scheduler_t* scheduler);

/* Does the next piece of work, at most one pass, on the calling thread.
 *   out_has_work  whether calling again would do something before anything else happens; may be
 *                 NULL.
 * Threads: any, one after the other. Memory: allocates nothing. Errors: INVALID_ARGUMENT (the
 * scheduler has a thread of its own); what goes wrong with a request is that request's. Since 0.1.
 */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_scheduler_step(llmir_scheduler_t* scheduler,
                                                               int32_t* out_has_work,
                                                               llmir_error_t* error);

typedef struct llmir_request_options {
    uint32_t struct_size;
    int32_t priority;                       /* -1000 to 1000; larger is sooner */
    const int32_t* tokens;                  /* the prompt; copied */
    size_t token_count;                     /* at least 1; fits a session's context */
    const llmir_session_options_t* session; /* sampler, stop strings, limit, grammar (kept until the
                                               request is destroyed); overflow is STOP. NULL:
                                               defaults */
    uint64_t timeout_ns;                    /* from now to its end, waiting included; 0: none */
} llmir_request_options_t;
#define LLMIR_REQUEST_OPTIONS_INIT {(uint32_t)sizeof(llmir_request_options_t), 0, NULL, 0, NULL, 0}

/* Submits a request. It belongs to the caller until llmir_request_destroy.
 * Threads: any. Memory: allocates nothing. Errors: INVALID_ARGUMENT, CAPACITY (all of
 * request_count are alive; a prompt longer than the context), UNSUPPORTED (overflow other than
 * STOP, speculation by a draft). Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t
llmir_scheduler_submit(llmir_scheduler_t* scheduler,
                       const llmir_request_options_t* options,
                       llmir_request_t** out_request,
                       llmir_error_t* error);

/* Takes the next piece, waiting for it for up to `timeout_ns` (UINT64_MAX: as long as it takes; 0:
 * not at all, which is how the thread that calls llmir_scheduler_step asks). If there is none yet,
 * the piece is empty: token -1, no text, finish NONE. The piece's text is the request's until its
 * next call.
 * Threads: any, one at a time per request. Memory: allocates nothing. Errors: those of the request,
 * after the pieces that came before: CANCELLED, DEADLINE, DEVICE_LOST, CAPACITY, ...;
 * INVALID_ARGUMENT (also after the piece that finished it). Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_request_next(llmir_request_t* request,
                                                             uint64_t timeout_ns,
                                                             llmir_piece_t* out_piece,
                                                             llmir_error_t* error);

/* Ends the request with CANCELLED within milliseconds. Threads: any. Since 0.1. */
LLMIR_API void llmir_request_cancel(llmir_request_t* request);

/* Gives the request back, cancelling what is left of it. Does not wait. Threads: any. Since 0.1. */
LLMIR_API void llmir_request_destroy(llmir_request_t* request);

typedef enum llmir_request_state {
    LLMIR_REQUEST_QUEUED = 1, /* also when it has lost its pages */
    LLMIR_REQUEST_RUNNING = 2,
    LLMIR_REQUEST_FINISHED = 3,
} llmir_request_state_t;

typedef struct llmir_request_info {
    uint32_t struct_size;
    uint32_t state; /* llmir_request_state_t */
    int32_t status; /* llmir_status_t that it finished with */
    uint32_t prompt_token_count;
    uint32_t reused_token_count; /* of the prompt: keys and values were there already */
    uint32_t generated_token_count;
    uint32_t preempted_count; /* times that it lost its pages */
    uint32_t reserved;
    uint64_t queue_ns;       /* from submission to its first session; 0: still waiting */
    uint64_t first_token_ns; /* from submission to its first token; 0: none yet */
    uint64_t total_ns;       /* from submission to its end; 0: not ended */
} llmir_request_info_t;

/* Fills `inout_info`, whose struct_size the caller has set. Threads: any. Errors: INVALID_ARGUMENT.
 * Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_request_get_info(const llmir_request_t* request,
                                                                 llmir_request_info_t* inout_info,
                                                                 llmir_error_t* error);

/* What a scheduler has done, and what it does now. Percentiles are of the last 256 requests that
 * got a first token; 0 before the first. */
typedef struct llmir_scheduler_stats {
    uint32_t struct_size;
    uint32_t queued_count;
    uint32_t running_count;
    uint32_t alive_count; /* submitted and not destroyed */
    uint64_t submitted_count;
    uint64_t refused_count;  /* by CAPACITY */
    uint64_t finished_count; /* whole */
    uint64_t failed_count;   /* cancelled, late, and others */
    uint64_t preempted_count;
    uint64_t swapped_count; /* preempted into the swap space */
    uint64_t pass_count;
    uint64_t busy_ns;              /* in passes */
    uint64_t computed_token_count; /* as in llmir_pool_stats_t, and the next three */
    uint64_t reused_token_count;   /* prompt tokens found in the cache */
    uint32_t page_count;
    uint32_t free_page_count; /* cached ones included */
    uint64_t generated_token_count;
    uint64_t batched_sequence_count; /* sum over the passes; by pass_count: mean batch */
    float tokens_per_second;         /* generated, in the last 64 passes, pauses left out */
    uint32_t reserved;
    uint64_t
        first_token_ns[3]; /* from submission to the first token: half, 90 %, 99 % are faster */
    uint64_t guessed_token_count; /* as in llmir_pool_stats_t, and the next */
    uint64_t accepted_token_count;
} llmir_scheduler_stats_t;

/* Fills `inout_stats`, whose struct_size the caller has set.
 * Threads: any. Memory: allocates nothing. Errors: INVALID_ARGUMENT. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_scheduler_get_stats(
    const llmir_scheduler_t* scheduler, llmir_scheduler_stats_t* inout_stats, llmir_error_t* error);

/* ---- Saved sessions ---- */

/* Take or bring exactly `bytes` bytes; anything but OK ends the call with IO. Called on the calling
 * thread, from the first byte to the last; must not use the session or its pool. */
typedef llmir_status_t (*llmir_write_fn)(const void* data, size_t bytes, void* user);
typedef llmir_status_t (*llmir_read_fn)(void* data, size_t bytes, void* user);

/* Bytes that llmir_session_save would write now. 0 for NULL. Threads: as the session. Since 0.1. */
LLMIR_API uint64_t llmir_session_saved_bytes(const llmir_session_t* session);

/* Writes the session: tokens, full pages of keys and values, and where its generation and its
 * sampler are. Options (sampler, stop strings, limits) are the application's to keep. The data is
 * the same for every target and bound to the bundle and the kv_type.
 * Memory: allocates nothing. Errors: INVALID_ARGUMENT, IO (what the callback returned),
 * DEVICE_LOST. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_save(llmir_session_t* session,
                                                             llmir_write_fn write,
                                                             void* user,
                                                             llmir_error_t* error);

/* Makes the session what was saved; its options, the grammar among them, are to be those of the one
 * that was saved. It goes on with the same bits, in a pool of any size that has
 * room. Computes up to one page of tokens. The data may come from anywhere: what is not a saved
 * session of this bundle is refused, and restored pages are not shared with other sessions. On
 * failure the session is empty, as after llmir_session_reset.
 * Memory: allocates nothing. Errors: INVALID_ARGUMENT (another bundle or kv_type), CORRUPT,
 * UNSUPPORTED (another version), CAPACITY, IO, CANCELLED, DEADLINE, DEVICE_LOST. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_restore(llmir_session_t* session,
                                                                llmir_read_fn read,
                                                                void* user,
                                                                llmir_error_t* error);

/* The same with a file. It is written beside its place, as `path`.partial, readable by its owner
 * alone, and takes the place of an older one only when it is complete and on the disk.
 *   path  UTF-8, terminated.
 * Errors: as above; NOT_FOUND; UNSUPPORTED also on systems without files. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_save_file(llmir_session_t* session,
                                                                  const char* path,
                                                                  llmir_error_t* error);

/* Restores from a file. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_session_restore_file(llmir_session_t* session,
                                                                     const char* path,
                                                                     llmir_error_t* error);

/* ---- Tokenizer ---- */

typedef enum llmir_tokenize_flag {
    LLMIR_TOKENIZE_ADD_BOS =
        1u << 0, /* begin with the model's begin-of-text token, if it uses one */
    LLMIR_TOKENIZE_SPECIAL = 1u << 1, /* text such as "<|im_end|>" becomes the special token */
} llmir_tokenize_flag_t;

/* Turns text into token ids, in time linear in `text_bytes`.
 *   text        any bytes; invalid UTF-8 is handled as the model's own tokenizer handles it.
 *   tokens      receives at most `capacity` ids; NULL with capacity 0 to ask for the count.
 *   out_count   number of ids of the whole text, also if larger than capacity (then CAPACITY is
 * returned). Memory: from the runtime's allocator during the call. Errors: INVALID_ARGUMENT,
 * CAPACITY, OUT_OF_MEMORY, UNSUPPORTED (bundle without tokenizer). Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_model_tokenize(const llmir_model_t* model,
                                                               const char* text,
                                                               size_t text_bytes,
                                                               uint32_t flags,
                                                               int32_t* tokens,
                                                               size_t capacity,
                                                               size_t* out_count,
                                                               llmir_error_t* error);

/* Turns ids into bytes: the concatenation of the tokens' bytes, not necessarily valid UTF-8 if cut
 * inside a character. flags       LLMIR_TOKENIZE_SPECIAL: special tokens appear as their text, else
 * they are left out. text        receives at most `capacity` bytes, without terminator; out_bytes
 * as out_count above. Errors: as llmir_model_tokenize; INVALID_ARGUMENT also for an id out of
 * range. Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_model_detokenize(const llmir_model_t* model,
                                                                 const int32_t* tokens,
                                                                 size_t token_count,
                                                                 uint32_t flags,
                                                                 char* text,
                                                                 size_t capacity,
                                                                 size_t* out_bytes,
                                                                 llmir_error_t* error);

/* Whether the token ends the model's turn. False for ids out of range. Threads: any. Since 0.1. */
LLMIR_API int32_t llmir_model_is_end_token(const llmir_model_t* model, int32_t token);

/* ---- Chat ---- */

typedef struct llmir_message {
    const char* role;    /* "system", "user" or "assistant", terminated */
    const char* content; /* UTF-8; special tokens in it are taken as plain text */
    size_t content_bytes;
} llmir_message_t;

typedef enum llmir_chat_flag {
    LLMIR_CHAT_GENERATE = 1u << 0, /* end with the opening of an assistant turn */
    LLMIR_CHAT_CONTINUE =
        1u << 1, /* the messages follow others already fed: no begin-of-text, no default system
                    prompt; first closes the assistant turn that the session has just generated */
} llmir_chat_flag_t;

/* Turns messages into token ids by the model's chat template. Sizes and capacity as in
 * llmir_model_tokenize. Errors: INVALID_ARGUMENT (unknown role, order that the template forbids),
 * CAPACITY, OUT_OF_MEMORY, UNSUPPORTED (bundle without template). Threads: any. Since 0.1. */
LLMIR_API LLMIR_MUST_CHECK llmir_status_t llmir_model_chat(const llmir_model_t* model,
                                                           const llmir_message_t* messages,
                                                           size_t message_count,
                                                           uint32_t flags,
                                                           int32_t* tokens,
                                                           size_t capacity,
                                                           size_t* out_count,
                                                           llmir_error_t* error);

#ifdef __cplusplus
}
#endif

#endif /* LLMIR_H */
