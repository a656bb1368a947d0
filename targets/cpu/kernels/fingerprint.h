/* A number for what code in a bundle has built in and the runtime decides for itself: how kernels
 * cut their work into tiles, and where things lie in activations and in the cache. Code of another
 * number would be asked for tiles that it does not have. */
#ifndef LLMIR_CPU_FINGERPRINT_H
#define LLMIR_CPU_FINGERPRINT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The fingerprint of this build; the same for all processors. llmirc records it in CODE sections.
 * Where it changes, LLMIR_KERNEL_ABI_VERSION must be raised: test_cpu_code keeps both side by side.
 */
uint32_t llmir_kernel_fingerprint(void);

#ifdef __cplusplus
}
#endif

#endif /* LLMIR_CPU_FINGERPRINT_H */
