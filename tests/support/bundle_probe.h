/* Loads bytes as a bundle and, if that works, runs what they make possible: text to tokens and
 * back, chat, feeding, generating. Damaged bundles go through here, in tests and under the fuzzer.
 */
#ifndef LLMIR_BUNDLE_PROBE_H
#define LLMIR_BUNDLE_PROBE_H

#include "llmir.h"

/* `inner` without blocks above 64 MiB, which only damaged bundles ask for; `inner` must outlive
 * what is allocated. */
llmir_allocator_t bundle_probe_allocator(llmir_allocator_t* inner);

/* `data` is 64-byte aligned. Returns the status of loading, with its message in `error`; what comes
 * after may end in any status. */
llmir_status_t bundle_probe(llmir_runtime_t* runtime,
                            const void* data,
                            size_t bytes,
                            llmir_error_t* error);

#endif /* LLMIR_BUNDLE_PROBE_H */
