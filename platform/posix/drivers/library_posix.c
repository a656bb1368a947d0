/* Dynamic libraries by dlopen. */
#include <dlfcn.h>
#include <string.h>

#include "platform/library.h"

int llmir_library_open(const char* name, llmir_library_t* out_library) {
    out_library->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return out_library->handle != NULL;
}

void llmir_library_symbol(const llmir_library_t* library,
                          const char* name,
                          llmir_library_function_t* out_symbol) {
    void* address = dlsym(library->handle, name);
    /* ISO C has no conversion of an object's address to a function's; POSIX says that this works.
     */
    memcpy(out_symbol, &address, sizeof address);
}

void llmir_library_close(llmir_library_t* library) {
    if (library->handle != NULL) {
        (void)dlclose(library->handle);
        library->handle = NULL;
    }
}
