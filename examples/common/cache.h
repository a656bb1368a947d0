/* The library's cache as files in the user's cache folder: "KEY.cache" in .../llmir. */
#ifndef LLMIR_EXAMPLES_CACHE_H
#define LLMIR_EXAMPLES_CACHE_H

#include "llmir.h"

/* Callbacks without state; nothing is kept where the system has no such folder. */
llmir_cache_t file_cache(void);

#endif /* LLMIR_EXAMPLES_CACHE_H */
