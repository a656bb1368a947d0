/* Whether a device computes what the processor computes. */
#ifndef LLMIR_SELFTEST_H
#define LLMIR_SELFTEST_H

#include "core/model.h"

/* Runs a few tokens on the model's devices and on the processor and compares the logits. Errors:
 * UNSUPPORTED (they differ, or are no numbers), and those of both devices. */
llmir_status_t llmir_selftest_run(const llmir_model_t* model,
                                  const uint8_t* plan_hash,
                                  llmir_error_t* error);

#endif /* LLMIR_SELFTEST_H */
