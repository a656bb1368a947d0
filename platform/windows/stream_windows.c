/* Files that are written or read from beginning to end. A file that is written appears under its
 * name when it is complete: until then it is NAME.partial. Who may read it is inherited from the
 * folder, as Windows does it. */
#include <stdio.h>

#include "platform/windows/error_windows.h"

#define PIECE_BYTES ((size_t)1 << 30) /* ReadFile and WriteFile count in 32 bits */

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       const llmir_file_t* file,
                                       const char* action,
                                       DWORD code) {
    char reason[LLMIR_REASON_BYTES];
    const llmir_status_t status = llmir_system_status(code);
    return llmir_fail(error, status == LLMIR_STATUS_NOT_FOUND ? status : LLMIR_STATUS_IO,
                      "file '%.100s': %s: %s", file->path, action,
                      llmir_system_reason(code, reason));
}

static llmir_status_t open_file(llmir_file_t* file,
                                const char* path,
                                DWORD access,
                                DWORD how,
                                const char* action,
                                llmir_error_t* error) {
    wchar_t wide[LLMIR_WIDE_PATH_CHARS];
    if (!llmir_wide_path(path, wide)) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "file '%.100s': the path is no UTF-8 or longer than %u characters",
                          file->path, LLMIR_WIDE_PATH_CHARS - 1);
    }
    const HANDLE handle =
        CreateFileW(wide, access, FILE_SHARE_READ, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        return fail_with_reason(error, file, action, GetLastError());
    }
    file->descriptor = llmir_descriptor_of(handle);
    return LLMIR_STATUS_OK;
}

static int close_file(llmir_file_t* file) {
    const int closed = CloseHandle(llmir_handle_of(file->descriptor)) != 0;
    file->descriptor = -1;
    return closed;
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
    const llmir_status_t status = open_file(out_file, out_file->partial, GENERIC_WRITE,
                                            CREATE_ALWAYS, "cannot create", error);
    if (status != LLMIR_STATUS_OK) {
        out_file->partial[0] = '\0';
    }
    return status;
}

llmir_status_t llmir_file_open(const char* path, llmir_file_t* out_file, llmir_error_t* error) {
    *out_file = (llmir_file_t){.path = path, .descriptor = -1};
    return open_file(out_file, path, GENERIC_READ, OPEN_EXISTING, "cannot open", error);
}

llmir_status_t llmir_file_write(llmir_file_t* file,
                                const void* data,
                                size_t bytes,
                                llmir_error_t* error) {
    const char* next = data;
    while (bytes > 0) {
        const DWORD piece = (DWORD)(bytes < PIECE_BYTES ? bytes : PIECE_BYTES);
        DWORD done = 0;
        if (!WriteFile(llmir_handle_of(file->descriptor), next, piece, &done, NULL) || done == 0) {
            const DWORD code = GetLastError();
            return fail_with_reason(error, file, "cannot write",
                                    code == NO_ERROR ? ERROR_DISK_FULL : code);
        }
        next += done;
        bytes -= done;
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_read(llmir_file_t* file, void* data, size_t bytes, llmir_error_t* error) {
    char* next = data;
    while (bytes > 0) {
        const DWORD piece = (DWORD)(bytes < PIECE_BYTES ? bytes : PIECE_BYTES);
        DWORD done = 0;
        if (!ReadFile(llmir_handle_of(file->descriptor), next, piece, &done, NULL)) {
            return fail_with_reason(error, file, "cannot read", GetLastError());
        }
        if (done == 0) {
            return llmir_fail(error, LLMIR_STATUS_IO, "file '%.100s': ends %zu bytes early",
                              file->path, bytes);
        }
        next += done;
        bytes -= done;
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_commit(llmir_file_t* file, llmir_error_t* error) {
    wchar_t from[LLMIR_WIDE_PATH_CHARS], to[LLMIR_WIDE_PATH_CHARS];
    const int is_synced = FlushFileBuffers(llmir_handle_of(file->descriptor)) != 0;
    const DWORD sync_error = GetLastError();
    const int is_closed = close_file(file);
    if (!is_synced || !is_closed) {
        const DWORD code = is_synced ? GetLastError() : sync_error;
        llmir_file_discard(file);
        return fail_with_reason(error, file, "cannot write", code);
    }
    /* Both were taken when the file was created, so both are short enough. */
    if (!llmir_wide_path(file->partial, from) || !llmir_wide_path(file->path, to) ||
        !MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
        const DWORD code = GetLastError();
        llmir_file_discard(file);
        return fail_with_reason(error, file, "cannot replace", code);
    }
    file->partial[0] = '\0';
    return LLMIR_STATUS_OK;
}

void llmir_file_discard(llmir_file_t* file) {
    if (file->descriptor >= 0) {
        (void)close_file(file); /* what was written is not wanted */
    }
    if (file->partial[0] != '\0') {
        wchar_t wide[LLMIR_WIDE_PATH_CHARS];
        if (llmir_wide_path(file->partial, wide)) {
            (void)DeleteFileW(wide);
        }
        file->partial[0] = '\0';
    }
}
