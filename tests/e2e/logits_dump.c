/* logits_dump BUNDLE [options] < ids: writes the logits of every token fed, as raw f32 rows, to
 * standard output. The probe of the end-to-end tests: threads, chunks, code path, KV type and a
 * neighbour session can be varied, and the bytes must not change. Ids are read as decimal numbers
 * from standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system.h"
#include "llmir.h"

typedef struct dump_options {
    const char* bundle;
    uint32_t threads, chunk, level, kv_type;
    int no_code, neighbour, verify;
} dump_options_t;

static int fail(const char* what, const llmir_error_t* error) {
    fprintf(stderr, "logits_dump: error: %s: %s\n", what, error->message);
    return 1;
}

static int parse_options(int argc, char** argv, dump_options_t* out) {
    *out = (dump_options_t){.bundle = argc > 1 ? argv[1] : NULL, .threads = 1};
    for (int i = 2; i < argc; ++i) {
        const char* name = argv[i];
        if (strcmp(name, "--no-code") == 0) {
            out->no_code = 1;
        } else if (strcmp(name, "--neighbour") == 0) {
            out->neighbour = 1;
        } else if (strcmp(name, "--verify") == 0) {
            out->verify = 1;
        } else if (i + 1 >= argc) {
            return 0;
        } else {
            const uint32_t value = (uint32_t)strtoul(argv[++i], NULL, 0);
            if (strcmp(name, "--threads") == 0) {
                out->threads = value;
            } else if (strcmp(name, "--chunk") == 0) {
                out->chunk = value;
            } else if (strcmp(name, "--level") == 0) {
                out->level = value;
            } else if (strcmp(name, "--kv") == 0) {
                out->kv_type = value;
            } else {
                return 0;
            }
        }
    }
    return out->bundle != NULL;
}

/* Returns a heap array of the ids on standard input; *out_count 0 if there are none. */
static int32_t* read_ids(size_t* out_count) {
    size_t capacity = 0;
    int32_t* ids = NULL;
    long id;
    *out_count = 0;
    while (scanf("%ld", &id) == 1) {
        if (*out_count == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            int32_t* grown = realloc(ids, capacity * sizeof(*ids));
            if (grown == NULL) {
                free(ids);
                *out_count = 0;
                return NULL;
            }
            ids = grown;
        }
        ids[(*out_count)++] = (int32_t)id;
    }
    return ids;
}

/* Feeds `ids` in passes of at most `chunk` tokens and writes all logits. With a neighbour, a second
 * session is fed other tokens in the same passes. */
static int dump(llmir_pool_t* pool,
                llmir_session_t** sessions,
                const int32_t* ids,
                size_t count,
                uint32_t chunk,
                uint32_t vocab) {
    float* rows = malloc((size_t)chunk * vocab * sizeof(float));
    int32_t* other = malloc((size_t)chunk * sizeof(int32_t));
    int result = rows == NULL || other == NULL;
    for (size_t done = 0; done < count && !result;) {
        const size_t take = count - done < chunk ? count - done : chunk;
        const size_t feeds_count = sessions[1] != NULL ? 2 : 1;
        llmir_error_t error;
        for (size_t i = 0; i < take; ++i) {
            other[i] = ids[count - 1 - done - i];
        }
        const llmir_feed_t feeds[2] = {{sessions[0], ids + done, take, rows},
                                       {sessions[1], other, take / 2 + 1, NULL}};
        if (llmir_pool_feed(pool, feeds, feeds_count, &error) != LLMIR_STATUS_OK) {
            result = fail("feed", &error);
        } else if (fwrite(rows, sizeof(float) * vocab, take, stdout) != take) {
            result = 1;
        }
        done += take;
    }
    free(rows);
    free(other);
    return result;
}

static int run(const dump_options_t* options,
               llmir_model_t* model,
               const int32_t* ids,
               size_t count) {
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_options_t alone = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* sessions[2] = {NULL, NULL};
    llmir_pool_t* pool = NULL;
    llmir_error_t error;
    if (llmir_model_get_info(model, &info, &error) != LLMIR_STATUS_OK) {
        return fail("info", &error);
    }
    fprintf(stderr, "logits_dump: %s%s%s\n", info.code, info.code_reason[0] ? ": " : "",
            info.code_reason);
    const uint32_t chunk = options->chunk ? options->chunk : (uint32_t)count;
    pool_options.context_tokens = 2 * (uint32_t)count + 4 * info.kv_page_tokens;
    pool_options.session_count = 2;
    pool_options.chunk_tokens = 2 * chunk + 1;
    pool_options.output_rows = chunk + 1;
    pool_options.kv_type = options->kv_type;
    alone.flags = LLMIR_SESSION_NO_SHARING;
    int result = 1;
    if (llmir_pool_create(model, &pool_options, &pool, &error) != LLMIR_STATUS_OK) {
        result = fail("pool", &error);
    } else if (llmir_session_create(model, pool, &alone, &sessions[0], &error) != LLMIR_STATUS_OK ||
               (options->neighbour && llmir_session_create(model, pool, &alone, &sessions[1],
                                                           &error) != LLMIR_STATUS_OK)) {
        result = fail("session", &error);
    } else {
        result = dump(pool, sessions, ids, count, chunk, info.vocab_count);
    }
    llmir_session_destroy(sessions[1]);
    llmir_session_destroy(sessions[0]);
    llmir_pool_destroy(pool);
    return result;
}

int main(int argc, char** argv) {
    dump_options_t options;
    system_begin(&argc, &argv);
    if (!parse_options(argc, argv, &options)) {
        fprintf(stderr,
                "usage: logits_dump BUNDLE [--threads N] [--chunk N] [--level L] [--kv 0|1] "
                "[--no-code] "
                "[--neighbour] [--verify] < ids\n");
        return 2;
    }
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_error_t error;
    size_t count = 0;
    int32_t* ids = read_ids(&count);
    runtime_options.thread_count = options.threads;
    runtime_options.cpu_level_max = options.level;
    runtime_options.flags = options.no_code ? LLMIR_RUNTIME_NO_BUNDLE_CODE : 0;
    model_options.flags = options.verify ? LLMIR_MODEL_VERIFY : 0;
    int result = 1;
    if (count == 0) {
        fprintf(stderr, "logits_dump: error: no ids on standard input\n");
    } else if (llmir_runtime_create(&runtime_options, &runtime, &error) != LLMIR_STATUS_OK) {
        result = fail("runtime", &error);
    } else if (llmir_model_load_file(runtime, options.bundle, &model_options, &model, &error) !=
               LLMIR_STATUS_OK) {
        result = fail("load", &error);
    } else {
        result = run(&options, model, ids, count);
    }
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    free(ids);
    return result;
}
