/* Files that are written or read from beginning to end. A file that is written appears under its
 * name when it is complete: until then it is NAME.partial. */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"
#include "platform/posix/error_posix.h"

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       const llmir_file_t* file,
                                       const char* action,
                                       int code) {
    char reason[LLMIR_REASON_BYTES];
    const llmir_status_t status =
        code == ENOENT || code == ENOTDIR ? LLMIR_STATUS_NOT_FOUND : LLMIR_STATUS_IO;
    return llmir_fail(error, status, "file '%.100s': %s: %s", file->path, action,
                      llmir_system_reason(code, reason));
}

static llmir_status_t open_file(
    llmir_file_t* file, const char* path, int flags, const char* action, llmir_error_t* error) {
    do {
        /* O_NONBLOCK: opening a pipe that nobody is at must not hang; files ignore it. */
        file->descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK, S_IRUSR | S_IWUSR);
    } while (file->descriptor < 0 && errno == EINTR);
    return file->descriptor >= 0 ? LLMIR_STATUS_OK : fail_with_reason(error, file, action, errno);
}

llmir_status_t llmir_file_create(const char* path, llmir_file_t* out_file, llmir_error_t* error) {
    *out_file = (llmir_file_t){.path = path, .descriptor = -1};
    const int length = snprintf(out_file->partial, sizeof out_file->partial, "%s.partial", path);
    if (length < 0 || (size_t)length >= sizeof out_file->partial) {
        out_file->partial[0] = '\0';
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "file '%.100s...': the path is longer than %zu bytes", path,
                          sizeof out_file->partial - sizeof ".partial");
    }
    const llmir_status_t status =
        open_file(out_file, out_file->partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                  "cannot create", error);
    if (status != LLMIR_STATUS_OK) {
        out_file->partial[0] = '\0';
    }
    return status;
}

llmir_status_t llmir_file_open(const char* path, llmir_file_t* out_file, llmir_error_t* error) {
    *out_file = (llmir_file_t){.path = path, .descriptor = -1};
    return open_file(out_file, path, O_RDONLY, "cannot open", error);
}

llmir_status_t llmir_file_write(llmir_file_t* file,
                                const void* data,
                                size_t bytes,
                                llmir_error_t* error) {
    const char* next = data;
    while (bytes > 0) {
        const ssize_t done = write(file->descriptor, next, bytes);
        if (done > 0) {
            next += done;
            bytes -= (size_t)done;
        } else if (done == 0 || errno != EINTR) {
            return fail_with_reason(error, file, "cannot write", done == 0 ? ENOSPC : errno);
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_read(llmir_file_t* file, void* data, size_t bytes, llmir_error_t* error) {
    char* next = data;
    while (bytes > 0) {
        const ssize_t done = read(file->descriptor, next, bytes);
        if (done > 0) {
            next += done;
            bytes -= (size_t)done;
        } else if (done == 0) {
            return llmir_fail(error, LLMIR_STATUS_IO, "file '%.100s': ends %zu bytes early",
                              file->path, bytes);
        } else if (errno != EINTR) {
            return fail_with_reason(error, file, "cannot read", errno);
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_commit(llmir_file_t* file, llmir_error_t* error) {
    const int synced = fsync(file->descriptor) == 0 || errno == EINVAL || errno == EROFS;
    const int sync_error = errno;
    const int closed = close(file->descriptor) == 0;
    file->descriptor = -1;
    if (!synced || !closed) {
        const int code = synced ? errno : sync_error;
        llmir_file_discard(file);
        return fail_with_reason(error, file, "cannot write", code);
    }
    if (rename(file->partial, file->path) != 0) {
        const int code = errno;
        llmir_file_discard(file);
        return fail_with_reason(error, file, "cannot replace", code);
    }
    file->partial[0] = '\0';
    return LLMIR_STATUS_OK;
}

void llmir_file_discard(llmir_file_t* file) {
    if (file->descriptor >= 0) {
        (void)close(file->descriptor); /* what was written is not wanted */
        file->descriptor = -1;
    }
    if (file->partial[0] != '\0') {
        (void)unlink(file->partial);
        file->partial[0] = '\0';
    }
}
