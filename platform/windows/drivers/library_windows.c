/* Dynamic libraries: searched where Windows searches, but for the current folder's. */
#include "platform/library.h"
#include "platform/windows/error_windows.h"

int llmir_library_open(const char* name, llmir_library_t* out_library) {
    wchar_t wide[LLMIR_WIDE_PATH_CHARS];
    out_library->handle = llmir_wide_path(name, wide)
                              ? (void*)LoadLibraryExW(wide, NULL, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS)
                              : NULL;
    return out_library->handle != NULL;
}

void llmir_library_symbol(const llmir_library_t* library,
                          const char* name,
                          llmir_library_function_t* out_symbol) {
    *out_symbol = (llmir_library_function_t)GetProcAddress((HMODULE)library->handle, name);
}

void llmir_library_close(llmir_library_t* library) {
    if (library->handle != NULL) {
        (void)FreeLibrary((HMODULE)library->handle);
        library->handle = NULL;
    }
}
