/* Parsing of options from a table. */
#include "common/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llmir.h"

int cli_fail(const char* program, const char* format, ...) {
    va_list arguments;
    fprintf(stderr, "%s: error: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return 1;
}

int cli_usage(const cli_program_t* program, const char* format, ...) {
    va_list arguments;
    fprintf(stderr, "%s: error: ", program->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n%s", program->usage);
    return 2;
}

/* Whole-string number in [0, max]. */
static int parse_unsigned(const char* text, uint64_t max, uint64_t* out) {
    char* end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > max) {
        return 0;
    }
    *out = value;
    return 1;
}

static int parse_float(const char* text, int is_signed, float* out) {
    char* end = NULL;
    const float value = strtof(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || (value < 0.0f && !is_signed)) {
        return 0;
    }
    *out = value;
    return 1;
}

static int append(cli_list_t* list, const char* text) {
    if (list->count == CLI_LIST_MAX) {
        return 0;
    }
    list->items[list->count++] = text;
    return 1;
}

static int store_value(const cli_option_t* option, const char* text) {
    uint64_t number = 0;
    switch (option->kind) {
        case CLI_FLAG:
            *(int32_t*)option->target = 1;
            return 1;
        case CLI_U32:
            if (!parse_unsigned(text, UINT32_MAX, &number)) {
                return 0;
            }
            *(uint32_t*)option->target = (uint32_t)number;
            return 1;
        case CLI_U64:
            return parse_unsigned(text, UINT64_MAX, option->target);
        case CLI_F32:
        case CLI_SIGNED:
            return parse_float(text, option->kind == CLI_SIGNED, option->target);
        case CLI_LIST:
            return append(option->target, text);
        case CLI_STRING:
            *(const char**)option->target = text;
            return 1;
    }
    return 0;
}

static const cli_option_t* find_option(const cli_program_t* program, const char* name) {
    for (size_t i = 0; i < program->option_count; ++i) {
        const cli_option_t* option = &program->options[i];
        if (strcmp(option->name, name) == 0 ||
            (option->alias != NULL && strcmp(option->alias, name) == 0)) {
            return option;
        }
    }
    return NULL;
}

static int print_and_leave(const cli_program_t* program, const char* argument) {
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        fputs(program->usage, stdout);
        return 0;
    }
    if (strcmp(argument, "--version") == 0) {
        const uint32_t version = llmir_version();
        printf("%s %u.%u.%u\n", program->name, version >> 16, version >> 8 & 255u, version & 255u);
        return 0;
    }
    return -1;
}

int cli_parse(const cli_program_t* program,
              int argc,
              char** argv,
              const char** positional,
              size_t positional_count) {
    size_t found = 0;
    for (int i = 1; i < argc; ++i) {
        const char* argument = argv[i];
        if (argument[0] != '-' || argument[1] == '\0') {
            if (found == positional_count) {
                return cli_usage(program, "unexpected argument '%s'", argument);
            }
            positional[found++] = argument;
            continue;
        }
        const int leave = print_and_leave(program, argument);
        if (leave >= 0) {
            return leave;
        }
        const cli_option_t* option = find_option(program, argument);
        if (option == NULL) {
            return cli_usage(program, "unknown option '%s'", argument);
        }
        if (option->kind != CLI_FLAG && i + 1 == argc) {
            return cli_usage(program, "option '%s' needs a value", argument);
        }
        const char* value = option->kind == CLI_FLAG ? NULL : argv[++i];
        if (!store_value(option, value)) {
            return cli_usage(program,
                             option->kind == CLI_LIST
                                 ? "option '%s': '%s' is one too many"
                                 : "option '%s': '%s' is not a number in range",
                             argument, value);
        }
    }
    if (found != positional_count) {
        return cli_usage(program, "%d argument%s missing", (int)(positional_count - found),
                         positional_count - found == 1 ? "" : "s");
    }
    return -1;
}
