/* The CPU back end's table. */
#ifndef LLMIR_CPU_TARGET_H
#define LLMIR_CPU_TARGET_H

#include "targets/target.h"

extern const llmir_target_t llmir_target_cpu;

#endif /* LLMIR_CPU_TARGET_H */
