/* llmir-serve: the OpenAI interface over HTTP for one bundle, and a page to chat with it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cli.h"
#include "common/open.h"
#include "server/server.h"

#define PROGRAM "llmir-serve"

static const char usage[] =
    "usage: llmir-serve BUNDLE [options]\n"
    "  --host ADDRESS       numeric address to listen on (127.0.0.1)\n"
    "  --port N             (8080; 0: any, it is printed)\n"
    "  --api-key-file FILE  whose first line clients must send as their key\n"
    "  --name NAME          of the model in the interface (the file's name)\n"
    "  --threads N          that compute (one per core)\n"
    "  --device NAME        auto, cpu, vulkan, or a part of a GPU's name; with ,cpu behind it,\n"
    "                       and in auto: what does not fit the GPU's memory runs on the processor\n"
    "  -ngl, --gpu-layers N decoder layers on the GPU (as many as fit)\n"
    "  --gpu-memory MIB     of the GPU to use at most (fifteen sixteenths)\n"
    "  --context N          positions of all requests together (twice the model's context)\n"
    "  --kv TYPE            f16, f32, q8 or q4\n"
    "  --batch N            requests computed at once (8)\n"
    "  --guess N            tokens guessed from a request's own text, at most (0); answers stay\n"
    "                       the same\n"
    "  --queue N            requests waiting or computed (64)\n"
    "  --connections N      at once (128)\n"
    "  --max-body BYTES     of a request (1048576)\n"
    "  --idle SECONDS       after which a silent connection is closed (60)\n"
    "  --timeout SECONDS    after which a request ends (none)\n"
    "  --no-page            do not serve the chat page\n";

typedef struct arguments {
    const char* path;
    const char* key_file;
    open_device_t device;
    const char* kv;
    uint32_t threads;
    llmir_scheduler_options_t scheduler;
    server_options_t server;
} arguments_t;

/* Reads the key; 0 after a message. */
static int read_key(const char* path, char* key, size_t capacity) {
    FILE* file = fopen(path, "r");
    const int is_read = file != NULL && fgets(key, (int)capacity, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    key[is_read ? strcspn(key, "\r\n") : 0] = '\0';
    if (key[0] == '\0') {
        (void)cli_fail(PROGRAM, "'%s' has no key in its first line", path);
        return 0;
    }
    return 1;
}

/* The file's name without folders and ".llmir", in heap memory. */
static char* name_of(const char* path) {
    const char* slash = strrchr(path, '/');
    char* name = strdup(slash != NULL ? slash + 1 : path);
    char* end = name != NULL ? strrchr(name, '.') : NULL;
    if (end != NULL && end != name && strcmp(end, ".llmir") == 0) {
        *end = '\0';
    }
    return name;
}

/* Serves until a signal ends it. */
static int serve(server_t* server, const sigset_t* signals) {
    int signal_number = 0;
    const uint16_t port = http_start(server);
    if (port == 0) {
        return 1;
    }
    const int is_v6 = strchr(server->options.host, ':') != NULL;
    printf("llmir-serve: '%s' at http://%s%s%s:%u/v1\n", server->model.id, is_v6 ? "[" : "",
           server->options.host, is_v6 ? "]" : "", port);
    (void)fflush(stdout);
    (void)sigwait(signals, &signal_number);
    http_stop(server);
    return 0;
}

static int run(const arguments_t* arguments,
               const opened_model_t* opened,
               const sigset_t* signals) {
    static server_t server;
    llmir_error_t error = {0};
    llmir_scheduler_options_t options = arguments->scheduler;
    char* name = name_of(arguments->path);
    server.options = arguments->server;
    server.created = (int64_t)time(NULL);
    server.info = opened->info;
    server.model.model = opened->model;
    server.model.id = server.options.name != NULL ? server.options.name : name;
    server.model.vocab_count = opened->info.vocab_count;
    server.model.guess_tokens = options.guess_tokens;
    server.model.timeout_ns = (uint64_t)server.options.timeout_s * 1000000000u;
    if (options.context_tokens == 0) {
        options.context_tokens = 2u * opened->info.context_count;
    }
    server.model.context_count = options.context_tokens < opened->info.context_count
                                     ? options.context_tokens
                                     : opened->info.context_count;
    options.flags = LLMIR_SCHEDULER_THREAD;
    int result = 1;
    if (server.model.id == NULL ||
        llmir_scheduler_create(opened->model, &options, &server.scheduler, &error) !=
            LLMIR_STATUS_OK) {
        result = cli_fail(PROGRAM, "%s", error.code != 0 ? error.message : "out of memory");
    } else {
        result = serve(&server, signals);
    }
    llmir_scheduler_destroy(server.scheduler);
    free(name);
    return result;
}

/* About the pool that the scheduler will make, for the choice of devices. */
static llmir_pool_options_t pool_options(const llmir_scheduler_options_t* scheduler) {
    llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    pool.kv_type = scheduler->kv_type;
    pool.guess_tokens = scheduler->guess_tokens;
    pool.session_count = scheduler->session_count;
    pool.context_tokens = scheduler->context_tokens;
    if (scheduler->context_tokens == 0) { /* twice the model's context, see run() */
        pool.session_count = 2;
        pool.context_tokens = UINT32_MAX;
    }
    return pool;
}

/* Signals end sigwait and nothing else; they are blocked before any thread begins. */
static void block_signals(sigset_t* signals) {
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static int check(const cli_program_t* program, arguments_t* a) {
    if (strcmp(a->server.host, "localhost") == 0) {
        a->server.host = "127.0.0.1";
    }
    if (!open_kv_type(a->kv, &a->scheduler.kv_type)) {
        return cli_usage(program, "--kv: '%s', expected " OPEN_KV_NAMES, a->kv);
    }
    if (a->server.port > 65535u || a->server.connections == 0 || a->server.max_body == 0) {
        return cli_usage(program, "--port 0 to 65535, --connections and --max-body at least 1");
    }
    return -1;
}

int main(int argc, char** argv) {
    static char key[512];
    arguments_t a = {.scheduler = LLMIR_SCHEDULER_OPTIONS_INIT,
                     .server = {.host = "127.0.0.1",
                                .port = 8080,
                                .connections = 128,
                                .max_body = 1u << 20,
                                .idle_s = 60}};
    const cli_option_t known[] = {
        {"--host", NULL, CLI_STRING, &a.server.host},
        {"--port", NULL, CLI_U32, &a.server.port},
        {"--api-key-file", NULL, CLI_STRING, &a.key_file},
        {"--name", NULL, CLI_STRING, &a.server.name},
        {"--threads", "-t", CLI_U32, &a.threads},
        OPEN_DEVICE_OPTIONS(a.device),
        {"--context", "-c", CLI_U32, &a.scheduler.context_tokens},
        {"--kv", NULL, CLI_STRING, &a.kv},
        {"--batch", "-b", CLI_U32, &a.scheduler.session_count},
        {"--guess", NULL, CLI_U32, &a.scheduler.guess_tokens},
        {"--queue", NULL, CLI_U32, &a.scheduler.request_count},
        {"--connections", NULL, CLI_U32, &a.server.connections},
        {"--max-body", NULL, CLI_U32, &a.server.max_body},
        {"--idle", NULL, CLI_U32, &a.server.idle_s},
        {"--timeout", NULL, CLI_U32, &a.server.timeout_s},
        {"--no-page", NULL, CLI_FLAG, &a.server.has_no_page},
    };
    const cli_program_t program = {PROGRAM, usage, known, sizeof(known) / sizeof(known[0])};
    opened_model_t opened;
    llmir_error_t error = {0};
    sigset_t signals;
    int exit_code = cli_parse(&program, argc, argv, &a.path, 1);
    exit_code = exit_code < 0 ? check(&program, &a) : exit_code;
    if (exit_code >= 0) {
        return exit_code;
    }
    if (a.key_file != NULL) {
        if (!read_key(a.key_file, key, sizeof(key))) {
            return 1;
        }
        a.server.api_key = key;
    }
    block_signals(&signals);
    const llmir_pool_options_t pool = pool_options(&a.scheduler);
    const open_request_t request = {.program = PROGRAM,
                                    .path = a.path,
                                    .device = &a.device,
                                    .pool = &pool,
                                    .threads = a.threads};
    if (open_model_traced(&request, &opened, &error) != LLMIR_STATUS_OK) {
        return cli_fail(PROGRAM, "%s", error.message);
    }
    const int result = run(&a, &opened, &signals);
    close_model(&opened);
    return result;
}
