/* "Mappings" of files for WebAssembly, whose memory is one array that files cannot be mapped into:
 * the range is read into memory of its own. This is the one place where the library allocates
 * outside of the application's allocator; an application that minds loads from memory. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/size.h"
#include "platform/platform.h"
#include "platform/posix/error_posix.h"

/* Room for a path's end in a message; the rest of the message must fit too. */
#define NAME_BYTES 128
#define PIECE_BYTES ((size_t)1 << 30)

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       const char* name,
                                       const char* action,
                                       int code) {
    char reason[LLMIR_REASON_BYTES];
    const llmir_status_t status = code == ENOENT || code == ENOTDIR || code == ENOTCAPABLE
                                      ? LLMIR_STATUS_NOT_FOUND
                                  : code == ENOMEM ? LLMIR_STATUS_OUT_OF_MEMORY
                                                   : LLMIR_STATUS_IO;
    return llmir_fail(error, status, "%s: %s: %s", name, action, llmir_system_reason(code, reason));
}

/* Reads a range that lies inside the file; the file may shrink meanwhile. */
static llmir_status_t read_range(int descriptor,
                                 const char* name,
                                 uint64_t offset,
                                 size_t bytes,
                                 uint8_t* out,
                                 llmir_error_t* error) {
    while (bytes > 0) {
        const ssize_t done =
            pread(descriptor, out, bytes < PIECE_BYTES ? bytes : PIECE_BYTES, (off_t)offset);
        if (done == 0) {
            return llmir_fail(error, LLMIR_STATUS_IO, "%s: ends %zu bytes early", name, bytes);
        }
        if (done < 0 && errno != EINTR) {
            return fail_with_reason(error, name, "cannot read", errno);
        }
        if (done > 0) {
            out += done;
            offset += (uint64_t)done;
            bytes -= (size_t)done;
        }
    }
    return LLMIR_STATUS_OK;
}

/* offset and bytes NULL: the whole file. */
static llmir_status_t load(int descriptor,
                           const char* name,
                           const uint64_t* offset,
                           const uint64_t* bytes,
                           llmir_mapping_t* out,
                           llmir_error_t* error) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) {
        return fail_with_reason(error, name, "cannot examine", errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: is %s", name,
                          S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
    }
    const uint64_t file_bytes = (uint64_t)info.st_size;
    const uint64_t begin = offset == NULL ? 0 : *offset;
    const uint64_t count = bytes == NULL ? file_bytes : *bytes;
    if (count == 0) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: %s", name,
                          bytes == NULL ? "is empty" : "the range is empty");
    }
    if (!llmir_range_fits(begin, count, file_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "%s: %" PRIu64 " bytes at offset %" PRIu64
                          " reach beyond the end of the file, which has %" PRIu64 " bytes",
                          name, count, begin, file_bytes);
    }
    const uint64_t pages = llmir_page_bytes();
    void* base = count > SIZE_MAX - pages
                     ? NULL
                     : aligned_alloc((size_t)pages, (size_t)((count + pages - 1) / pages * pages));
    if (base == NULL) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY,
                          "%s: %" PRIu64 " bytes do not fit this process's memory", name, count);
    }
    const llmir_status_t status = read_range(descriptor, name, begin, (size_t)count, base, error);
    if (status != LLMIR_STATUS_OK) {
        free(base);
        return status;
    }
    *out = (llmir_mapping_t){
        .data = base, .bytes = (size_t)count, .base = base, .base_bytes = (size_t)count};
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_map(const char* path, llmir_mapping_t* out, llmir_error_t* error) {
    *out = (llmir_mapping_t){0};
    char name[NAME_BYTES];
    const size_t room = NAME_BYTES - sizeof "file '...'";
    const size_t length = strlen(path);
    (void)snprintf(name, sizeof name, "file '%s%s'", length > room ? "..." : "",
                   length > room ? path + length - room : path);
    const int descriptor = open(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0) {
        return fail_with_reason(error, name, "cannot open", errno);
    }
    const llmir_status_t status = load(descriptor, name, NULL, NULL, out, error);
    (void)close(descriptor);
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
    return load(descriptor, name, &offset, &bytes, out, error);
}

void llmir_unmap(llmir_mapping_t* mapping) {
    free(mapping->base);
    *mapping = (llmir_mapping_t){0};
}
