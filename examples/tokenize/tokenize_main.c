/* llmir-tokenize: text to token ids and back, one result a line. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/input.h"
#include "common/open.h"
#include "common/system.h"

static const char program_name[] = "llmir-tokenize";
static const char usage[] =
    "usage: llmir-tokenize BUNDLE [--decode] [--special] [--bos]\n"
    "Reads lines of text from standard input and prints the token ids of each, separated by "
    "spaces.\n"
    "  --decode   read ids, print the text\n"
    "  --special  text such as <|im_end|> becomes the special token (decoding: special tokens are "
    "printed)\n"
    "  --bos      begin each line with the model's begin-of-text token\n";

static int encode_line(const llmir_model_t* model, const char* line, size_t bytes, uint32_t flags) {
    llmir_error_t error = {0};
    size_t count = 0;
    int32_t* ids = open_tokenize(model, line, bytes, flags, &count, &error);
    if (ids == NULL) {
        return cli_fail(program_name, "%s", error.message);
    }
    for (size_t i = 0; i < count; ++i) {
        printf(i == 0 ? "%d" : " %d", ids[i]);
    }
    putchar('\n');
    free(ids);
    return 0;
}

/* Parses the decimal ids of a line; returns how many, or -1 at the first word that is none. `ids`
 * holds bytes / 2 + 1. */
static long parse_ids(const char* line, size_t bytes, int32_t* ids) {
    long count = 0;
    for (size_t i = 0; i < bytes;) {
        if (isspace((unsigned char)line[i]) || line[i] == ',') {
            ++i;
            continue;
        }
        char* end = NULL;
        errno = 0;
        const long id = strtol(line + i, &end, 10);
        if (end == line + i || errno != 0 || id < 0 || id > INT32_MAX) {
            return -1;
        }
        ids[count++] = (int32_t)id;
        i = (size_t)(end - line);
    }
    return count;
}

static int decode_line(const llmir_model_t* model, const char* line, size_t bytes, uint32_t flags) {
    llmir_error_t error = {0};
    size_t text_bytes = 0;
    int32_t* ids = malloc((bytes / 2 + 1) * sizeof(*ids));
    const long count = ids == NULL ? -1 : parse_ids(line, bytes, ids);
    char* text = NULL;
    int result = 1;
    if (count < 0) {
        cli_fail(program_name, "'%.*s': expected token ids", bytes > 80 ? 80 : (int)bytes, line);
    } else {
        llmir_status_t status =
            llmir_model_detokenize(model, ids, (size_t)count, flags, NULL, 0, &text_bytes, &error);
        if (status == LLMIR_STATUS_CAPACITY && (text = malloc(text_bytes)) != NULL) {
            status = llmir_model_detokenize(model, ids, (size_t)count, flags, text, text_bytes,
                                            &text_bytes, &error);
        }
        if (status == LLMIR_STATUS_OK) {
            if (text != NULL) { /* NULL: no bytes */
                fwrite(text, 1, text_bytes, stdout);
            }
            putchar('\n');
            result = 0;
        } else {
            cli_fail(program_name, "%s", error.message);
        }
    }
    free(text);
    free(ids);
    return result;
}

static int each_line(
    const llmir_model_t* model, const char* input, size_t bytes, int decode, uint32_t flags) {
    const char* end = input + bytes;
    while (input < end) {
        const char* newline = memchr(input, '\n', (size_t)(end - input));
        const size_t length = (size_t)((newline ? newline : end) - input);
        const int result = decode ? decode_line(model, input, length, flags)
                                  : encode_line(model, input, length, flags);
        if (result != 0) {
            return result;
        }
        input += length + 1;
    }
    return 0;
}

int main(int argc, char** argv) {
    int32_t decode = 0, special = 0, bos = 0;
    const cli_option_t options[] = {{"--decode", NULL, CLI_FLAG, &decode},
                                    {"--special", NULL, CLI_FLAG, &special},
                                    {"--bos", NULL, CLI_FLAG, &bos}};
    const cli_program_t program = {program_name, usage, options,
                                   sizeof(options) / sizeof(options[0])};
    const char* path = NULL;
    system_begin(&argc, &argv);
    const int leave = cli_parse(&program, argc, argv, &path, 1);
    if (leave >= 0) {
        return leave;
    }
    opened_model_t opened;
    llmir_error_t error = {0};
    if (open_model(program_name, path, NULL, 1, 0, &opened, &error) != LLMIR_STATUS_OK) {
        return cli_fail(program_name, "%s", error.message);
    }
    size_t bytes = 0;
    char* input = input_read_stream(stdin, &bytes);
    int result = 1;
    if (input == NULL) {
        cli_fail(program_name, "cannot read standard input: %s", strerror(errno));
    } else {
        const uint32_t flags =
            (special ? LLMIR_TOKENIZE_SPECIAL : 0u) | (bos ? LLMIR_TOKENIZE_ADD_BOS : 0u);
        result = each_line(opened.model, input, bytes, decode, flags);
    }
    free(input);
    close_model(&opened);
    return result;
}
