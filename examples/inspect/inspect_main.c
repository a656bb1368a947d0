/* llmir-inspect: what is in a bundle. --verify loads it with the library, which checks every
 * section's hash. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/input.h"
#include "common/json.h"
#include "common/open.h"
#include "common/system.h"
#include "inspect/inspect_bundle.h"

static const char program_name[] = "llmir-inspect";
static const char usage[] =
    "usage: llmir-inspect BUNDLE [--verify] [--json]\n"
    "  --verify  check the hash of every section, the weights' included\n"
    "  --json    print one JSON object\n";

static void json_text(const char* text) {
    json_write_string(stdout, text, strlen(text));
}

static void print_hash(const uint8_t hash[LLMIR_BUNDLE_HASH_BYTES], size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
        printf("%02x", hash[i]);
    }
}

static void json_section(const llmir_bundle_section_t* section) {
    fputs("{\"kind\": ", stdout);
    json_text(inspect_kind_name(section->kind));
    fputs(", \"target\": ", stdout);
    json_text(inspect_target_name(section->target));
    fputs(", \"level\": ", stdout);
    json_text(inspect_level_name(section->target, section->level));
    printf(", \"offset\": %llu, \"bytes\": %llu, \"hash\": \"", (unsigned long long)section->offset,
           (unsigned long long)section->bytes);
    print_hash(section->hash, LLMIR_BUNDLE_HASH_BYTES);
    fputs("\"}", stdout);
}

static void json_tensors(const uint8_t* data, uint64_t bytes, int* inout_first) {
    const uint32_t count = inspect_tensor_count(data, bytes);
    for (uint32_t i = 0; i < count; ++i) {
        llmir_tensor_record_t tensor;
        uint32_t name_bytes = 0;
        const char* name = inspect_tensor(data, bytes, i, &tensor, &name_bytes);
        const uint32_t rank =
            tensor.rank <= LLMIR_BUNDLE_MAX_RANK ? tensor.rank : LLMIR_BUNDLE_MAX_RANK;
        fputs(*inout_first ? "{\"name\": " : ", {\"name\": ", stdout);
        json_write_string(stdout, name, name_bytes);
        fputs(", \"shape\": [", stdout);
        for (uint32_t d = 0; d < rank; ++d) {
            printf(d == 0 ? "%u" : ", %u", tensor.shape[d]);
        }
        printf("], \"layout\": \"%s\", \"group\": %u, \"bytes\": %llu}",
               inspect_layout_name(tensor.layout), tensor.group,
               (unsigned long long)tensor.data_bytes);
        *inout_first = 0;
    }
}

static void json_model(const uint8_t* data, uint64_t bytes) {
    llmir_model_record_t model;
    memset(&model, 0, sizeof(model));
    memcpy(&model, data, bytes < sizeof(model) ? (size_t)bytes : sizeof(model));
    const int name_fits = (uint64_t)model.name.offset + model.name.bytes <= bytes;
    const int architecture_fits =
        (uint64_t)model.architecture.offset + model.architecture.bytes <= bytes;
    fputs("{\"name\": ", stdout);
    json_write_string(stdout, (const char*)data + (name_fits ? model.name.offset : 0),
                      name_fits ? model.name.bytes : 0);
    fputs(", \"architecture\": ", stdout);
    json_write_string(stdout,
                      (const char*)data + (architecture_fits ? model.architecture.offset : 0),
                      architecture_fits ? model.architecture.bytes : 0);
    printf(
        ", \"vocab_count\": %u, \"context_count\": %u, \"embedding_count\": %u, \"layer_count\": %u"
        ", \"q_head_count\": %u, \"kv_head_count\": %u, \"head_dim\": %u, \"ffn_count\": %u"
        ", \"parameter_count\": %llu}",
        model.vocab_count, model.context_count, model.embedding_count, model.layer_count,
        model.q_head_count, model.kv_head_count, model.head_dim, model.ffn_count,
        (unsigned long long)model.parameter_count);
}

static void print_json(const inspect_bundle_t* bundle) {
    const uint8_t *model = NULL, *report = NULL;
    uint64_t model_bytes = 0, report_bytes = 0;
    int first = 1;
    printf("{\"format\": [%u, %u], \"sections\": [", bundle->header.format_major,
           bundle->header.format_minor);
    for (uint32_t i = 0; i < bundle->header.section_count; ++i) {
        llmir_bundle_section_t section;
        const uint8_t* data = inspect_section(bundle, i, &section);
        fputs(i == 0 ? "" : ", ", stdout);
        json_section(&section);
        if (section.kind == LLMIR_SECTION_MODEL && data != NULL) {
            model = data;
            model_bytes = section.bytes;
        } else if (section.kind == LLMIR_SECTION_REPORT && data != NULL) {
            report = data;
            report_bytes = section.bytes;
        }
    }
    fputs("], \"tensors\": [", stdout);
    for (uint32_t i = 0; i < bundle->header.section_count; ++i) {
        llmir_bundle_section_t section;
        const uint8_t* data = inspect_section(bundle, i, &section);
        if (section.kind == LLMIR_SECTION_WEIGHTS && data != NULL) {
            json_tensors(data, section.bytes, &first);
        }
    }
    fputs("], \"model\": ", stdout);
    if (model != NULL) {
        json_model(model, model_bytes);
    } else {
        fputs("null", stdout);
    }
    /* The report is JSON already; it is passed through only if it looks like an object. */
    fputs(", \"report\": ", stdout);
    if (report_bytes > 1 && report[0] == '{' &&
        memchr(report, '\0', (size_t)report_bytes) == NULL) {
        fwrite(report, 1, (size_t)report_bytes, stdout);
    } else {
        fputs("null", stdout);
    }
    fputs("}\n", stdout);
}

static void print_tensor_lines(const uint8_t* data, uint64_t bytes) {
    const uint32_t count = inspect_tensor_count(data, bytes);
    for (uint32_t i = 0; i < count; ++i) {
        llmir_tensor_record_t tensor;
        uint32_t name_bytes = 0;
        const char* name = inspect_tensor(data, bytes, i, &tensor, &name_bytes);
        printf("    %-12s %5u x %-6u %12llu  %.*s\n", inspect_layout_name(tensor.layout),
               tensor.shape[0], tensor.rank > 1 ? tensor.shape[1] : 1,
               (unsigned long long)tensor.data_bytes, name_bytes > 120 ? 120 : (int)name_bytes,
               name);
    }
}

static void print_text(const inspect_bundle_t* bundle) {
    printf("bundle, format %u.%u, %zu bytes, %u sections\n", bundle->header.format_major,
           bundle->header.format_minor, bundle->bytes, bundle->header.section_count);
    for (uint32_t i = 0; i < bundle->header.section_count; ++i) {
        llmir_bundle_section_t section;
        const uint8_t* data = inspect_section(bundle, i, &section);
        printf("  %-10s %-6s %-15s %12llu bytes at %-10llu ", inspect_kind_name(section.kind),
               inspect_target_name(section.target),
               inspect_level_name(section.target, section.level), (unsigned long long)section.bytes,
               (unsigned long long)section.offset);
        print_hash(section.hash, 8);
        puts(data == NULL ? "  OUTSIDE OF THE FILE" : "");
        if (section.kind == LLMIR_SECTION_WEIGHTS && data != NULL) {
            print_tensor_lines(data, section.bytes);
        }
    }
}

static int verify(const char* path) {
    opened_model_t opened;
    llmir_error_t error = {0};
    if (open_model(program_name, path, NULL, 1, LLMIR_MODEL_VERIFY, &opened, &error) !=
        LLMIR_STATUS_OK) {
        return cli_fail(program_name, "%s", error.message);
    }
    fprintf(stderr, "%s: every section verified; runs on %s (%s)\n", program_name,
            opened.info.device, opened.info.code);
    close_model(&opened);
    return 0;
}

int main(int argc, char** argv) {
    const char* path = NULL;
    int32_t with_verify = 0, json = 0;
    const cli_option_t options[] = {{"--verify", NULL, CLI_FLAG, &with_verify},
                                    {"--json", NULL, CLI_FLAG, &json}};
    const cli_program_t program = {program_name, usage, options,
                                   sizeof(options) / sizeof(options[0])};
    system_begin(&argc, &argv);
    const int leave = cli_parse(&program, argc, argv, &path, 1);
    if (leave >= 0) {
        return leave;
    }
    size_t bytes = 0;
    uint8_t* data = (uint8_t*)input_read_file(path, &bytes);
    if (data == NULL) {
        return cli_fail(program_name, "cannot read '%s': %s", path, strerror(errno));
    }
    inspect_bundle_t bundle;
    const char* reason = inspect_open(data, bytes, &bundle);
    int result = 0;
    if (reason != NULL) {
        result = cli_fail(program_name, "'%s': %s", path, reason);
    } else {
        (json ? print_json : print_text)(&bundle);
        result = with_verify ? verify(path) : 0;
    }
    free(data);
    return result;
}
