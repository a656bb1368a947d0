/* Read-only mappings of files. Errors name the path and the system's reason. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/size.h"
#include "platform/windows/error_windows.h"

/* Room for a path's end in a message; the rest of the message must fit too. */
#define NAME_BYTES 128

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       const char* name,
                                       const char* action,
                                       DWORD code) {
    char reason[LLMIR_REASON_BYTES];
    return llmir_fail(error, llmir_system_status(code), "%s: %s: %s", name, action,
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
static llmir_status_t regular_file_size(HANDLE file,
                                        const char* name,
                                        uint64_t* out_bytes,
                                        llmir_error_t* error) {
    LARGE_INTEGER bytes;
    SetLastError(NO_ERROR);
    const DWORD type = GetFileType(file);
    if (type == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR) {
        return fail_with_reason(error, name, "cannot examine", GetLastError());
    }
    if (type != FILE_TYPE_DISK) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: is not a regular file", name);
    }
    if (!GetFileSizeEx(file, &bytes)) {
        return fail_with_reason(error, name, "cannot examine", GetLastError());
    }
    *out_bytes = (uint64_t)bytes.QuadPart;
    return LLMIR_STATUS_OK;
}

/* Maps a range that is known to lie inside the file and not to be empty. */
static llmir_status_t map_range(HANDLE file,
                                const char* name,
                                uint64_t offset,
                                uint64_t bytes,
                                llmir_mapping_t* out,
                                llmir_error_t* error) {
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    const size_t before = (size_t)(offset % system.dwAllocationGranularity);
    const uint64_t base_offset = offset - before;
    size_t base_bytes;
    if (bytes > SIZE_MAX || !llmir_size_add((size_t)bytes, before, &base_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY,
                          "%s: %" PRIu64 " bytes do not fit this process's address space", name,
                          bytes);
    }
    const HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    if (section == NULL) {
        return fail_with_reason(error, name, "cannot map", GetLastError());
    }
    void* base = MapViewOfFile(section, FILE_MAP_READ, (DWORD)(base_offset >> 32),
                               (DWORD)(base_offset & UINT32_MAX), base_bytes);
    const DWORD code = GetLastError();
    (void)CloseHandle(section); /* the view keeps it */
    if (base == NULL) {
        return fail_with_reason(error, name, "cannot map", code);
    }
    out->data = (const uint8_t*)base + before;
    out->bytes = (size_t)bytes;
    out->base = base;
    out->base_bytes = base_bytes;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_file_map(const char* path, llmir_mapping_t* out, llmir_error_t* error) {
    *out = (llmir_mapping_t){0};
    char name[NAME_BYTES];
    wchar_t wide[LLMIR_WIDE_PATH_CHARS];
    name_file(path, name);
    if (!llmir_wide_path(path, wide)) {
        return llmir_fail(error, LLMIR_STATUS_NOT_FOUND,
                          "%s: the path is no UTF-8 or longer than %u characters", name,
                          LLMIR_WIDE_PATH_CHARS - 1);
    }
    const HANDLE file =
        CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD code = GetLastError();
        const DWORD attributes = GetFileAttributesW(wide);
        if (attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY) {
            return llmir_fail(error, LLMIR_STATUS_IO, "%s: is a directory", name);
        }
        return fail_with_reason(error, name, "cannot open", code);
    }
    uint64_t bytes = 0;
    llmir_status_t status = regular_file_size(file, name, &bytes, error);
    if (status == LLMIR_STATUS_OK && bytes == 0) {
        status = llmir_fail(error, LLMIR_STATUS_IO, "%s: is empty", name);
    } else if (status == LLMIR_STATUS_OK) {
        status = map_range(file, name, 0, bytes, out, error);
    }
    (void)CloseHandle(file);
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
    LLMIR_TRY(regular_file_size(llmir_handle_of(descriptor), name, &file_bytes, error));
    if (bytes == 0) {
        return llmir_fail(error, LLMIR_STATUS_IO, "%s: the range is empty", name);
    }
    if (!llmir_range_fits(offset, bytes, file_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_IO,
                          "%s: %" PRIu64 " bytes at offset %" PRIu64
                          " reach beyond the end of the file, which has %" PRIu64 " bytes",
                          name, bytes, offset, file_bytes);
    }
    return map_range(llmir_handle_of(descriptor), name, offset, bytes, out, error);
}

void llmir_unmap(llmir_mapping_t* mapping) {
    if (mapping->base != NULL) {
        (void)UnmapViewOfFile(mapping->base);
    }
    *mapping = (llmir_mapping_t){0};
}
