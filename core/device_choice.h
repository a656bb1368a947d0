/* On which device a model runs: targets are tried in the order of the registry, until one has the
 * device, code in the bundle, memory, and agrees with the processor. */
#ifndef LLMIR_DEVICE_CHOICE_H
#define LLMIR_DEVICE_CHOICE_H

#include "core/model.h"

/* Whether the options name "auto", a target or a part of a device's name. Errors: NOT_FOUND (no
 * target of this build has devices with names). */
llmir_status_t llmir_device_check_options(const llmir_model_options_t* options,
                                          llmir_error_t* error);

/* Takes the device that the options ask for and loads the program there, or its stages there and on
 * the processor; notes why others were not taken. The model's plan is complete. */
llmir_status_t llmir_model_choose_device(llmir_model_t* model,
                                         const uint8_t* plan_hash,
                                         const llmir_model_options_t* options,
                                         llmir_error_t* error);

/* Unloads the programs of all stages. */
void llmir_model_release_stages(llmir_model_t* model);

#endif /* LLMIR_DEVICE_CHOICE_H */
