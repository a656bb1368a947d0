/* Compiler differences, once. Nothing else under core/ tests for a compiler. */
#ifndef LLMIR_BASE_COMPILER_H
#define LLMIR_BASE_COMPILER_H

#if defined(__MINGW32__) && !defined(__clang__)
#define LLMIR_PRINTF(format_index, first_index) \
    __attribute__((format(gnu_printf, format_index, first_index)))
#elif defined(__GNUC__)
#define LLMIR_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#else
#define LLMIR_PRINTF(format_index, first_index)
#endif

#if defined(__GNUC__)
#define LLMIR_INLINE static inline __attribute__((always_inline))
#define LLMIR_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define LLMIR_INLINE static inline
#define LLMIR_UNLIKELY(x) (x)
#endif

#endif /* LLMIR_BASE_COMPILER_H */
