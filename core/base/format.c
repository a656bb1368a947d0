/* See format.h. Numbers of up to 32 bits are divided as such: a 64-bit division is a call into the
 * compiler's library on small processors. */
#include "core/base/format.h"

#include <stdint.h>

typedef struct text_out {
    char* at;
    char* end; /* where the terminator has to go at the latest */
    int is_cut;
} text_out_t;

typedef struct conversion {
    int is_alternate;
    int has_zeros;
    uint32_t width;
    uint32_t precision; /* UINT32_MAX: none */
    size_t bytes;       /* of an integer argument */
    char letter;        /* 0: none that is known here */
} conversion_t;

static void put(text_out_t* out, char c) {
    if (out->at < out->end) {
        *out->at++ = c;
    } else {
        out->is_cut = 1;
    }
}

static void put_text(text_out_t* out, const char* text, uint32_t most) {
    for (; most > 0 && *text != 0; --most) {
        put(out, *text++);
    }
}

/* Takes the last digit off a number. */
static uint32_t next_digit(uint64_t* inout_value, uint32_t base) {
    if (*inout_value <= UINT32_MAX) {
        const uint32_t value = (uint32_t)*inout_value;
        *inout_value = value / base;
        return value % base;
    }
    /* Long division by 16-bit digits: base times 2^16 fits 32 bits. */
    uint64_t quotient = 0;
    uint32_t rest = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        const uint32_t part = rest << 16 | (uint32_t)(*inout_value >> shift & 0xFFFFu);
        quotient = quotient << 16 | part / base;
        rest = part % base;
    }
    *inout_value = quotient;
    return rest;
}

static void put_number(text_out_t* out, const conversion_t* c, uint64_t value, int is_negative) {
    char digits[24]; /* 2^64 has 20 */
    uint32_t count = 0;
    const int is_hex = c->letter == 'x' || c->letter == 'p';
    const int has_prefix = c->letter == 'p' || (c->is_alternate && value != 0);
    do {
        digits[count++] = "0123456789abcdef"[next_digit(&value, is_hex ? 16u : 10u)];
    } while (value != 0);
    uint32_t length = count + (is_negative ? 1u : 0u) + (has_prefix ? 2u : 0u);
    for (; !c->has_zeros && length < c->width; ++length) {
        put(out, ' ');
    }
    if (is_negative) {
        put(out, '-');
    }
    if (has_prefix) {
        put_text(out, "0x", 2);
    }
    for (; length < c->width; ++length) {
        put(out, '0');
    }
    while (count > 0) {
        put(out, digits[--count]);
    }
}

static void put_float(text_out_t* out, float value) {
    const conversion_t whole = {.letter = 'u'};
    if (value != value) {
        put_text(out, "nan", 3);
        return;
    }
    if (value < 0.0f) {
        put(out, '-');
        value = -value;
    }
    if (value > 0x1.fffffep+127f) {
        put_text(out, "inf", 3);
        return;
    }
    uint32_t exponent = 0;
    for (const int is_large = value >= 1e6f; is_large && value >= 10.0f; value /= 10.0f) {
        ++exponent;
    }
    uint32_t millionths = (uint32_t)((value - (float)(uint32_t)value) * 1e6f + 0.5f);
    put_number(out, &whole, (uint32_t)value + (millionths == 1000000u), 0);
    millionths = millionths == 1000000u ? 0u : millionths;
    if (millionths != 0) {
        put(out, '.');
        for (uint32_t scale = 100000u; millionths != 0; scale /= 10u) {
            put(out, (char)('0' + millionths / scale));
            millionths %= scale;
        }
    }
    if (exponent != 0) {
        put_text(out, "e+", 2);
        put_number(out, &whole, exponent, 0);
    }
}

static uint32_t read_digits(const char** inout_format) {
    uint32_t value = 0;
    for (; **inout_format >= '0' && **inout_format <= '9'; ++*inout_format) {
        value = value * 10u + (uint32_t)(**inout_format - '0');
    }
    return value;
}

/* Reads what follows a percent sign. `star` is the argument of ".*". */
static conversion_t read_conversion(const char** inout_format, va_list* arguments) {
    conversion_t c = {.precision = UINT32_MAX, .bytes = sizeof(int)};
    const char* f = *inout_format;
    for (; *f == '#' || *f == '0'; ++f) {
        c.is_alternate |= *f == '#';
        c.has_zeros |= *f == '0';
    }
    c.width = read_digits(&f);
    if (f[0] == '.' && f[1] == '*') {
        const int given = va_arg(*arguments, int);
        c.precision = given < 0 ? UINT32_MAX : (uint32_t)given;
        f += 2;
    } else if (f[0] == '.') {
        ++f;
        c.precision = read_digits(&f);
    }
    if (f[0] == 'l') {
        c.bytes = f[1] == 'l' ? sizeof(long long) : sizeof(long);
        f += f[1] == 'l' ? 2 : 1;
    } else if (f[0] == 'z') {
        c.bytes = sizeof(size_t);
        ++f;
    }
    c.letter = *f;
    *inout_format = *f != 0 ? f + 1 : f;
    return c;
}

/* Writes one argument; 0: the conversion is not known. */
static int put_argument(text_out_t* out, const conversion_t* c, va_list* arguments) {
    uint64_t value = 0;
    int is_negative = 0;
    switch (c->letter) {
        case 'd': {
            const int64_t given = c->bytes == sizeof(long long) ? va_arg(*arguments, long long)
                                                                : va_arg(*arguments, int);
            is_negative = given < 0;
            value = is_negative ? 0u - (uint64_t)given : (uint64_t)given;
            put_number(out, c, value, is_negative);
            return 1;
        }
        case 'u':
        case 'x':
            value = c->bytes == sizeof(long long) ? va_arg(*arguments, unsigned long long)
                                                  : va_arg(*arguments, unsigned);
            put_number(out, c, value, 0);
            return 1;
        case 'p':
            put_number(out, c, (uintptr_t)va_arg(*arguments, const void*), 0);
            return 1;
        case 's':
            put_text(out, va_arg(*arguments, const char*), c->precision);
            return 1;
        case 'c':
            put(out, (char)va_arg(*arguments, int));
            return 1;
        case 'g':
            put_float(out, (float)va_arg(*arguments, double));
            return 1;
        case '%':
            put(out, '%');
            return 1;
        default:
            return 0;
    }
}

int llmir_format_list(char* out, size_t capacity, const char* format, va_list arguments) {
    text_out_t text = {.at = out, .end = out + capacity - 1};
    va_list copy; /* a va_list that is a parameter may be a pointer: its address has another type */
    va_copy(copy, arguments);
    while (*format != 0) {
        if (*format != '%') {
            put(&text, *format++);
            continue;
        }
        ++format;
        const conversion_t c = read_conversion(&format, &copy);
        if (!put_argument(&text, &c, &copy)) {
            text.is_cut = 1;
            break;
        }
    }
    va_end(copy);
    *text.at = 0;
    return !text.is_cut;
}

int llmir_format(char* out, size_t capacity, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int is_whole = llmir_format_list(out, capacity, format, arguments);
    va_end(arguments);
    return is_whole;
}
