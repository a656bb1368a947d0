/* See the header. Everything is built the plainest way that follows the format. */
#include "tests/support/tiny_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 512u
#define MAX_TRIE_NODES 4096u

typedef struct tiny_builder {
    const tiny_vocabulary_t* vocabulary;
    tiny_section_t out;
    llmir_tokenizer_record_t record;
    uint32_t count; /* of tokens, bytes included */
    const char* texts[MAX_TOKENS];
    uint32_t lengths[MAX_TOKENS];
    uint8_t info[MAX_TOKENS];
    char bytes[256];
} tiny_builder_t;

static llmir_bundle_range_t append(tiny_section_t* out, const void* data, size_t bytes) {
    const size_t offset = (out->bytes + 7) / 8 * 8;
    out->data = realloc(out->data, offset + bytes);
    memset(out->data + out->bytes, 0, offset - out->bytes);
    memcpy(out->data + offset, data, bytes);
    out->bytes = offset + bytes;
    return (llmir_bundle_range_t){(uint32_t)offset, (uint32_t)bytes};
}

static uint32_t class_of(const tiny_builder_t* b, uint32_t id) {
    return b->info[id] & LLMIR_TOKEN_CLASS_MASK;
}

static void add_tokens(tiny_builder_t* b) {
    const tiny_vocabulary_t* v = b->vocabulary;
    const int bpe = v->kind == LLMIR_TOKENIZER_BPE;
    const int fallback = (v->flags & LLMIR_TOKENIZER_BYTE_FALLBACK) != 0;
    uint32_t offsets[MAX_TOKENS + 1] = {0};
    char text[MAX_TOKENS * 16];
    b->count = TINY_FIRST_TOKEN + v->token_count;
    for (uint32_t id = 0; id < b->count; ++id) {
        if (id < TINY_FIRST_TOKEN) {
            b->bytes[id] = (char)id;
            b->texts[id] = b->bytes + id;
            b->lengths[id] = 1;
            b->info[id] = bpe        ? LLMIR_TOKEN_NORMAL
                          : fallback ? LLMIR_TOKEN_BYTE
                                     : LLMIR_TOKEN_UNUSED;
        } else {
            b->texts[id] = v->tokens[id - TINY_FIRST_TOKEN].text;
            b->lengths[id] = (uint32_t)strlen(b->texts[id]);
            b->info[id] = v->tokens[id - TINY_FIRST_TOKEN].info;
        }
        memcpy(text + offsets[id], b->texts[id], b->lengths[id]);
        offsets[id + 1] = offsets[id] + b->lengths[id];
        if (class_of(b, id) == LLMIR_TOKEN_NORMAL && b->lengths[id] > b->record.max_token_bytes) {
            b->record.max_token_bytes = b->lengths[id];
        }
    }
    b->record.token_offsets = append(&b->out, offsets, (b->count + 1) * sizeof(*offsets));
    b->record.token_bytes = append(&b->out, text, offsets[b->count]);
    b->record.token_info = append(&b->out, b->info, b->count);
    int32_t byte_ids[256];
    for (int32_t byte = 0; byte < 256; ++byte) {
        byte_ids[byte] = byte;
    }
    b->record.byte_ids = append(&b->out, byte_ids, sizeof(byte_ids));
}

static void add_text_slots(tiny_builder_t* b) {
    enum { SLOTS = 1024 };
    uint32_t slots[SLOTS];
    memset(slots, 0xff, sizeof(slots));
    for (uint32_t id = 0; id < b->count; ++id) {
        if (class_of(b, id) != LLMIR_TOKEN_NORMAL) {
            continue;
        }
        const uint8_t* text = (const uint8_t*)b->texts[id];
        uint32_t at = llmir_tokenizer_slot(llmir_tokenizer_hash_bytes(text, b->lengths[id]), SLOTS);
        while (slots[at] != LLMIR_TOKENIZER_NO_TOKEN) {
            at = (at + 1) % SLOTS;
        }
        slots[at] = id;
    }
    b->record.text_slots = append(&b->out, slots, sizeof(slots));
    b->record.text_probes = LLMIR_TOKENIZER_MAX_PROBES;
}

static void add_merges(tiny_builder_t* b) {
    enum { SLOTS = 64 };
    uint64_t slots[SLOTS];
    uint32_t ids[SLOTS] = {0};
    memset(slots, 0xff, sizeof(slots));
    for (uint32_t rank = 0; rank < b->vocabulary->merge_count; ++rank) {
        const tiny_merge_t* merge = b->vocabulary->merges + rank;
        uint32_t at =
            llmir_tokenizer_slot(llmir_tokenizer_hash_pair(merge->left, merge->right), SLOTS);
        while (slots[at] != LLMIR_MERGE_SLOT_EMPTY) {
            at = (at + 1) % SLOTS;
        }
        slots[at] = ((uint64_t)merge->left << LLMIR_MERGE_LEFT_SHIFT) |
                    ((uint64_t)merge->right << LLMIR_MERGE_RANK_BITS) | rank;
        ids[rank] = merge->merged;
    }
    b->record.merge_count = b->vocabulary->merge_count;
    b->record.merge_slots = append(&b->out, slots, sizeof(slots));
    b->record.merge_probes = SLOTS;
    b->record.merge_ids = append(&b->out, ids, b->record.merge_count * sizeof(*ids));
}

/* ---- Tries: a node for each prefix, placed at the first base that fits */

typedef struct tiny_trie {
    llmir_trie_node_t nodes[MAX_TRIE_NODES];
    uint32_t count;
} tiny_trie_t;

/* Whether token `id` is in the trie, and begins with the `length` bytes of `prefix`. */
static int has_prefix(
    const tiny_builder_t* b, uint32_t id, int special, const char* prefix, uint32_t length) {
    const uint32_t kind = class_of(b, id);
    const int is_special = kind == LLMIR_TOKEN_CONTROL || kind == LLMIR_TOKEN_USER_DEFINED ||
                           kind == LLMIR_TOKEN_UNKNOWN;
    return (special ? is_special : kind == LLMIR_TOKEN_NORMAL) && b->lengths[id] >= length &&
           memcmp(b->texts[id], prefix, length) == 0;
}

static void add_node(const tiny_builder_t* b,
                     tiny_trie_t* trie,
                     int special,
                     uint32_t node,
                     const char* prefix,
                     uint32_t length) {
    const char* children[256] = {0}; /* by next byte: a token that goes on with it */
    for (uint32_t id = 0; id < b->count; ++id) {
        if (!has_prefix(b, id, special, prefix, length)) {
            continue;
        }
        if (b->lengths[id] == length) {
            trie->nodes[node].token = id;
        } else {
            children[(uint8_t)b->texts[id][length]] = b->texts[id];
        }
    }
    uint32_t base = 0;
    for (int fits = 0; !fits;) {
        ++base;
        fits = 1;
        for (uint32_t byte = 0; byte < 256; ++byte) {
            fits &= children[byte] == NULL || trie->nodes[base + byte].parent == LLMIR_TRIE_FREE;
        }
    }
    trie->nodes[node].base = base;
    for (uint32_t byte = 0; byte < 256; ++byte) {
        if (children[byte] != NULL) {
            trie->nodes[base + byte].parent = node;
            trie->count = base + byte >= trie->count ? base + byte + 1 : trie->count;
        }
    }
    for (uint32_t byte = 0; byte < 256; ++byte) {
        if (children[byte] != NULL) {
            add_node(b, trie, special, base + byte, children[byte], length + 1);
        }
    }
}

static llmir_bundle_range_t append_trie(tiny_builder_t* b, int special) {
    tiny_trie_t* trie = malloc(sizeof(*trie));
    memset(trie, 0xff, sizeof(*trie)); /* LLMIR_TRIE_FREE and no token */
    trie->count = 1;
    trie->nodes[0].parent = 0;
    add_node(b, trie, special, 0, "", 0);
    const llmir_bundle_range_t range =
        append(&b->out, trie->nodes, trie->count * sizeof(*trie->nodes));
    free(trie);
    return range;
}

static void add_special(tiny_builder_t* b) {
    uint8_t first[32] = {0};
    int any = 0;
    for (uint32_t id = 0; id < b->count; ++id) {
        if (has_prefix(b, id, 1, "", 0)) {
            const uint8_t byte = (uint8_t)b->texts[id][0];
            first[byte / 8] |= (uint8_t)(1u << byte % 8);
            any = 1;
        }
    }
    if (any) {
        b->record.special_first = append(&b->out, first, sizeof(first));
        b->record.special_nodes = append_trie(b, 1);
    }
}

static void add_sentence_piece(tiny_builder_t* b) {
    const tiny_vocabulary_t* v = b->vocabulary;
    float scores[MAX_TOKENS] = {0};
    uint32_t ranks[MAX_TOKENS] = {0};
    uint8_t joins[32] = {0};
    for (uint32_t i = 0; i < v->token_count; ++i) {
        const uint32_t id = TINY_FIRST_TOKEN + i;
        scores[id] = v->tokens[i].score;
        for (uint32_t k = 0; k < v->token_count; ++k) {
            ranks[id] += v->tokens[k].score > v->tokens[i].score;
        }
        for (uint32_t k = 1; k < b->lengths[id]; ++k) {
            const uint8_t before = (uint8_t)b->texts[id][k - 1];
            if (b->texts[id][k] == ' ') {
                joins[before / 8] |= (uint8_t)(1u << before % 8);
            }
        }
    }
    b->record.space_joins = append(&b->out, joins, sizeof(joins));
    if (v->kind == LLMIR_TOKENIZER_SPM) {
        add_text_slots(b);
        b->record.token_ranks = append(&b->out, ranks, b->count * sizeof(*ranks));
        return;
    }
    b->record.unknown_score = -100.0f;
    b->record.token_scores = append(&b->out, scores, b->count * sizeof(*scores));
    b->record.vocab_nodes = append_trie(b, 0);
}

/* ---- Characters */

static int in_any(uint32_t code, const uint32_t (*ranges)[2], size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (code >= ranges[i][0] && code <= ranges[i][1]) {
            return 1;
        }
    }
    return 0;
}

static uint8_t char_flags(uint32_t code) {
    static const uint32_t letters[][2] = {{'A', 'Z'},       {'a', 'z'},       {0xc0, 0xd6},
                                          {0xd8, 0xf6},     {0xf8, 0x24f},    {0x400, 0x481},
                                          {0x1100, 0x11ff}, {0x4e00, 0x9fff}, {0xac00, 0xd7a3}};
    static const uint32_t numbers[][2] = {{'0', '9'}, {0xb2, 0xb3}, {0x660, 0x669}};
    static const uint32_t spaces[][2] = {
        {9, 13},          {' ', ' '},       {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
        {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
    static const uint32_t nfc[][2] = {{0x301, 0x301},   {0x323, 0x323},   {0x327, 0x327},
                                      {0x1161, 0x1175}, {0x11a8, 0x11c2}, {0x212b, 0x212b}};
    return (
        uint8_t)((in_any(code, letters, sizeof letters / sizeof *letters) ? LLMIR_CHAR_LETTER
                                                                          : 0u) |
                 (in_any(code, numbers, sizeof numbers / sizeof *numbers) ? LLMIR_CHAR_NUMBER
                                                                          : 0u) |
                 (in_any(code, spaces, sizeof spaces / sizeof *spaces) ? LLMIR_CHAR_SPACE : 0u) |
                 (in_any(code, nfc, sizeof nfc / sizeof *nfc) ? LLMIR_CHAR_NFC : 0u));
}

static void add_chars(tiny_builder_t* b) {
    static uint16_t index[LLMIR_CHAR_INDEX_COUNT];
    static uint8_t blocks[512][LLMIR_CHAR_BLOCK];
    uint16_t block_count = 0;
    for (uint32_t i = 0; i < LLMIR_CHAR_INDEX_COUNT; ++i) {
        for (uint32_t k = 0; k < LLMIR_CHAR_BLOCK; ++k) {
            blocks[block_count][k] = char_flags(i * LLMIR_CHAR_BLOCK + k);
        }
        uint16_t same = 0;
        while (memcmp(blocks[same], blocks[block_count], LLMIR_CHAR_BLOCK) != 0) {
            ++same;
        }
        index[i] = same;
        block_count = (uint16_t)(block_count + (same == block_count));
    }
    b->record.char_index = append(&b->out, index, sizeof(index));
    b->record.char_blocks = append(&b->out, blocks, block_count * sizeof(*blocks));
}

static void add_nfc(tiny_builder_t* b) {
    /* Letters: e and c with acute, cedilla and dot, in all that exist; Angstrom. */
    static const llmir_nfc_char_t chars[] = {
        {0xc5, 0, 2, 0},    {0xe7, 0, 2, 2},    {0xe9, 0, 2, 4},    {0x301, 230, 0, 0},
        {0x323, 220, 0, 0}, {0x327, 202, 0, 0}, {0x30a, 230, 0, 0}, {0x1e09, 0, 3, 6},
        {0x1eb9, 0, 2, 9},  {0x212b, 0, 2, 0}};
    static const uint32_t pool[] = {'A', 0x30a, 'c',   0x327, 'e',  0x301,
                                    'c', 0x327, 0x301, 'e',   0x323};
    static const llmir_nfc_pair_t pairs[] = {{'A', 0x30a, 0xc5},
                                             {'c', 0x327, 0xe7},
                                             {'e', 0x301, 0xe9},
                                             {'e', 0x323, 0x1eb9},
                                             {0xe7, 0x301, 0x1e09}};
    b->record.nfc_chars = append(&b->out, chars, sizeof(chars));
    b->record.nfc_pool = append(&b->out, pool, sizeof(pool));
    b->record.nfc_pairs = append(&b->out, pairs, sizeof(pairs));
}

tiny_section_t tiny_tokenizer_section(const tiny_vocabulary_t* vocabulary) {
    tiny_builder_t* b = calloc(1, sizeof(*b));
    b->vocabulary = vocabulary;
    append(&b->out, &b->record, sizeof(b->record));
    add_tokens(b);
    add_special(b);
    if (vocabulary->kind == LLMIR_TOKENIZER_BPE) {
        add_text_slots(b);
        add_merges(b);
        add_chars(b);
        add_nfc(b);
    } else {
        add_sentence_piece(b);
    }
    b->record.record_bytes = sizeof(b->record);
    b->record.kind = vocabulary->kind;
    b->record.pretokenizer = vocabulary->pretokenizer;
    b->record.flags = vocabulary->flags;
    b->record.token_count = b->count;
    b->record.bos_id = vocabulary->bos_id == 0 ? -1 : vocabulary->bos_id;
    b->record.unknown_id = vocabulary->unknown_id == 0 ? -1 : vocabulary->unknown_id;
    b->record.eos_id = -1;
    b->record.padding_id = -1;
    memcpy(b->out.data, &b->record, sizeof(b->record));
    const tiny_section_t section = b->out;
    free(b);
    return section;
}
