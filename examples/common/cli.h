/* Command-line conventions of the programs: exit 0 done, 1 failed with one line "PROGRAM: error:
 * ...", 2 wrong usage. */
#ifndef LLMIR_EXAMPLES_CLI_H
#define LLMIR_EXAMPLES_CLI_H

#include <stddef.h>
#include <stdint.h>

typedef enum cli_kind {
    CLI_FLAG,   /* int32_t*: set to 1 */
    CLI_U32,    /* uint32_t* */
    CLI_U64,    /* uint64_t* */
    CLI_F32,    /* float*, finite and >= 0 */
    CLI_SIGNED, /* float*, finite */
    CLI_STRING, /* const char** */
    CLI_LIST,   /* cli_list_t*: may be given several times */
} cli_kind_t;

#define CLI_LIST_MAX 64u

typedef struct cli_list {
    const char* items[CLI_LIST_MAX];
    uint32_t count;
} cli_list_t;

typedef struct cli_option {
    const char* name;  /* "-n" or "--seed" */
    const char* alias; /* another spelling, or NULL */
    cli_kind_t kind;
    void* target;
} cli_option_t;

/* What a program says of itself. `usage` is printed for --help (exit 0) and after wrong usage (exit
 * 2). */
typedef struct cli_program {
    const char* name;
    const char* usage;
    const cli_option_t* options;
    size_t option_count;
} cli_program_t;

/* Parses the arguments; everything that is no option goes to `positional`, exactly
 * `positional_count` of them. Returns -1 to go on, or the exit code. */
int cli_parse(const cli_program_t* program,
              int argc,
              char** argv,
              const char** positional,
              size_t positional_count);

/* Prints "PROGRAM: error: MESSAGE" to standard error and returns 1. */
int cli_fail(const char* program, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* As cli_fail, with the usage after it; returns 2. */
int cli_usage(const cli_program_t* program, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* LLMIR_EXAMPLES_CLI_H */
