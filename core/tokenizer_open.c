/* Opening a TOKENIZER section: every check that later look-ups rely on. Small tables are read
 * through; hash tables and tries, whose entries are bounded at each look-up, are not. */
#include "core/base/size.h"
#include "core/tokenizer_internal.h"

#define LLMIR_TOKENIZER_FLAGS                                                         \
    ((uint32_t)LLMIR_TOKENIZER_ADD_BOS | (uint32_t)LLMIR_TOKENIZER_ADD_EOS |          \
     (uint32_t)LLMIR_TOKENIZER_SPACE_PREFIX | (uint32_t)LLMIR_TOKENIZER_TRIM_SPACES | \
     (uint32_t)LLMIR_TOKENIZER_BYTE_FALLBACK | (uint32_t)LLMIR_TOKENIZER_NFC)

typedef struct llmir_open {
    const uint8_t* section;
    size_t bytes;
    const llmir_tokenizer_record_t* record;
    llmir_tokenizer_t* out;
    llmir_error_t* error;
} llmir_open_t;

static llmir_status_t corrupt(const llmir_open_t* open, const char* table, const char* what) {
    return llmir_fail(open->error, LLMIR_STATUS_CORRUPT, "tokenizer: %s: %s", table, what);
}

/* Points *out_table at a range that must hold whole elements, 1 .. UINT32_MAX of them; NULL for the
 * empty range. */
static llmir_status_t take(const llmir_open_t* open,
                           llmir_bundle_range_t range,
                           uint32_t element_bytes,
                           const char* name,
                           const void** out_table,
                           uint32_t* out_count) {
    *out_table = NULL;
    *out_count = 0;
    if (range.bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    if (!llmir_range_fits(range.offset, range.bytes, open->bytes)) {
        return corrupt(open, name, "lies outside of the section");
    }
    if (range.offset % 8 != 0 || range.bytes % element_bytes != 0) {
        return corrupt(open, name, "is not aligned or not a whole number of entries");
    }
    *out_table = open->section + range.offset;
    *out_count = range.bytes / element_bytes;
    return LLMIR_STATUS_OK;
}

/* As take(), for a table that must have `count` entries. */
static llmir_status_t take_exactly(const llmir_open_t* open,
                                   llmir_bundle_range_t range,
                                   uint32_t element_bytes,
                                   uint32_t count,
                                   const char* name,
                                   const void** out_table) {
    uint32_t found;
    LLMIR_TRY(take(open, range, element_bytes, name, out_table, &found));
    if (found != count) {
        return llmir_fail(open->error, LLMIR_STATUS_CORRUPT,
                          "tokenizer: %s: %u entries, expected %u", name, (unsigned)found,
                          (unsigned)count);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_id(const llmir_open_t* open, int32_t id, const char* name) {
    if (id < -1 || (id >= 0 && (uint32_t)id >= open->record->token_count)) {
        return corrupt(open, name, "is not a token");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_record(const llmir_open_t* open, uint32_t vocab_count) {
    const llmir_tokenizer_record_t* r = open->record;
    if (r->record_bytes < sizeof(*r) || r->record_bytes > open->bytes) {
        return corrupt(open, "record", "has a wrong size");
    }
    if (r->kind < LLMIR_TOKENIZER_BPE || r->kind > LLMIR_TOKENIZER_UNIGRAM ||
        r->pretokenizer > LLMIR_PRETOKENIZER_QWEN2 || (r->flags & ~LLMIR_TOKENIZER_FLAGS) != 0) {
        return llmir_fail(open->error, LLMIR_STATUS_UNSUPPORTED,
                          "tokenizer: kind %u, pre-tokenizer %u, flags 0x%x: made for a later "
                          "version of the library",
                          (unsigned)r->kind, (unsigned)r->pretokenizer, (unsigned)r->flags);
    }
    if (r->token_count == 0 || r->token_count > LLMIR_TOKENIZER_MAX_TOKENS ||
        r->token_count > vocab_count) {
        return llmir_fail(open->error, LLMIR_STATUS_CORRUPT,
                          "tokenizer: %u tokens, the model has %u logits", (unsigned)r->token_count,
                          (unsigned)vocab_count);
    }
    if (r->merge_count > LLMIR_TOKENIZER_MAX_MERGES ||
        r->text_probes > LLMIR_TOKENIZER_MAX_PROBES ||
        r->merge_probes > LLMIR_TOKENIZER_MAX_PROBES ||
        r->max_token_bytes > LLMIR_TOKENIZER_MAX_TOKEN_BYTES) {
        return corrupt(open, "record", "has a limit out of range");
    }
    LLMIR_TRY(check_id(open, r->bos_id, "begin-of-text id"));
    LLMIR_TRY(check_id(open, r->eos_id, "end-of-text id"));
    LLMIR_TRY(check_id(open, r->unknown_id, "unknown id"));
    return check_id(open, r->padding_id, "padding id");
}

static llmir_status_t open_tokens(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    llmir_tokenizer_t* out = open->out;
    const void* table;
    uint32_t byte_count;
    LLMIR_TRY(take_exactly(open, r->token_offsets, 4, r->token_count + 1, "token offsets", &table));
    out->token_offsets = table;
    LLMIR_TRY(take(open, r->token_bytes, 1, "token bytes", &table, &byte_count));
    out->token_bytes = table != NULL ? table : open->section;
    LLMIR_TRY(take_exactly(open, r->token_info, 1, r->token_count, "token info", &table));
    out->token_info = table;
    uint32_t falls = out->token_offsets[r->token_count] > byte_count;
    for (uint32_t i = 0; i < r->token_count; ++i) {
        falls |= out->token_offsets[i] > out->token_offsets[i + 1];
    }
    return falls ? corrupt(open, "token offsets", "do not ascend") : LLMIR_STATUS_OK;
}

static llmir_status_t open_byte_ids(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    const void* table;
    LLMIR_TRY(take_exactly(open, r->byte_ids, 4, 256, "byte ids", &table));
    open->out->byte_ids = table;
    for (uint32_t i = 0; i < 256; ++i) {
        LLMIR_TRY(check_id(open, open->out->byte_ids[i], "byte ids"));
    }
    return LLMIR_STATUS_OK;
}

/* The character table: every index names a block, every flag combination is one that the
 * pre-tokenizers make progress on. */
static llmir_status_t open_chars(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    const void* table;
    uint32_t flag_count;
    LLMIR_TRY(
        take_exactly(open, r->char_index, 2, LLMIR_CHAR_INDEX_COUNT, "character index", &table));
    open->out->char_index = table;
    LLMIR_TRY(take(open, r->char_blocks, 1, "character blocks", &table, &flag_count));
    open->out->char_blocks = table;
    const uint32_t block_count = flag_count / LLMIR_CHAR_BLOCK;
    uint32_t outside = 0;
    for (uint32_t i = 0; i < LLMIR_CHAR_INDEX_COUNT; ++i) {
        outside |= open->out->char_index[i] >= block_count;
    }
    uint32_t mixed = 0;
    for (uint32_t i = 0; i < flag_count; ++i) {
        const uint32_t kind = open->out->char_blocks[i] & 7u; /* letter, number, space */
        mixed |= kind & (kind - 1u);
    }
    return outside || mixed ? corrupt(open, "character blocks", "break the format")
                            : LLMIR_STATUS_OK;
}

static llmir_status_t open_nfc(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    llmir_tokenizer_t* out = open->out;
    const void* table;
    LLMIR_TRY(take(open, r->nfc_chars, sizeof(llmir_nfc_char_t), "decompositions", &table,
                   &out->nfc_char_count));
    out->nfc_chars = table;
    LLMIR_TRY(take(open, r->nfc_pool, 4, "decomposition pool", &table, &out->nfc_pool_count));
    out->nfc_pool = table;
    LLMIR_TRY(take(open, r->nfc_pairs, sizeof(llmir_nfc_pair_t), "compositions", &table,
                   &out->nfc_pair_count));
    out->nfc_pairs = table;
    uint32_t outside = out->nfc_chars == NULL || out->nfc_pairs == NULL;
    for (uint32_t i = 0; !outside && i < out->nfc_char_count; ++i) {
        const llmir_nfc_char_t* c = out->nfc_chars + i;
        outside |= (uint32_t)c->first + c->length > out->nfc_pool_count;
    }
    return outside ? corrupt(open, "decompositions", "lead outside of the pool") : LLMIR_STATUS_OK;
}

static llmir_status_t open_bpe(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    llmir_tokenizer_t* out = open->out;
    const void* table;
    LLMIR_TRY(take(open, r->text_slots, 4, "text slots", &table, &out->text_slot_count));
    out->text_slots = table;
    LLMIR_TRY(take(open, r->merge_slots, 8, "merge slots", &table, &out->merge_slot_count));
    out->merge_slots = table;
    LLMIR_TRY(take_exactly(open, r->merge_ids, 4, r->merge_count, "merge ids", &table));
    out->merge_ids = table;
    LLMIR_TRY(open_byte_ids(open));
    if (r->pretokenizer != LLMIR_PRETOKENIZER_NONE || (r->flags & LLMIR_TOKENIZER_NFC) != 0) {
        LLMIR_TRY(open_chars(open));
    }
    return r->flags & LLMIR_TOKENIZER_NFC ? open_nfc(open) : LLMIR_STATUS_OK;
}

/* Both SentencePiece kinds. */
static llmir_status_t open_sentence_piece(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    llmir_tokenizer_t* out = open->out;
    const void* table;
    LLMIR_TRY(take_exactly(open, r->space_joins, 1, 32, "space joins", &table));
    out->space_joins = table;
    if (r->flags & LLMIR_TOKENIZER_BYTE_FALLBACK) {
        LLMIR_TRY(open_byte_ids(open));
    }
    if (r->kind == LLMIR_TOKENIZER_SPM) {
        LLMIR_TRY(take(open, r->text_slots, 4, "text slots", &table, &out->text_slot_count));
        out->text_slots = table;
        LLMIR_TRY(take_exactly(open, r->token_ranks, 4, r->token_count, "token ranks", &table));
        out->token_ranks = table;
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(take_exactly(open, r->token_scores, 4, r->token_count, "token scores", &table));
    out->token_scores = table;
    LLMIR_TRY(take(open, r->vocab_nodes, sizeof(llmir_trie_node_t), "vocabulary trie", &table,
                   &out->vocab_node_count));
    out->vocab_nodes = table;
    return table == NULL ? corrupt(open, "vocabulary trie", "is missing") : LLMIR_STATUS_OK;
}

static llmir_status_t open_special(const llmir_open_t* open) {
    const llmir_tokenizer_record_t* r = open->record;
    llmir_tokenizer_t* out = open->out;
    const void* table;
    LLMIR_TRY(take(open, r->special_nodes, sizeof(llmir_trie_node_t), "special tokens", &table,
                   &out->special_node_count));
    out->special_nodes = table;
    if (table == NULL) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(take_exactly(open, r->special_first, 1, 32, "first bytes", &table));
    out->special_first = table;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_tokenizer_open(const uint8_t* section,
                                    size_t bytes,
                                    uint32_t vocab_count,
                                    llmir_tokenizer_t* out,
                                    llmir_error_t* error) {
    const llmir_tokenizer_record_t* r = (const llmir_tokenizer_record_t*)(const void*)section;
    const llmir_open_t open = {section, bytes, r, out, error};
    memset(out, 0, sizeof(*out));
    if (bytes < sizeof(*r) || (uintptr_t)section % 8 != 0) {
        return corrupt(&open, "record", "is cut off or not aligned");
    }
    LLMIR_TRY(check_record(&open, vocab_count));
    *out = (llmir_tokenizer_t){
        .kind = r->kind,
        .pretokenizer = r->pretokenizer,
        .flags = r->flags,
        .token_count = r->token_count,
        .max_token_bytes = r->max_token_bytes,
        .text_probes = r->text_probes,
        .merge_probes = r->merge_probes,
        .merge_count = r->merge_count,
        .bos_id = r->bos_id,
        .eos_id = r->eos_id,
        .unknown_id = r->unknown_id,
        .unknown_score = r->unknown_score,
    };
    LLMIR_TRY(open_tokens(&open));
    LLMIR_TRY(open_special(&open));
    return r->kind == LLMIR_TOKENIZER_BPE ? open_bpe(&open) : open_sentence_piece(&open);
}
