/* The writer of a schema's grammar, as its two parts share it: json_schema.c has the types, and
 * json_schema_object.c the objects. */
#ifndef LLMIR_JSON_SCHEMA_H
#define LLMIR_JSON_SCHEMA_H

#include "core/grammar/grammar_ast.h"
#include "core/grammar/json_reader.h"

typedef struct llmir_schema_writer {
    llmir_json_t json;
    llmir_vector_t* text;
    llmir_vector_t pending; /* u32: schemas whose rules are to be written, in order */
    llmir_error_t* error;
} llmir_schema_writer_t;

/* Fails with the node's line and column. */
llmir_status_t llmir_schema_fail(const llmir_schema_writer_t* writer,
                                 llmir_status_t status,
                                 uint32_t node,
                                 const char* message);

/* Appends text; the others append by it. Errors: OUT_OF_MEMORY. */
llmir_status_t llmir_schema_put(llmir_schema_writer_t* writer, const char* text);

/* `prefix` and two numbers, the second one only if it is not LLMIR_JSON_NONE. */
llmir_status_t llmir_schema_put_name(llmir_schema_writer_t* writer,
                                     const char* prefix,
                                     uint32_t node,
                                     uint32_t part);

/* The JSON text of a node as a literal. */
llmir_status_t llmir_schema_put_literal(llmir_schema_writer_t* writer, uint32_t node);

/* The name of a schema's rule, which is written sooner or later. */
llmir_status_t llmir_schema_put_schema(llmir_schema_writer_t* writer, uint32_t node);

/* A keyword's value; LLMIR_JSON_NONE if the schema does not have it. */
uint32_t llmir_schema_member(const llmir_schema_writer_t* writer, uint32_t node, const char* key);

/* The first element or member of a keyword's value; LLMIR_JSON_NONE if there is none. */
uint32_t llmir_schema_first_of(const llmir_schema_writer_t* writer, uint32_t node, const char* key);

/* A keyword's value, if it has one, is of this kind. */
llmir_status_t llmir_schema_check_kind(const llmir_schema_writer_t* writer,
                                       uint32_t node,
                                       const char* key,
                                       uint32_t kind,
                                       const char* message);

/* The right side of a schema of objects, and the rules that it needs. */
llmir_status_t llmir_schema_put_object(llmir_schema_writer_t* writer, uint32_t node);
llmir_status_t llmir_schema_put_object_rules(llmir_schema_writer_t* writer, uint32_t node);

#endif /* LLMIR_JSON_SCHEMA_H */
