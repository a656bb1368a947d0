/* setjmp for tests under WASI, whose C library has none of its own yet. clang makes exceptions of
 * WebAssembly out of it (-mllvm -wasm-enable-sjlj) and calls the functions of setjmp_wasi.c; their
 * interface is that of LLVM's WebAssemblyLowerEmscriptenEHSjLj.cpp. */
#ifndef LLMIR_TEST_SETJMP_H
#define LLMIR_TEST_SETJMP_H

#include <stdint.h>

typedef struct test_jump {
    void* invocation; /* of the function that called setjmp */
    uint32_t label;   /* of the call in it, from 1 */
    struct {
        void* env;
        int value;
    } thrown;
} jmp_buf[1];

int setjmp(jmp_buf env) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf env, int value);

#endif /* LLMIR_TEST_SETJMP_H */
