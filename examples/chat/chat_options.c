/* The command line of llmir-chat. */
#include "chat/chat_program.h"
#include "common/cli.h"

const char chat_program_name[] = "llmir-chat";

static const char usage[] =
    "usage: llmir-chat BUNDLE [options]\n"
    "Without -p it is a conversation: type /help there.\n"
    "  -p PROMPT            answer this and leave\n"
    "  -s SYSTEM            system prompt\n"
    "  -n MAX_TOKENS        longest answer (1024), 0: no limit\n"
    "  --raw                no chat template: continue the text of -p\n"
    "  --temperature T      0.7; 0 is greedy\n"
    "  --top-k K            40, 0 is off\n"
    "  --top-p P            0.95, 1 is off\n"
    "  --min-p P            0.05, 0 is off\n"
    "  --repeat-penalty R   1.1, 1 is off\n"
    "  --seed S             0\n"
    "  --greedy             always the most likely token; no penalty\n"
    "  --threads N          threads that compute (one per core)\n"
    "  --device NAME        auto, cpu\n"
    "  --context N          tokens of the conversation (4096 or the model's context, whichever is "
    "less)\n"
    "  --kv TYPE            storage of the conversation: " OPEN_KV_NAMES
    " (f16)\n"
    "  --grammar FILE       answers follow this grammar (GBNF)\n"
    "  --json-schema FILE   answers are JSON that fits this schema\n"
    "  --stats              print times and speeds to standard error\n";

int chat_parse_options(int argc, char** argv, chat_options_t* out) {
    *out = (chat_options_t){.max_tokens = 1024, .sampler = LLMIR_SAMPLER_OPTIONS_INIT};
    llmir_sampler_options_t* sampler = &out->sampler;
    sampler->temperature = 0.7f;
    sampler->top_k = 40;
    sampler->top_p = 0.95f;
    sampler->min_p = 0.05f;
    sampler->repetition_penalty = 1.1f;
    const char* kv = NULL;
    const cli_option_t options[] = {
        {"-p", "--prompt", CLI_STRING, &out->prompt},
        {"-s", "--system", CLI_STRING, &out->system},
        {"-n", "--max-tokens", CLI_U32, &out->max_tokens},
        {"--raw", NULL, CLI_FLAG, &out->raw},
        {"--temperature", NULL, CLI_F32, &sampler->temperature},
        {"--top-k", NULL, CLI_U32, &sampler->top_k},
        {"--top-p", NULL, CLI_F32, &sampler->top_p},
        {"--min-p", NULL, CLI_F32, &sampler->min_p},
        {"--repeat-penalty", NULL, CLI_F32, &sampler->repetition_penalty},
        {"--seed", NULL, CLI_U64, &sampler->seed},
        {"--greedy", NULL, CLI_FLAG, &out->greedy},
        {"--threads", "-t", CLI_U32, &out->threads},
        {"--device", NULL, CLI_STRING, &out->device},
        {"--context", NULL, CLI_U32, &out->context},
        {"--kv", NULL, CLI_STRING, &kv},
        {"--grammar", NULL, CLI_STRING, &out->grammar},
        {"--json-schema", NULL, CLI_STRING, &out->json_schema},
        {"--stats", NULL, CLI_FLAG, &out->stats},
    };
    const cli_program_t program = {chat_program_name, usage, options,
                                   sizeof(options) / sizeof(options[0])};
    const int leave = cli_parse(&program, argc, argv, &out->bundle, 1);
    if (leave >= 0) {
        return leave;
    }
    if (!open_kv_type(kv, &out->kv_type)) {
        return cli_usage(&program, "--kv '%s': expected " OPEN_KV_NAMES, kv);
    }
    if (out->grammar != NULL && out->json_schema != NULL) {
        return cli_usage(&program, "--grammar and --json-schema: expected one of them");
    }
    if (out->raw && out->prompt == NULL) {
        return cli_usage(&program, "--raw needs a prompt (-p)");
    }
    if (out->raw && out->system != NULL) {
        return cli_usage(&program, "--raw has no template that could hold a system prompt (-s)");
    }
    if (out->greedy) {
        *sampler = (llmir_sampler_options_t)LLMIR_SAMPLER_OPTIONS_INIT;
    }
    return -1;
}
