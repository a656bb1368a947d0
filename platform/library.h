/* Dynamic libraries, opened at run time. Apart from platform.h because only targets with drivers
 * need them. */
#ifndef LLMIR_LIBRARY_H
#define LLMIR_LIBRARY_H

typedef struct llmir_library {
    void* handle; /* NULL: not open */
} llmir_library_t;

typedef void (*llmir_library_function_t)(void);

/* Opens a library by its name, searched as the system does; returns 0 if there is none. */
int llmir_library_open(const char* name, llmir_library_t* out_library);

/* A function of the library, or NULL. */
void llmir_library_symbol(const llmir_library_t* library,
                          const char* name,
                          llmir_library_function_t* out_symbol);

/* Closes it; one that is not open is allowed. */
void llmir_library_close(llmir_library_t* library);

#endif /* LLMIR_LIBRARY_H */
