/* What an application can get wrong on a board, and what it gets: a status and a message, never a
 * fault. The same calls and answers are documented in docs/FIRMWARE.md. */
#include <string.h>

#include "firmware_test.h"
#include "llmir.h"
#include "model.h"
#include "prompts.h"
#include "static_arena.h"

/* From wrong_bundles.S: bundles that check_firmware.py has made of the model's. */
extern const unsigned char bundle_other_target[], bundle_other_target_end[];
extern const unsigned char bundle_damaged[], bundle_damaged_end[];
extern const unsigned char bundle_x86_code[], bundle_x86_code_end[];

static _Alignas(64) unsigned char arena_memory[LLMIR_BUNDLE_MODEL_ARENA_BYTES];

typedef struct setup {
    static_arena_t arena;
    llmir_runtime_t* runtime;
    llmir_model_t* model;
    llmir_session_t* session;
    llmir_error_t error;
} setup_t;

static llmir_status_t make_runtime(setup_t* s, size_t arena_bytes) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    memset(s, 0, sizeof(*s));
    s->arena = (static_arena_t){arena_memory, arena_bytes, 0, 0, 0};
    options.allocator = static_arena_allocator(&s->arena);
    return llmir_runtime_create(&options, &s->runtime, &s->error);
}

static llmir_status_t load(setup_t* s, const unsigned char* data, size_t bytes, uint32_t flags) {
    llmir_model_options_t options = LLMIR_MODEL_OPTIONS_INIT;
    options.flags = flags;
    const llmir_status_t status = make_runtime(s, sizeof(arena_memory));
    return status != LLMIR_STATUS_OK
               ? status
               : llmir_model_load_memory(s->runtime, data, bytes, &options, &s->model, &s->error);
}

static void clean_up(setup_t* s) {
    llmir_session_destroy(s->session);
    llmir_model_destroy(s->model);
    llmir_runtime_destroy(s->runtime);
}

static void expect(const char* name,
                   const setup_t* s,
                   llmir_status_t status,
                   llmir_status_t wanted,
                   const char* message) {
    const int is_ok = status == wanted && strstr(s->error.message, message) != NULL;
    test_say(llmir_status_text(status));
    test_say(" | ");
    test_say(s->error.message);
    test_say("\n");
    test_report(name, is_ok, "");
}

static size_t model_bytes(void) {
    return (size_t)llmir_bundle_model_bytes;
}

static void check_bundles(void) {
    setup_t s;
    llmir_status_t status = load(&s, llmir_bundle_model + 4, model_bytes() - 4, 0);
    expect("misaligned image", &s, status, LLMIR_STATUS_INVALID_ARGUMENT, "not a multiple of 64");
    clean_up(&s);
    status = load(&s, llmir_bundle_model, model_bytes() - 4096, 0);
    expect("truncated weights", &s, status, LLMIR_STATUS_CORRUPT, "bytes, expected");
    clean_up(&s);
    status =
        load(&s, bundle_other_target, (size_t)(bundle_other_target_end - bundle_other_target), 0);
    expect("for another target only", &s, status, LLMIR_STATUS_UNSUPPORTED,
           "has no PLAN section that fits");
    clean_up(&s);
    status =
        load(&s, bundle_damaged, (size_t)(bundle_damaged_end - bundle_damaged), LLMIR_MODEL_VERIFY);
    expect("damaged weights", &s, status, LLMIR_STATUS_CORRUPT, "do not fit its hash");
    clean_up(&s);
    status = load(&s, arena_memory, sizeof(arena_memory), 0);
    expect("no bundle at all", &s, status, LLMIR_STATUS_CORRUPT, "not a bundle");
    clean_up(&s);
}

/* Every size below what is needed is refused with a message, at any of the allocations, and the
 * largest is enough. */
static void check_arena(void) {
    setup_t s;
    uint32_t refused = 0, tried = 0, lost = 0;
    llmir_status_t status = LLMIR_STATUS_OUT_OF_MEMORY;
    for (size_t bytes = 0; bytes < sizeof(arena_memory);
         bytes += bytes < 8192 ? 64 : sizeof(arena_memory) / 8) {
        status = make_runtime(&s, bytes);
        if (status == LLMIR_STATUS_OK) {
            status = llmir_model_load_memory(s.runtime, llmir_bundle_model, model_bytes(), NULL,
                                             &s.model, &s.error);
        }
        if (status == LLMIR_STATUS_OK) {
            status = llmir_session_create(s.model, NULL, NULL, &s.session, &s.error);
        }
        ++tried;
        refused +=
            status == LLMIR_STATUS_OUT_OF_MEMORY && strstr(s.error.message, "refused") != NULL;
        clean_up(&s);
        lost += s.arena.used != 0;
    }
    expect("arena too small", &s, status, LLMIR_STATUS_OUT_OF_MEMORY, "bytes were refused");
    test_report("every smaller arena is refused", refused == tried, "");
    test_report("all memory is given back", lost == 0, "");
}

static void check_system(void) {
    setup_t s;
    memset(&s, 0, sizeof(s));
    llmir_status_t status = llmir_runtime_create(NULL, &s.runtime, &s.error);
    expect("no allocator", &s, status, LLMIR_STATUS_OUT_OF_MEMORY, "runtime: ");
    status = make_runtime(&s, sizeof(arena_memory));
    status = status != LLMIR_STATUS_OK
                 ? status
                 : llmir_model_load_file(s.runtime, "model.llmir", NULL, &s.model, &s.error);
    expect("a file", &s, status, LLMIR_STATUS_UNSUPPORTED, "no files: load the bundle from memory");
    clean_up(&s);
    memset(&s, 0, sizeof(s));
    s.arena = (static_arena_t){arena_memory, sizeof(arena_memory), 0, 0, 0};
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    options.allocator = static_arena_allocator(&s.arena);
    options.thread_count = 2;
    status = llmir_runtime_create(&options, &s.runtime, &s.error);
    status = status != LLMIR_STATUS_OK
                 ? status
                 : llmir_model_load_memory(s.runtime, llmir_bundle_model, model_bytes(), NULL,
                                           &s.model, &s.error);
    expect("two threads", &s, status, LLMIR_STATUS_UNSUPPORTED, "2 threads: this system has one");
    clean_up(&s);
}

static void check_session(void) {
    setup_t s;
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    llmir_status_t status = load(
        &s, bundle_x86_code, (size_t)(bundle_x86_code_end - bundle_x86_code), LLMIR_MODEL_VERIFY);
    status = status != LLMIR_STATUS_OK
                 ? status
                 : llmir_session_create(s.model, NULL, NULL, &s.session, &s.error);
    test_report("the arena is enough", status == LLMIR_STATUS_OK, s.error.message);
    if (status != LLMIR_STATUS_OK) {
        return;
    }
    status = llmir_model_get_info(s.model, &info, &s.error);
    test_report("code of another processor is passed over",
                status == LLMIR_STATUS_OK && strcmp(info.code, "built-in portable") == 0,
                info.code_reason);
    llmir_session_set_deadline(s.session, 1000000);
    const int32_t* tokens = prompts[0].tokens;
    for (uint32_t i = 0; i < 1000 && status == LLMIR_STATUS_OK;
         ++i) { /* one token may be faster than that */
        llmir_session_reset(s.session);
        status = llmir_session_feed(s.session, tokens, prompts[0].count, &s.error);
    }
    expect("a deadline that has passed", &s, status, LLMIR_STATUS_DEADLINE, "");
    llmir_session_set_deadline(s.session, 0);
    llmir_session_cancel(s.session);
    status = llmir_session_feed(s.session, tokens, prompts[0].count, &s.error);
    expect("cancelled", &s, status, LLMIR_STATUS_CANCELLED, "");
    llmir_session_clear_cancel(s.session);
    const int32_t wrong = 1 << 20;
    status = llmir_session_feed(s.session, &wrong, 1, &s.error);
    expect("a token that is none", &s, status, LLMIR_STATUS_INVALID_ARGUMENT, "token");
    status = llmir_session_feed(s.session, tokens, prompts[0].count, &s.error);
    test_report("it works afterwards", status == LLMIR_STATUS_OK, "");
    clean_up(&s);
}

int main(void);
int main(void) {
    check_bundles();
    check_arena();
    check_system();
    check_session();
    return test_finish();
}
