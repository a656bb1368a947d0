/* What clang's setjmp for WebAssembly calls: see setjmp.h in this folder. */
#include <setjmp.h>

#define C_LONGJMP 1 /* LLVM's number of the exception */

void __wasm_setjmp(void* env, uint32_t label, void* invocation);
uint32_t __wasm_setjmp_test(void* env, void* invocation);
void __wasm_longjmp(void* env, int value);

void __wasm_setjmp(void* env, uint32_t label, void* invocation) {
    struct test_jump* jump = env;
    jump->invocation = invocation;
    jump->label = label;
}

/* The label if `env` was set by this invocation of the function, 0 if not. */
uint32_t __wasm_setjmp_test(void* env, void* invocation) {
    const struct test_jump* jump = env;
    return jump->invocation == invocation ? jump->label : 0;
}

void __wasm_longjmp(void* env, int value) {
    struct test_jump* jump = env;
    jump->thrown.env = env;
    jump->thrown.value = value == 0 ? 1 : value;
    __builtin_wasm_throw(C_LONGJMP, &jump->thrown);
}
