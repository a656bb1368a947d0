/* llmir-serve: what its parts share. */
#ifndef LLMIR_SERVER_SERVER_H
#define LLMIR_SERVER_SERVER_H

#include <stdatomic.h>

#include "server/answer.h"

typedef struct server_options {
    const char* host; /* numeric address */
    const char* name; /* of the model; NULL: the file's */
    const char* api_key;
    uint32_t port;        /* 0: the system chooses */
    uint32_t connections; /* at once */
    uint32_t max_body;    /* bytes */
    uint32_t idle_s;      /* a connection on which nothing moves is closed */
    uint32_t timeout_s;   /* of a request; 0: none */
    int32_t has_no_page;
} server_options_t;

typedef struct server {
    server_options_t options;
    completion_model_t model;
    llmir_model_info_t info;
    llmir_scheduler_t* scheduler;
    int64_t created;
    atomic_int is_stopping;
    atomic_ullong answer_count;
    atomic_ullong response_count[6]; /* by the first digit of their status */
    atomic_ullong gone_count;        /* clients that left before their answer was whole */
    void* daemon;                    /* struct MHD_Daemon */
} server_t;

/* Starts to listen; returns the port, 0 after a message to standard error. */
uint16_t http_start(server_t* server);

/* Ends all connections; answers that are being written end early. */
void http_stop(server_t* server);

/* GET /metrics in Prometheus' text format. */
void metrics_write(server_t* server, text_buffer_t* out);

/* The chat page, of which there is one. */
extern const unsigned char server_page[];
extern const size_t server_page_bytes;

#endif /* LLMIR_SERVER_SERVER_H */
