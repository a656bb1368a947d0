/* A build with the processor alone has nothing to split. */
#include "core/split.h"

llmir_status_t llmir_split_fit(llmir_model_t* model,
                               const llmir_split_wish_t* wish,
                               llmir_error_t* reason,
                               llmir_error_t* error) {
    (void)model;
    (void)wish;
    (void)reason;
    (void)error;
    return LLMIR_STATUS_OK;
}

uint64_t llmir_split_weights(const llmir_stage_t* stage) {
    (void)stage;
    return 0;
}
