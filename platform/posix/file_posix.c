/* Read-only mappings of files. Errors name the path and the system's reason. */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/size.h"
#include "platform/platform.h"
#include "platform/posix/error_posix.h"

/* Room for a path's end in a message; the rest of the message must fit too. */
#define NAME_BYTES 128

static llmir_status_t status_of(int code) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
            return LLMIR_STATUS_NOT_FOUND;
        case ENOMEM:
            return LLMIR_STATUS_OUT_OF_MEMORY;
        default:
            return LLMIR_STATUS_IO;
    }
}

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       const char* name,
                                       const char* action,
                                       int code) {
    char reason[LLMIR_REASON_BYTES];
    return llmir_fail(error, status_of(code), "%s: %s: %s", name, action,
                      llmir_system_reason(code, reason));
}

/* "file 'path'", keeping the end of a long path: it says more than its beginning. */
static void name_file(const char* path, char out[NAME_BYTES]) {
    const size_t room = NAME_BYTES - sizeof "file '...'";
    const size_t length = strlen(path);
    const int is_cut = length > room;
    (void)snprintf(out, NAME_BYTES, "file '%s%s'", is_cut ? "..." : "",
                   is_cut ? path + length - room : path);
}

/* The size of an open regular file; anything else cannot be mapped. */
static llmir_status_t regular_file_size(int descriptor,
                                        const char* name,
                                        uint64_t* out_bytes,
                                        llmir_error_t* error) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) {
        return fail_with_reason(error, name, "cannot examine", errno);
    }
    if (S_ISDIR(info.st_mode)) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: is a directory", name);
    }
    if (!S_ISREG(info.st_mode)) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: is not a regular file", name);
    }
    *out_bytes = (uint64_t)info.st_size;
    return LLMIR_STATUS_OK;
}

/* Maps a range that is known to lie inside the file and not to be empty. */
static llmir_status_t map_range(int descriptor,
                                const char* name,
                                uint64_t offset,
                                uint64_t bytes,
                                llmir_mapping_t* out,
                                llmir_error_t* error) {
    const size_t before = (size_t)(offset % llmir_page_bytes());
    size_t base_bytes;
    if (bytes > SIZE_MAX || !llmir_size_add((size_t)bytes, before, &base_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY,
                          "%s: %" PRIu64 " bytes do not fit this process's address space", name,
                          bytes);
    }
    void* base =
        mmap(NULL, base_bytes, PROT_READ, MAP_PRIVATE, descriptor, (off_t)(offset - before));
    if (base == MAP_FAILED) {
        return fail_with_reason(error, name, "cannot map", errno);
    }
    out->data = (const uint8_t*)base + before;
    out->bytes = (size_t)bytes;
    out->base = base;
    out->base_bytes = base_bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t map_whole(int descriptor,
                                const char* name,
                                llmir_mapping_t* out,
                                llmir_error_t* error) {
    uint64_t bytes = 0;
    LLMIR_TRY(regular_file_size(descriptor, name, &bytes, error));
    if (bytes == 0) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: is empty", name);
    }
    return map_range(descriptor, name, 0, bytes, out, error);
}

llmir_status_t llmir_file_map(const char* path, llmir_mapping_t* out, llmir_error_t* error) {
    *out = (llmir_mapping_t){0};
    char name[NAME_BYTES];
    name_file(path, name);
    int descriptor;
    do {
        /* O_NONBLOCK: opening a pipe that nobody writes to must not hang; files ignore it. */
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return fail_with_reason(error, name, "cannot open", errno);
    }
    const llmir_status_t status = map_whole(descriptor, name, out, error);
    (void)close(descriptor); /* nothing was written, so nothing can be lost */
    return status;
}

llmir_status_t llmir_descriptor_map(int32_t descriptor,
                                    uint64_t offset,
                                    uint64_t bytes,
                                    llmir_mapping_t* out,
                                    llmir_error_t* error) {
    *out = (llmir_mapping_t){0};
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "descriptor %" PRId32, descriptor);
    uint64_t file_bytes = 0;
    LLMIR_TRY(regular_file_size(descriptor, name, &file_bytes, error));
    if (bytes == 0) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: the range is empty", name);
    }
    if (!llmir_range_fits(offset, bytes, file_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "%s: %" PRIu64 " bytes at offset %" PRIu64
                          " reach beyond the end of the file, which has %" PRIu64 " bytes",
                          name, bytes, offset, file_bytes);
    }
    return map_range(descriptor, name, offset, bytes, out, error);
}

void llmir_unmap(llmir_mapping_t* mapping) {
    if (mapping->base != NULL) {
        (void)munmap(mapping->base, mapping->base_bytes);
    }
    *mapping = (llmir_mapping_t){0};
}
