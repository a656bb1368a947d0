/* Dynamic libraries where there are none. */
#include <stddef.h>

#include "platform/library.h"

int llmir_library_open(const char* name, llmir_library_t* out_library) {
    (void)name;
    out_library->handle = NULL;
    return 0;
}

void llmir_library_symbol(const llmir_library_t* library,
                          const char* name,
                          llmir_library_function_t* out_symbol) {
    (void)library;
    (void)name;
    *out_symbol = NULL;
}

void llmir_library_close(llmir_library_t* library) {
    library->handle = NULL;
}
