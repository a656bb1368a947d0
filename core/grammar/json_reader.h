/* JSON text (RFC 8259) as a tree of nodes in preorder, for schemas. Strings keep their place in the
 * text; their values are decoded to UTF-8. */
#ifndef LLMIR_JSON_READER_H
#define LLMIR_JSON_READER_H

#include "core/base/vector.h"

#define LLMIR_JSON_NONE UINT32_MAX

typedef enum llmir_json_kind {
    LLMIR_JSON_NULL,
    LLMIR_JSON_FALSE,
    LLMIR_JSON_TRUE,
    LLMIR_JSON_NUMBER,
    LLMIR_JSON_STRING,
    LLMIR_JSON_ARRAY,
    LLMIR_JSON_OBJECT, /* children: a STRING, the key, whose first child is the value */
} llmir_json_kind_t;

typedef struct llmir_json_node {
    uint32_t kind;
    uint32_t offset;      /* in the text */
    uint32_t text_bytes;  /* of the value there; of an object's key alone */
    uint32_t value_begin; /* of a string, in `strings` */
    uint32_t value_bytes;
    uint32_t first_child; /* LLMIR_JSON_NONE: none, as next */
    uint32_t next;
} llmir_json_node_t;

typedef struct llmir_json {
    const char* text;
    llmir_vector_t nodes;   /* llmir_json_node_t; node 0 is the root */
    llmir_vector_t strings; /* char */
} llmir_json_t;

static inline const llmir_json_node_t* llmir_json_at(const llmir_json_t* json, uint32_t index) {
    return llmir_vector_at(&json->nodes, index);
}

/* Reads a whole text; `text` must outlive `out`, which must be freed in any case.
 * Errors: INVALID_ARGUMENT with line and column, OUT_OF_MEMORY. */
llmir_status_t llmir_json_read(const llmir_allocator_t* allocator,
                               const char* text,
                               size_t bytes,
                               llmir_json_t* out,
                               llmir_error_t* error);
void llmir_json_free(llmir_json_t* json);

/* Whether a string node has this value. */
int llmir_json_is(const llmir_json_t* json, uint32_t node, const char* value);

/* The value of an object's key, LLMIR_JSON_NONE if it has none; of equal keys the last counts. */
uint32_t llmir_json_member(const llmir_json_t* json, uint32_t object, const char* key);

/* A number node that is a whole number in [0, most]; 0 for all others. */
int llmir_json_whole(const llmir_json_t* json, uint32_t node, uint32_t most, uint32_t* out);

#endif /* LLMIR_JSON_READER_H */
