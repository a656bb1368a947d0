/* Text from a format, without the C library: its printf brings a locale, a heap and 20 KB along on
 * processors whose programs have 60, and the small ones for firmware know no 64-bit numbers. */
#ifndef LLMIR_BASE_FORMAT_H
#define LLMIR_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "core/base/compiler.h"

/* Writes what snprintf would for the conversions
 *   d u x   with flags # and 0, a width, and the lengths l, ll and z
 *   s       with a precision, of digits or *
 *   c p %
 *   g       as a float, at most 6 digits behind the point; 1e6 and more as powers of ten
 * at most capacity - 1 bytes and a terminator; capacity is at least 1. Any other conversion ends
 * the text. Returns 1 if all of it is there, 0 if it was cut. */
int llmir_format(char* out, size_t capacity, const char* format, ...) LLMIR_PRINTF(3, 4);
int llmir_format_list(char* out, size_t capacity, const char* format, va_list arguments);

#endif /* LLMIR_BASE_FORMAT_H */
