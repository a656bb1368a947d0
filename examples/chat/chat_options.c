/* The command line of llmir-chat. */
#include "chat/chat_program.h"
#include "common/cli.h"

#define CHAT_MAX_BEST_OF 64u

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
    "  --typical P          locally typical sampling: 1, which is off\n"
    "  --repeat-penalty R   1.1, 1 is off\n"
    "  --repeat-window N    last tokens that penalties count (64)\n"
    "  --frequency-penalty F, --presence-penalty F   0, which is off\n"
    "  --dry M              penalty for what would continue a repetition: 0, which is off\n"
    "  --dry-base B, --dry-length N, --dry-window N   1.75, 2, 1024\n"
    "  --dry-breaker TEXT   a token that no repetition goes across; several times; without it the\n"
    "                       newline, : \" and *\n"
    "  --logit-bias ID=B    is added to the logit of a token; several times\n"
    "  --order LIST         penalties,dry,top-k,temperature,typical,top-p,min-p; what is not named "
    "is left out\n"
    "  --seed S             0\n"
    "  --greedy             always the most likely token; no penalty\n"
    "  --stop TEXT          an answer ends before it; several times\n"
    "  --best-of N          of N answers the one that the model finds likeliest\n"
    "  --logprobs N         print log-probabilities, and the N likeliest tokens, to standard "
    "error\n"
    "  --threads N          threads that compute (one per core)\n"
    "  --device NAME        auto, cpu, vulkan, or a part of a GPU's name; with ,cpu behind it,\n"
    "                       and in auto: what does not fit the GPU's memory runs on the processor\n"
    "  -ngl, --gpu-layers N decoder layers on the GPU (as many as fit)\n"
    "  --gpu-memory MIB     of the GPU to use at most (fifteen sixteenths)\n"
    "  --context N          tokens of the conversation (4096 or the model's context, whichever is "
    "less)\n"
    "  --kv TYPE            storage of the conversation: " OPEN_KV_NAMES
    " (f16)\n"
    "  --grammar FILE       answers follow this grammar (GBNF)\n"
    "  --json-schema FILE   answers are JSON that fits this schema\n"
    "  --lookup             guess what repeats earlier text: the same answer, sooner\n"
    "  --draft BUNDLE       guess with a smaller model of the same vocabulary\n"
    "  --stats              print times and speeds to standard error\n";

/* Returns what is wrong with the options together, or NULL. */
static const char* check_options(chat_options_t* options) {
    if (options->grammar != NULL && options->json_schema != NULL) {
        return "--grammar and --json-schema: expected one of them";
    }
    if (options->lookup && options->draft != NULL) {
        return "--lookup and --draft: expected one of them";
    }
    if (options->raw && options->prompt == NULL) {
        return "--raw needs a prompt (-p)";
    }
    if (options->raw && options->system != NULL) {
        return "--raw has no template that could hold a system prompt (-s)";
    }
    if (options->best_of == 0 || options->best_of > CHAT_MAX_BEST_OF) {
        return "--best-of: expected 1 to 64";
    }
    if (options->best_of > 1 && options->sampler.temperature == 0.0f) {
        return "--best-of: greedy answers are all the same";
    }
    if (options->logprobs != CHAT_NO_LOGPROBS && options->logprobs > LLMIR_MAX_TOP_LOGPROBS) {
        return "--logprobs: expected 0 to 20";
    }
    return chat_read_sampler(options);
}

int chat_parse_options(int argc, char** argv, chat_options_t* out) {
    *out = (chat_options_t){.max_tokens = 1024,
                            .best_of = 1,
                            .logprobs = CHAT_NO_LOGPROBS,
                            .sampler = LLMIR_SAMPLER_OPTIONS_INIT};
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
        {"--typical", NULL, CLI_F32, &sampler->typical_p},
        {"--repeat-penalty", NULL, CLI_F32, &sampler->repetition_penalty},
        {"--repeat-window", NULL, CLI_U32, &sampler->repetition_window},
        {"--frequency-penalty", NULL, CLI_SIGNED, &sampler->frequency_penalty},
        {"--presence-penalty", NULL, CLI_SIGNED, &sampler->presence_penalty},
        {"--dry", NULL, CLI_F32, &sampler->dry_multiplier},
        {"--dry-base", NULL, CLI_F32, &sampler->dry_base},
        {"--dry-length", NULL, CLI_U32, &sampler->dry_allowed_length},
        {"--dry-window", NULL, CLI_U32, &sampler->dry_window},
        {"--dry-breaker", NULL, CLI_LIST, &out->breakers},
        {"--logit-bias", NULL, CLI_LIST, &out->biases},
        {"--order", NULL, CLI_STRING, &out->order},
        {"--stop", NULL, CLI_LIST, &out->stops},
        {"--best-of", NULL, CLI_U32, &out->best_of},
        {"--logprobs", NULL, CLI_U32, &out->logprobs},
        {"--seed", NULL, CLI_U64, &sampler->seed},
        {"--greedy", NULL, CLI_FLAG, &out->greedy},
        {"--threads", "-t", CLI_U32, &out->threads},
        OPEN_DEVICE_OPTIONS(out->device),
        {"--context", NULL, CLI_U32, &out->context},
        {"--kv", NULL, CLI_STRING, &kv},
        {"--grammar", NULL, CLI_STRING, &out->grammar},
        {"--json-schema", NULL, CLI_STRING, &out->json_schema},
        {"--lookup", NULL, CLI_FLAG, &out->lookup},
        {"--draft", NULL, CLI_STRING, &out->draft},
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
    if (out->greedy) {
        *sampler = (llmir_sampler_options_t)LLMIR_SAMPLER_OPTIONS_INIT;
    }
    const char* wrong = check_options(out);
    return wrong != NULL ? cli_usage(&program, "%s", wrong) : -1;
}
