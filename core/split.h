/* One model on two devices: as many decoder layers as fit on the one that was chosen, the rest on
 * the processor.
 *
 *   stage   processor             device       processor
 *           embedding, tables ->  layers   ->  further layers, logits
 *
 * The embedding stays on the processor, where it takes no memory of its own: its matrix is often as
 * large as several layers, of which a token needs one row. A stage without dispatches is left out.
 * Builds with the processor alone cannot split (split_none.c). */
#ifndef LLMIR_SPLIT_H
#define LLMIR_SPLIT_H

#include "core/model.h"

typedef struct llmir_split_wish {
    int allowed;           /* 0: the whole model, whether it fits or not */
    uint32_t layer_count;  /* on the device; more than there are: the whole model; 0: what fits */
    uint32_t layer_limit;  /* of what fits; UINT32_MAX: none */
    uint64_t memory_bytes; /* of the device to use at most; 0: what it has */
    const llmir_pool_options_t* pool; /* whose memory must fit too; NULL: defaults */
} llmir_split_wish_t;

/* Narrows a model of one stage, not yet loaded, to what its device takes, and adds stages for the
 * rest; `reason` then tells why. Errors: CAPACITY (no layer fits), UNSUPPORTED (no such cache on
 * the device, layers that cannot be separated), OUT_OF_MEMORY. */
llmir_status_t llmir_split_fit(llmir_model_t* model,
                               const llmir_split_wish_t* wish,
                               llmir_error_t* reason,
                               llmir_error_t* error);

/* Bytes of a stage's weights in a device's memory, and of what its program needs beside them. */
uint64_t llmir_split_weights(const llmir_stage_t* stage);

/* The processor, as a device of the runtime. */
llmir_status_t llmir_split_processor(llmir_runtime_t* runtime,
                                     llmir_device_t** out_device,
                                     llmir_error_t* error);

#endif /* LLMIR_SPLIT_H */
