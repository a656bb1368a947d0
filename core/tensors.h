/* The tensors of a bundle: all WEIGHTS parts as one numbered sequence of views into the file. */
#ifndef LLMIR_TENSORS_H
#define LLMIR_TENSORS_H

#include "core/bundle.h"
#include "targets/target.h"

/* Longest rows and most rows of a tensor. They keep every size in 64 bits and every row in 32. */
#define LLMIR_TENSOR_MAX_COLUMNS (1u << 24)
#define LLMIR_TENSOR_MAX_ROWS (1u << 28)

/* Counts the tensors and the bytes of all parts; checks the parts' numbering and their tables'
 * places. Errors: CORRUPT. */
llmir_status_t llmir_tensors_count(const llmir_bundle_t* bundle,
                                   uint32_t* out_count,
                                   uint64_t* out_bytes,
                                   llmir_error_t* error);

/* Fills `out_views[count]`, with the count as counted above. Every record is checked: shape,
 * layout, group, size and place. Errors: CORRUPT. */
llmir_status_t llmir_tensors_read(const llmir_bundle_t* bundle,
                                  llmir_tensor_view_t* out_views,
                                  llmir_error_t* error);

/* Product of all dimensions but the last, and the last. Valid for checked records. */
uint32_t llmir_tensor_rows(const llmir_tensor_record_t* record);
uint32_t llmir_tensor_columns(const llmir_tensor_record_t* record);

#endif /* LLMIR_TENSORS_H */
