/* A cache of the application (llmir_cache_t) in memory, for tests: few entries, small ones. */
#ifndef LLMIR_KEPT_ENTRIES_H
#define LLMIR_KEPT_ENTRIES_H

#include <string.h>

#include "llmir.h"

#define ENTRIES 4u

typedef struct kept_entry {
    char key[LLMIR_CACHE_KEY_BYTES];
    uint8_t data[8192];
    size_t bytes; /* 0: no entry */
} kept_entry_t;

typedef struct kept {
    kept_entry_t entries[ENTRIES];
    unsigned puts;
} kept_t;

static inline kept_entry_t* find_entry(kept_t* kept, const char* key) {
    for (uint32_t i = 0; i < ENTRIES; ++i) {
        if (kept->entries[i].bytes == 0 || strcmp(kept->entries[i].key, key) == 0) {
            return &kept->entries[i];
        }
    }
    return NULL;
}

static inline size_t get_entry(void* self, const char* key, void* out_data, size_t capacity) {
    const kept_entry_t* entry = find_entry(self, key);
    if (entry == NULL) {
        return 0;
    }
    if (entry->bytes != 0 && entry->bytes <= capacity) {
        memcpy(out_data, entry->data, entry->bytes);
    }
    return entry->bytes;
}

static inline void put_entry(void* self, const char* key, const void* data, size_t bytes) {
    kept_t* kept = self;
    kept_entry_t* entry = find_entry(kept, key);
    ++kept->puts;
    if (entry != NULL && bytes <= sizeof entry->data && strlen(key) < sizeof entry->key) {
        memcpy(entry->key, key, strlen(key) + 1u);
        memcpy(entry->data, data, bytes);
        entry->bytes = bytes;
    }
}

#endif /* LLMIR_KEPT_ENTRIES_H */
