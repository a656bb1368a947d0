/* The back ends of this build, in the order in which "auto" tries them. */
#ifndef LLMIR_TARGET_REGISTRY_H
#define LLMIR_TARGET_REGISTRY_H

#include "targets/target.h"

/* Most targets that a runtime keeps devices for. */
#define LLMIR_TARGET_REGISTRY_MAX 8u

extern const llmir_target_t* const llmir_target_registry[];
extern const uint32_t llmir_target_registry_count;

/* Whether the table of a target is complete and of this version. */
int llmir_target_is_complete(const llmir_target_t* target);

#endif /* LLMIR_TARGET_REGISTRY_H */
