/* Saving and restoring sessions through callbacks or a file. The text of a generation under way is
 * not saved: its tokens are, and they go through the text stream again. */
#include "core/session_file.h"

#include <string.h>

#include "core/base/blake2b.h"
#include "core/plan.h"
#include "core/windows.h"
#include "quant/kv_layout.h"

/* A stream to or from the application. */
typedef struct session_stream {
    llmir_session_t* session;
    llmir_write_fn write;
    llmir_read_fn read;
    void* user;
    llmir_blake2b_t hash;
} session_stream_t;

/* ---- Pieces ---- */

static llmir_status_t put(session_stream_t* stream,
                          const void* data,
                          size_t bytes,
                          llmir_error_t* error) {
    llmir_blake2b_update(&stream->hash, data, bytes);
    if (bytes != 0 && stream->write(data, bytes, stream->user) != LLMIR_STATUS_OK) {
        return llmir_fail(error, LLMIR_STATUS_IO, "save: the application took no more bytes");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t get(session_stream_t* stream,
                          void* data,
                          size_t bytes,
                          llmir_error_t* error) {
    if (bytes != 0 && stream->read(data, bytes, stream->user) != LLMIR_STATUS_OK) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "restore: the data ends early or could not be read");
    }
    llmir_blake2b_update(&stream->hash, data, bytes);
    return LLMIR_STATUS_OK;
}

static uint32_t full_pages(const llmir_session_t* session, uint32_t position) {
    return position != 0 ? (position - 1u) / session->pool->pages.page_tokens : 0u;
}

/* First page of the windows that a session with `page_count` full pages needs. */
static uint32_t first_window_page(const llmir_pool_t* pool, uint32_t page_count) {
    return pool->layout.window_page_count != 0
               ? llmir_windows_first_page(pool, page_count * pool->pages.page_tokens)
               : page_count;
}

/* Bytes of a page: of the layers that are, or are not, kept apart because of their window. */
static uint64_t page_bytes(const llmir_pool_t* pool, int apart) {
    const llmir_plan_view_t* plan = &pool->model->plan;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->record->kv_layer_count; ++i) {
        if (llmir_pool_is_apart(pool, i) == apart) {
            bytes += llmir_kv_layer_bytes(&plan->kv_layers[i], pool->layout.kv_type,
                                          plan->record->page_tokens);
        }
    }
    return bytes;
}

static void fill_record(const llmir_session_t* session, llmir_session_record_t* record) {
    const llmir_pool_t* pool = session->pool;
    memset(record, 0, sizeof(*record));
    memcpy(record->magic, LLMIR_SESSION_MAGIC, sizeof(record->magic));
    record->version = LLMIR_SESSION_VERSION;
    record->record_bytes = (uint32_t)sizeof(*record);
    memcpy(record->bundle_hash, pool->model->bundle.header->root_hash, sizeof(record->bundle_hash));
    record->kv_type = pool->layout.kv_type;
    record->page_tokens = pool->pages.page_tokens;
    record->page_bytes = page_bytes(pool, 0);
    record->position = session->position;
    record->page_count = full_pages(session, session->position);
    record->has_logits = session->has_logits;
    record->pending = session->pending;
    record->generated_count = session->generated_count;
    record->finish = session->finish;
    memcpy(record->random, session->sampler.random, sizeof(record->random));
    record->window_page_bytes = page_bytes(pool, 1);
    record->window_first = first_window_page(pool, record->page_count);
}

/* ---- Saving ---- */

uint64_t llmir_session_saved_bytes(const llmir_session_t* session) {
    if (session == NULL) {
        return 0;
    }
    const llmir_pool_t* pool = session->pool;
    const uint32_t position = llmir_session_position(session);
    const uint32_t pages = full_pages(session, position);
    return sizeof(llmir_session_record_t) + (uint64_t)position * sizeof(int32_t) +
           pages * page_bytes(pool, 0) +
           (pages - first_window_page(pool, pages)) * page_bytes(pool, 1) + LLMIR_BLAKE2B_BYTES;
}

/* The scratch of sampling carries pages between the device and the application. */
static size_t scratch_bytes(const llmir_pool_t* pool) {
    return pool->layout.candidates.bytes;
}

static llmir_status_t put_place(session_stream_t* stream,
                                llmir_page_place_t place,
                                llmir_error_t* error) {
    const llmir_pool_t* pool = stream->session->pool;
    for (size_t done = 0; done < place.bytes;) {
        const size_t left = place.bytes - done;
        const size_t bytes = left < scratch_bytes(pool) ? left : scratch_bytes(pool);
        LLMIR_TRY(place.buffer->device->target->buffer_read(place.buffer, place.offset + done,
                                                            pool->candidates, bytes, error));
        LLMIR_TRY(put(stream, pool->candidates, bytes, error));
        done += bytes;
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t get_place(session_stream_t* stream,
                                llmir_page_place_t place,
                                llmir_error_t* error) {
    const llmir_pool_t* pool = stream->session->pool;
    for (size_t done = 0; done < place.bytes;) {
        const size_t left = place.bytes - done;
        const size_t bytes = left < scratch_bytes(pool) ? left : scratch_bytes(pool);
        LLMIR_TRY(get(stream, pool->candidates, bytes, error));
        LLMIR_TRY(place.buffer->device->target->buffer_write(place.buffer, place.offset + done,
                                                             pool->candidates, bytes, error));
        done += bytes;
    }
    return LLMIR_STATUS_OK;
}

typedef llmir_status_t (*move_fn)(session_stream_t* stream,
                                  llmir_page_place_t place,
                                  llmir_error_t* error);

/* A page of the layers that are, or are not, kept apart because of their window: the layers of all
 * stages in their order. */
static llmir_status_t move_page(
    session_stream_t* stream, move_fn move, uint32_t index, int apart, llmir_error_t* error) {
    const llmir_session_t* session = stream->session;
    const llmir_pool_t* pool = session->pool;
    const uint32_t page = apart ? session->window.pages[index] : session->table.pages[index];
    const uint32_t layers = pool->model->plan.record->kv_layer_count;
    for (uint32_t i = 0; i < layers * llmir_model_stage_count(pool->model); ++i) {
        if (llmir_pool_is_apart(pool, i % layers) == apart) {
            LLMIR_TRY(move(stream, llmir_pool_page(pool, i / layers, i % layers, page), error));
        }
    }
    return LLMIR_STATUS_OK;
}

/* Pages [0, end), then those of windows from `window_first` on. */
static llmir_status_t move_pages(session_stream_t* stream,
                                 move_fn move,
                                 const llmir_session_record_t* record,
                                 llmir_error_t* error) {
    for (uint32_t i = 0; i < record->page_count; ++i) {
        LLMIR_TRY(move_page(stream, move, i, 0, error));
    }
    for (uint32_t i = record->window_first; i < record->page_count; ++i) {
        LLMIR_TRY(move_page(stream, move, i, 1, error));
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_session_save(llmir_session_t* session,
                                  llmir_write_fn write,
                                  void* user,
                                  llmir_error_t* error) {
    llmir_session_record_t record;
    uint8_t digest[LLMIR_BLAKE2B_BYTES];
    if (session == NULL || write == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "save: session or write is NULL");
    }
    session_stream_t stream = {.session = session, .write = write, .user = user};
    LLMIR_TRY(llmir_session_settle(session, error));
    llmir_blake2b_init(&stream.hash);
    fill_record(session, &record);
    LLMIR_TRY(put(&stream, &record, sizeof(record), error));
    for (uint32_t i = 0; i < session->position; ++i) {
        LLMIR_TRY(put(&stream, llmir_kv_pages_token(&session->pool->pages, &session->table, i),
                      sizeof(int32_t), error));
    }
    LLMIR_TRY(move_pages(&stream, put_place, &record, error));
    llmir_blake2b_final(&stream.hash, digest);
    if (write(digest, sizeof(digest), user) != LLMIR_STATUS_OK) {
        return llmir_fail(error, LLMIR_STATUS_IO, "save: the application took no more bytes");
    }
    return LLMIR_STATUS_OK;
}

/* ---- Restoring ---- */

static llmir_status_t corrupt(llmir_error_t* error, const char* what) {
    return llmir_fail(error, LLMIR_STATUS_CORRUPT, "saved session: %s", what);
}

/* Whether the record is one of this model and pool, and makes sense. */
static llmir_status_t check_record(const llmir_session_t* session,
                                   const llmir_session_record_t* record,
                                   llmir_error_t* error) {
    const llmir_pool_t* pool = session->pool;
    const uint32_t vocab = pool->model->record->vocab_count;
    if (memcmp(record->magic, LLMIR_SESSION_MAGIC, sizeof(record->magic)) != 0) {
        return corrupt(error, "it does not begin with " LLMIR_SESSION_MAGIC);
    }
    if (record->version != LLMIR_SESSION_VERSION || record->record_bytes != sizeof(*record)) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "saved session: version %u, this library reads %u", record->version,
                          LLMIR_SESSION_VERSION);
    }
    if (memcmp(record->bundle_hash, pool->model->bundle.header->root_hash,
               sizeof(record->bundle_hash)) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "saved session: it belongs to another bundle");
    }
    if (record->kv_type != pool->layout.kv_type) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "saved session: its kv_type is %u, the pool's %u", record->kv_type,
                          pool->layout.kv_type);
    }
    if (record->page_tokens != pool->pages.page_tokens ||
        record->page_bytes != page_bytes(pool, 0) ||
        record->window_page_bytes != page_bytes(pool, 1) ||
        record->page_count != full_pages(session, record->position) || record->has_logits > 1u ||
        record->pending < -1 || (record->pending >= 0 && (uint32_t)record->pending >= vocab) ||
        record->finish < LLMIR_FINISH_NONE || record->finish > LLMIR_FINISH_CONTEXT) {
        return corrupt(error, "its record contradicts itself or the bundle");
    }
    if (record->window_first != first_window_page(pool, record->page_count)) {
        return corrupt(error, "its record contradicts itself or the bundle");
    }
    if (record->position > pool->layout.session_tokens) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "saved session: %u positions, a session of the pool has %u",
                          record->position, pool->layout.session_tokens);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t get_token(session_stream_t* stream, int32_t* out, llmir_error_t* error) {
    LLMIR_TRY(get(stream, out, sizeof(*out), error));
    if (*out < 0 || (uint32_t)*out >= stream->session->pool->model->record->vocab_count) {
        return corrupt(error, "a token is out of range");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_hash(session_stream_t* stream, llmir_error_t* error) {
    uint8_t expected[LLMIR_BLAKE2B_BYTES];
    uint8_t found[LLMIR_BLAKE2B_BYTES];
    llmir_blake2b_final(&stream->hash, expected);
    if (stream->read(found, sizeof(found), stream->user) != LLMIR_STATUS_OK) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "restore: the data ends early or could not be read");
    }
    return memcmp(expected, found, sizeof(found)) == 0
               ? LLMIR_STATUS_OK
               : corrupt(error, "its bytes do not have its hash");
}

/* Brings the session's grammar to where the generation is. What a roll has forgotten of it is not
 * there to be read again. */
static llmir_status_t replay_grammar(llmir_session_t* session,
                                     const llmir_session_record_t* record,
                                     int32_t token,
                                     llmir_error_t* error) {
    if (session->grammar == NULL) {
        return LLMIR_STATUS_OK;
    }
    const uint32_t sinks = session->overflow == LLMIR_OVERFLOW_ROLL ? session->sink_tokens : 0u;
    if ((uint64_t)record->generated_count + sinks > session->position) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "saved session: it has rolled since its generation began, so that its "
                          "grammar cannot go on");
    }
    return llmir_grammar_accept(session->grammar, session->match, token, error);
}

/* Sends the generation's tokens through the text stream again; all text but that of a token that
 * waits was delivered before. */
static llmir_status_t replay_text(llmir_session_t* session,
                                  const llmir_session_record_t* record,
                                  llmir_error_t* error) {
    const uint32_t count =
        record->generated_count < session->position ? record->generated_count : session->position;
    size_t bytes = 0;
    for (uint32_t i = session->position - count; i < session->position; ++i) {
        const int32_t token = *llmir_kv_pages_token(&session->pool->pages, &session->table, i);
        LLMIR_TRY(replay_grammar(session, record, token, error));
        (void)llmir_session_push_text(session, token);
        (void)llmir_text_stream_take(&session->stream, &bytes);
    }
    if (record->pending >= 0) {
        LLMIR_TRY(replay_grammar(session, record, record->pending, error));
        (void)llmir_session_push_text(session, record->pending);
    }
    return LLMIR_STATUS_OK;
}

/* The tokens behind the last full page are computed: that gives their keys, and the logits. */
static llmir_status_t restore_tail(llmir_session_t* session,
                                   const llmir_session_record_t* record,
                                   const int32_t* tail,
                                   llmir_error_t* error) {
    if (session->position < record->position) {
        LLMIR_TRY(llmir_session_run(session, tail, record->position - session->position, error));
    }
    session->has_logits = record->has_logits != 0 && record->position != 0;
    memcpy(session->sampler.random, record->random, sizeof(record->random));
    if (record->finish == LLMIR_FINISH_NONE) {
        LLMIR_TRY(replay_text(session, record, error));
    }
    session->pending = session->has_logits ? record->pending : -1;
    session->generated_count = record->generated_count;
    session->finish = record->finish;
    return LLMIR_STATUS_OK;
}

static llmir_status_t restore_into(session_stream_t* stream, llmir_error_t* error) {
    llmir_session_t* session = stream->session;
    llmir_kv_pages_t* pages = &session->pool->pages;
    llmir_session_record_t record;
    llmir_kv_copy_t copy;
    int32_t tail[LLMIR_PLAN_MAX_PAGE_TOKENS];
    LLMIR_TRY(get(stream, &record, sizeof(record), error));
    LLMIR_TRY(check_record(session, &record, error));
    const uint32_t held = record.page_count * pages->page_tokens;
    if (!llmir_kv_pages_grow(pages, &session->table, held, &copy)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "saved session: %u pages, %u of the pool are free", record.page_count,
                          llmir_kv_pages_available(pages));
    }
    session->position = held;
    if (session->pool->layout.window_page_count != 0) {
        session->window.first_page = record.window_first;
        session->window.token_count = record.window_first * pages->page_tokens;
    }
    if (!llmir_windows_grow(session, held, &copy)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "saved session: %u window pages, %u of the pool are free",
                          record.page_count - record.window_first,
                          llmir_kv_pages_available(&session->pool->window_pages));
    }
    for (uint32_t i = 0; i < record.position; ++i) {
        int32_t* token =
            i < held ? llmir_kv_pages_token(pages, &session->table, i) : &tail[i - held];
        LLMIR_TRY(get_token(stream, token, error));
    }
    LLMIR_TRY(move_pages(stream, get_place, &record, error));
    LLMIR_TRY(check_hash(stream, error));
    return restore_tail(session, &record, tail, error);
}

llmir_status_t llmir_session_restore(llmir_session_t* session,
                                     llmir_read_fn read,
                                     void* user,
                                     llmir_error_t* error) {
    if (session == NULL || read == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "restore: session or read is NULL");
    }
    session_stream_t stream = {.session = session, .read = read, .user = user};
    llmir_blake2b_init(&stream.hash);
    llmir_session_reset(session);
    const llmir_status_t status = restore_into(&stream, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_session_reset(session);
    }
    return status;
}

/* ---- Files ---- */

static llmir_status_t write_file(const void* data, size_t bytes, void* user) {
    return llmir_file_write(user, data, bytes, NULL);
}

static llmir_status_t read_file(void* data, size_t bytes, void* user) {
    return llmir_file_read(user, data, bytes, NULL);
}

llmir_status_t llmir_session_save_file(llmir_session_t* session,
                                       const char* path,
                                       llmir_error_t* error) {
    llmir_file_t file;
    if (session == NULL || path == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "save: session or path is NULL");
    }
    LLMIR_TRY(llmir_file_create(path, &file, error));
    const llmir_status_t status = llmir_session_save(session, write_file, &file, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_file_discard(&file);
        return status;
    }
    return llmir_file_commit(&file, error);
}

llmir_status_t llmir_session_restore_file(llmir_session_t* session,
                                          const char* path,
                                          llmir_error_t* error) {
    llmir_file_t file;
    if (session == NULL || path == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "restore: session or path is NULL");
    }
    LLMIR_TRY(llmir_file_open(path, &file, error));
    const llmir_status_t status = llmir_session_restore(session, read_file, &file, error);
    llmir_file_discard(&file);
    return status;
}
