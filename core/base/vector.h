/* A growing array over the application's allocator, for work that is done once, such as compiling a
 * grammar. Elements are plain data and may move when the array grows. */
#ifndef LLMIR_BASE_VECTOR_H
#define LLMIR_BASE_VECTOR_H

#include <string.h>

#include "core/base/allocator.h"
#include "core/base/size.h"

typedef struct llmir_vector {
    const llmir_allocator_t* allocator;
    void* data;
    size_t count;
    size_t capacity;
    size_t element_bytes;
} llmir_vector_t;

/* An empty array; nothing is allocated. */
static inline llmir_vector_t llmir_vector_of(const llmir_allocator_t* allocator,
                                             size_t element_bytes) {
    return (llmir_vector_t){allocator, NULL, 0, 0, element_bytes};
}

/* Makes room for `more` elements behind the last. Errors: OUT_OF_MEMORY. */
static inline llmir_status_t llmir_vector_reserve(llmir_vector_t* vector,
                                                  size_t more,
                                                  const char* what,
                                                  llmir_error_t* error) {
    size_t wanted = 0;
    size_t bytes = 0;
    if (more <= vector->capacity - vector->count) {
        return LLMIR_STATUS_OK;
    }
    size_t capacity = vector->capacity + vector->capacity / 2u + 16u;
    if (!llmir_size_add(vector->count, more, &wanted) || capacity < vector->capacity) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "%s: too large", what);
    }
    capacity = capacity < wanted ? wanted : capacity;
    if (!llmir_size_mul(capacity, vector->element_bytes, &bytes)) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "%s: too large", what);
    }
    LLMIR_TRY(llmir_reallocate(vector->allocator, &vector->data,
                               vector->capacity * vector->element_bytes, bytes, 8, what, error));
    vector->capacity = capacity;
    return LLMIR_STATUS_OK;
}

/* Appends copies of `count` elements. Errors: OUT_OF_MEMORY. */
static inline llmir_status_t llmir_vector_append(llmir_vector_t* vector,
                                                 const void* elements,
                                                 size_t count,
                                                 const char* what,
                                                 llmir_error_t* error) {
    LLMIR_TRY(llmir_vector_reserve(vector, count, what, error));
    if (count != 0) {
        memcpy((char*)vector->data + vector->count * vector->element_bytes, elements,
               count * vector->element_bytes);
        vector->count += count;
    }
    return LLMIR_STATUS_OK;
}

/* The place of an element, or the end; NULL for an array that never held any. */
static inline void* llmir_vector_at(const llmir_vector_t* vector, size_t index) {
    return vector->data != NULL ? (char*)vector->data + index * vector->element_bytes : NULL;
}

/* Frees the elements; the array is empty and may be used again. */
static inline void llmir_vector_free(llmir_vector_t* vector) {
    llmir_free(vector->allocator, vector->data, vector->capacity * vector->element_bytes, 8);
    vector->data = NULL;
    vector->count = 0;
    vector->capacity = 0;
}

#endif /* LLMIR_BASE_VECTOR_H */
