/* HTTP: routes, keys, bodies and streams, over libmicrohttpd with a thread for each connection.
 * Handlers may block: they look ten times a second whether their client is still there. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "server/server.h"

#define LOOK_NS 100000000u /* how often a waiting handler looks around */
#define QUIET_LOOKS 100u   /* looks after which a stream shows that it lives */

/* A request while its body arrives. */
typedef struct call {
    text_buffer_t body;
    int is_too_large;
} call_t;

typedef struct request {
    server_t* server;
    struct MHD_Connection* connection;
    const char* path;
    const text_buffer_t* body;
} request_t;

/* ---- Replies ---- */

static enum MHD_Result send_response(const request_t* request,
                                     unsigned status,
                                     const char* type,
                                     struct MHD_Response* response) {
    if (response == NULL) {
        return MHD_NO;
    }
    atomic_fetch_add(&request->server->response_count[status / 100u % 6u], 1u);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == 401) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    } else if (status == 429) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    const enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Sends heap text, which becomes the response's. */
static enum MHD_Result send_text(
    const request_t* request, unsigned status, const char* type, char* text, size_t bytes) {
    if (text == NULL) {
        return MHD_NO; /* out of memory: the connection closes */
    }
    return send_response(request, status, type,
                         MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result send_json(const request_t* request, json_t* object) {
    char* text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return send_text(request, 200, "application/json", text, text != NULL ? strlen(text) : 0u);
}

static enum MHD_Result send_error(const request_t* request, const api_error_t* error) {
    char* text = api_error_text(error);
    return send_text(request, error->status, "application/json", text,
                     text != NULL ? strlen(text) : 0u);
}

/* ---- Completions ---- */

/* Whether the client has closed the connection; what it may have sent meanwhile stays. */
static int is_gone(struct MHD_Connection* connection) {
    const union MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte = 0;
    if (info == NULL) {
        return 1;
    }
    const ssize_t count = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static enum MHD_Result reply_whole(const request_t* request, answer_t* answer) {
    api_error_t error = {0};
    choice_t* choice = NULL;
    answer_event_t event = ANSWER_NOTHING;
    do {
        event = answer_next(answer, LOOK_NS, &choice);
        if (event == ANSWER_NOTHING &&
            (atomic_load(&request->server->is_stopping) || is_gone(request->connection))) {
            atomic_fetch_add(&request->server->gone_count, 1u);
            return MHD_NO;
        }
    } while (event != ANSWER_FINISHED);
    json_t* object = answer_object(answer, &error);
    if (error.status != 0) {
        json_decref(object);
        return send_error(request, &error);
    }
    return send_json(request, object);
}

/* An answer on its way out as server-sent events. */
typedef struct stream {
    server_t* server;
    struct MHD_Connection* connection;
    answer_t answer;
    text_buffer_t pending;
    size_t sent;
    unsigned quiet_looks;
    int has_ended;
} stream_t;

/* Waits for something to send; 0: nobody is there to read it. */
static int refill(stream_t* stream) {
    choice_t* choice = NULL;
    if (atomic_load(&stream->server->is_stopping)) {
        return 0;
    }
    switch (answer_next(&stream->answer, LOOK_NS, &choice)) {
        case ANSWER_PIECE:
            stream->quiet_looks = 0;
            answer_chunk(&stream->answer, choice, &stream->pending);
            break;
        case ANSWER_FINISHED:
            answer_last_chunks(&stream->answer, &stream->pending);
            stream->has_ended = 1;
            break;
        case ANSWER_NOTHING:
            if (is_gone(stream->connection)) {
                return 0;
            }
            if (++stream->quiet_looks >= QUIET_LOOKS) {
                stream->quiet_looks = 0;
                text_append(&stream->pending, ":\n\n", 3); /* a comment, which clients skip */
            }
            break;
    }
    return !stream->pending.has_failed;
}

static ssize_t read_stream(void* user, uint64_t position, char* buffer, size_t size) {
    stream_t* stream = user;
    (void)position;
    while (stream->sent == stream->pending.bytes) {
        if (stream->has_ended) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        stream->pending.bytes = 0;
        stream->sent = 0;
        if (!refill(stream)) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    const size_t rest = stream->pending.bytes - stream->sent;
    const size_t count = rest < size ? rest : size;
    memcpy(buffer, stream->pending.data + stream->sent, count);
    stream->sent += count;
    return (ssize_t)count;
}

static void free_stream(void* user) {
    stream_t* stream = user;
    if (!stream->has_ended) {
        atomic_fetch_add(&stream->server->gone_count, 1u);
    }
    answer_end(&stream->answer);
    text_free(&stream->pending);
    free(stream);
}

static enum MHD_Result complete(const request_t* request, int is_chat) {
    server_t* server = request->server;
    api_error_t error = {0};
    stream_t* stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return MHD_NO;
    }
    stream->server = server;
    stream->connection = request->connection;
    const uint64_t number = atomic_fetch_add(&server->answer_count, 1u);
    if (!completion_read(&server->model, request->body->data != NULL ? request->body->data : "",
                         request->body->bytes, is_chat, &stream->answer.completion, &error) ||
        !answer_begin(&stream->answer, server->scheduler, &server->model, number, &error)) {
        free(stream);
        return send_error(request, &error);
    }
    if (!stream->answer.completion.is_stream) {
        const enum MHD_Result result = reply_whole(request, &stream->answer);
        answer_end(&stream->answer);
        free(stream);
        return result;
    }
    struct MHD_Response* response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 16384, read_stream, stream, free_stream);
    if (response == NULL) {
        free_stream(stream);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    return send_response(request, 200, "text/event-stream", response);
}

static enum MHD_Result chat_completions(const request_t* request) {
    return complete(request, 1);
}

static enum MHD_Result completions(const request_t* request) {
    return complete(request, 0);
}

/* ---- The other routes ---- */

static json_t* model_object(const server_t* server) {
    return json_pack("{s:s, s:s, s:I, s:s}", "id", server->model.id, "object", "model", "created",
                     (json_int_t)server->created, "owned_by", "llmir");
}

static enum MHD_Result models(const request_t* request) {
    return send_json(request, json_pack("{s:s, s:[o]}", "object", "list", "data",
                                        model_object(request->server)));
}

static enum MHD_Result one_model(const request_t* request) {
    const char* id = request->path + strlen("/v1/models/");
    api_error_t error;
    if (strcmp(id, request->server->model.id) == 0) {
        return send_json(request, model_object(request->server));
    }
    (void)api_fail(&error, 404, "model", "the model '%.64s' does not exist; there is '%s'", id,
                   request->server->model.id);
    error.code = "model_not_found";
    return send_error(request, &error);
}

static enum MHD_Result embeddings(const request_t* request) {
    api_error_t error;
    (void)api_fail(&error, 400, "model", "the model '%s' generates text and has no embeddings",
                   request->server->model.id);
    return send_error(request, &error);
}

static enum MHD_Result health(const request_t* request) {
    return send_json(request, json_pack("{s:s}", "status", "ok"));
}

static enum MHD_Result metrics(const request_t* request) {
    text_buffer_t out = {0};
    metrics_write(request->server, &out);
    return send_text(request, 200, "text/plain; version=0.0.4", out.data, out.bytes);
}

static enum MHD_Result page(const request_t* request) {
    struct MHD_Response* response = MHD_create_response_from_buffer(
        server_page_bytes, (void*)(uintptr_t)server_page, MHD_RESPMEM_PERSISTENT);
    if (response != NULL) {
        (void)MHD_add_response_header(response, "Content-Security-Policy",
                                      "default-src 'none'; connect-src 'self'; "
                                      "script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                                      "frame-ancestors 'none'");
    }
    return send_response(request, 200, "text/html; charset=utf-8", response);
}

typedef struct route {
    const char* method;
    const char* path; /* one that ends with '/' also stands for all below it, but "/" */
    enum MHD_Result (*handle)(const request_t* request);
    int is_open; /* needs no key */
} route_t;

static const route_t routes[] = {
    {"GET", "/", page, 1},
    {"GET", "/health", health, 1},
    {"GET", "/metrics", metrics, 0},
    {"GET", "/v1/models", models, 0},
    {"GET", "/v1/models/", one_model, 0},
    {"POST", "/v1/chat/completions", chat_completions, 0},
    {"POST", "/v1/completions", completions, 0},
    {"POST", "/v1/embeddings", embeddings, 0},
};

static const route_t* find_route(const char* path) {
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); ++i) {
        const size_t bytes = strlen(routes[i].path);
        const int is_folder = bytes > 1u && routes[i].path[bytes - 1u] == '/';
        if (is_folder ? strncmp(path, routes[i].path, bytes) == 0
                      : strcmp(path, routes[i].path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* ---- Who may ask what ---- */

/* Takes as long for a wrong key as for the right one. */
static int is_key(const char* given, const char* key) {
    const size_t bytes = strlen(key);
    unsigned difference = strlen(given) != bytes;
    for (size_t i = 0; i < bytes && given[i] != '\0'; ++i) {
        difference |= (unsigned)(unsigned char)given[i] ^ (unsigned char)key[i];
    }
    return difference == 0;
}

static int has_key(const request_t* request) {
    const char* header = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);
    return header != NULL && strncasecmp(header, "Bearer ", 7) == 0 &&
           is_key(header + 7, request->server->options.api_key);
}

/* Pages of other sites reach a server on loopback through a name that they have made point there;
 * they cannot make it say "localhost". */
static int is_local_name(const char* host) {
    static const char* const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < 3; ++i) {
        const size_t bytes = strlen(names[i]);
        if (strncasecmp(host, names[i], bytes) == 0 &&
            (host[bytes] == '\0' || host[bytes] == ':')) {
            return 1;
        }
    }
    return 0;
}

static int is_loopback(const char* address) {
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* JSON alone: browsers send other types to any site without asking it first. */
static int is_json(const request_t* request) {
    const char* type = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_TYPE);
    return type != NULL && strncasecmp(type, "application/json", 16) == 0 &&
           (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

static int is_head(const char* method) {
    return strcmp(method, "HEAD") == 0;
}

/* What can be said before the body; 1: nothing is wrong. */
static int check_request(const request_t* request,
                         const route_t* route,
                         const char* method,
                         api_error_t* error) {
    const server_options_t* options = &request->server->options;
    const char* host =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char* length = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (is_loopback(options->host) && host != NULL && !is_local_name(host)) {
        return api_fail(error, 403, "", "this server is local; 'Host: %.64s' is not", host);
    }
    if (route == NULL || (route->handle == page && options->has_no_page)) {
        return api_fail(error, 404, "", "there is no '%.128s'", request->path);
    }
    if (strcmp(method, route->method) != 0 &&
        !(is_head(method) && strcmp(route->method, "GET") == 0)) {
        return api_fail(error, 405, "", "'%s' takes %s, not %.16s", route->path, route->method,
                        method);
    }
    if (!route->is_open && options->api_key != NULL && !has_key(request)) {
        (void)api_fail(error, 401, "", "no or wrong key: send 'Authorization: Bearer KEY'");
        error->code = "invalid_api_key";
        return 0;
    }
    if (strcmp(route->method, "POST") == 0 && !is_json(request)) {
        return api_fail(error, 415, "", "expected 'Content-Type: application/json'");
    }
    if (length != NULL && strtoull(length, NULL, 10) > options->max_body) {
        return api_fail(error, 413, "", "a body of %.20s bytes, at most %u", length,
                        options->max_body);
    }
    return 1;
}

/* ---- libmicrohttpd ---- */

/* A part of the body; too much of it is read no further than once more of its limit. */
static enum MHD_Result take_body(const server_t* server,
                                 call_t* call,
                                 const char* data,
                                 size_t* inout_bytes) {
    const size_t most = server->options.max_body;
    const size_t bytes = *inout_bytes;
    *inout_bytes = 0;
    if (call->is_too_large || bytes > most - call->body.bytes) {
        const int is_endless = call->is_too_large && bytes > most;
        call->is_too_large = 1;
        return is_endless ? MHD_NO : MHD_YES;
    }
    text_append(&call->body, data, bytes);
    return call->body.has_failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_request(void* user,
                                  struct MHD_Connection* connection,
                                  const char* path,
                                  const char* method,
                                  const char* version,
                                  const char* data,
                                  size_t* inout_bytes,
                                  void** inout_call) {
    server_t* server = user;
    call_t* call = *inout_call;
    request_t request = {server, connection, path, NULL};
    const route_t* route = find_route(path);
    api_error_t error = {0};
    (void)version;
    if (call == NULL) {
        if (!check_request(&request, route, method, &error)) {
            return send_error(&request, &error);
        }
        *inout_call = calloc(1, sizeof(*call));
        return *inout_call != NULL ? MHD_YES : MHD_NO;
    }
    if (*inout_bytes != 0) {
        return take_body(server, call, data, inout_bytes);
    }
    if (call->is_too_large) {
        (void)api_fail(&error, 413, "", "the body has more than %u bytes",
                       server->options.max_body);
        return send_error(&request, &error);
    }
    request.body = &call->body;
    return route->handle(&request);
}

static void on_completed(void* user,
                         struct MHD_Connection* connection,
                         void** inout_call,
                         enum MHD_RequestTerminationCode code) {
    call_t* call = *inout_call;
    (void)user, (void)connection, (void)code;
    if (call != NULL) {
        text_free(&call->body);
        free(call);
        *inout_call = NULL;
    }
}

/* ---- Starting ---- */

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address_t;

static int read_address(const server_options_t* options, address_t* out) {
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, options->host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)options->port);
        return 1;
    }
    if (inet_pton(AF_INET6, options->host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)options->port);
        return 1;
    }
    return 0;
}

uint16_t http_start(server_t* server) {
    const server_options_t* options = &server->options;
    address_t address;
    if (!read_address(options, &address)) {
        fprintf(stderr, "llmir-serve: error: '%s' is no numeric address\n", options->host);
        return 0;
    }
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    flags |= address.any.sa_family == AF_INET6 ? (unsigned)MHD_USE_IPv6 : 0u;
    struct MHD_Daemon* daemon = MHD_start_daemon(
        flags, (uint16_t)options->port, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
        &address.any, MHD_OPTION_CONNECTION_LIMIT, options->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_s, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    const union MHD_DaemonInfo* info =
        daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (info == NULL) {
        fprintf(stderr, "llmir-serve: error: cannot listen on %s port %u: %s\n", options->host,
                options->port, strerror(errno));
        return 0;
    }
    server->daemon = daemon;
    return info->port;
}

void http_stop(server_t* server) {
    atomic_store(&server->is_stopping, 1);
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
    }
}
