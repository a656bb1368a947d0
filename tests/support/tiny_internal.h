/* What the builder's parts share: a growing byte buffer, and tensors under construction. */
#ifndef LLMIR_TINY_INTERNAL_H
#define LLMIR_TINY_INTERNAL_H

#include "tests/support/test_random.h"
#include "tests/support/tiny_bundle.h"

typedef struct tiny_bytes {
    uint8_t* data;
    size_t bytes;
} tiny_bytes_t;

/* Appends zeros up to the alignment, then `bytes` bytes (`data` NULL: zeros). Returns the offset.
 */
size_t tiny_append(tiny_bytes_t* buffer, const void* data, size_t bytes, size_t alignment);
void tiny_bytes_free(tiny_bytes_t* buffer);

typedef struct tiny_tensor {
    llmir_tensor_record_t record;
    tiny_bytes_t data;
    char name[32];
} tiny_tensor_t;

#define TINY_MAX_TENSORS 256u

/* The model under construction: tensors are numbered as they are added. */
typedef struct tiny_model {
    tiny_options_t options;
    test_random_t random;
    tiny_tensor_t tensors[TINY_MAX_TENSORS];
    uint32_t tensor_count;
} tiny_model_t;

/* The PLAN section; adds the tensors that it names to the model. */
tiny_bytes_t tiny_plan_build(tiny_model_t* model);
tiny_bytes_t tiny_tokenizer_build(void);
tiny_bytes_t tiny_chat_build(void);

/* Adds a random matrix in the model's layout, or a vector of f32 around `mean`; returns the index.
 */
uint32_t tiny_add_matrix(tiny_model_t* model, const char* name, uint32_t rows, uint32_t columns);
uint32_t tiny_add_vector(tiny_model_t* model, const char* name, uint32_t count, float mean);

#endif /* LLMIR_TINY_INTERNAL_H */
