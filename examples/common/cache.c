/* The library's cache as files. An entry is written beside its place and then put there at once, so
 * that no other program reads half of it. */
#include "common/cache.h"

#include <stdio.h>

#include "common/system.h"

#define PATH_BYTES 1024

static int path_of(const char* key, const char* suffix, char out_path[PATH_BYTES]) {
    char folder[PATH_BYTES];
    if (!system_cache_folder(folder, sizeof(folder))) {
        return 0;
    }
    const int length = snprintf(out_path, PATH_BYTES, "%s/%s%s", folder, key, suffix);
    return length > 0 && length < PATH_BYTES;
}

static size_t get(void* self, const char* key, void* out_data, size_t capacity) {
    char path[PATH_BYTES];
    (void)self;
    FILE* file = path_of(key, ".cache", path) ? system_open(path, "rb") : NULL;
    if (file == NULL) {
        return 0;
    }
    const long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    size_t bytes = end > 0 ? (size_t)end : 0;
    if (bytes != 0 && bytes <= capacity) {
        rewind(file);
        bytes = fread(out_data, 1, bytes, file) == bytes ? bytes : 0;
    }
    (void)fclose(file);
    return bytes;
}

static void put(void* self, const char* key, const void* data, size_t bytes) {
    char path[PATH_BYTES], beside[PATH_BYTES];
    (void)self;
    if (!path_of(key, ".cache", path) || !path_of(key, ".new", beside)) {
        return;
    }
    FILE* file = system_open(beside, "wb");
    if (file == NULL) {
        return;
    }
    const int is_written = fwrite(data, 1, bytes, file) == bytes;
    if (fclose(file) != 0 || !is_written || !system_replace(beside, path)) {
        (void)remove(beside);
    }
}

llmir_cache_t file_cache(void) {
    return (llmir_cache_t){NULL, get, put};
}
