/* Everything that the library asks of an operating system. Each folder beside this file implements
 * all of it; a primitive that a system lacks returns UNSUPPORTED. No function here allocates except
 * through what it is given, and none prints. OS and compiler conditionals appear only in these
 * folders. */
#ifndef LLMIR_PLATFORM_H
#define LLMIR_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/allocator.h"
#include "core/base/status.h"

/* ---- Files and mappings ---- */

typedef struct llmir_mapping {
    const uint8_t* data; /* of the bytes asked for */
    size_t bytes;
    void* base; /* of the pages that hold them; private to the platform */
    size_t base_bytes;
} llmir_mapping_t;

/* Maps a whole file read-only. Errors name the path and the system's reason: NOT_FOUND, IO,
 * OUT_OF_MEMORY. */
llmir_status_t llmir_file_map(const char* path, llmir_mapping_t* out_mapping, llmir_error_t* error);

/* Maps [offset, offset + bytes) of an open descriptor; offset need not be page-aligned. The range
 * must lie inside the file. */
llmir_status_t llmir_descriptor_map(int32_t descriptor,
                                    uint64_t offset,
                                    uint64_t bytes,
                                    llmir_mapping_t* out_mapping,
                                    llmir_error_t* error);

/* Unmaps; a zeroed mapping is allowed. */
void llmir_unmap(llmir_mapping_t* mapping);

/* ---- Files from beginning to end ---- */

#define LLMIR_FILE_PATH_BYTES 1024u

typedef struct llmir_file {
    const char* path; /* the caller's; must outlive the file */
    int32_t descriptor;
    char partial[LLMIR_FILE_PATH_BYTES]; /* where it is written until it is complete; "" if read */
} llmir_file_t;

/* Begins a file that takes the place of `path` when it is committed; readable by its owner alone.
 * On failure there is nothing to discard. Errors: NOT_FOUND (the folder), IO. */
llmir_status_t llmir_file_create(const char* path, llmir_file_t* out_file, llmir_error_t* error);

/* Opens a file for reading. Errors: NOT_FOUND, IO. */
llmir_status_t llmir_file_open(const char* path, llmir_file_t* out_file, llmir_error_t* error);

/* Writes or reads exactly `bytes` bytes. Errors: IO. */
llmir_status_t llmir_file_write(llmir_file_t* file,
                                const void* data,
                                size_t bytes,
                                llmir_error_t* error);
llmir_status_t llmir_file_read(llmir_file_t* file, void* data, size_t bytes, llmir_error_t* error);

/* Makes a created file durable and visible under its path, and closes it; on failure the path is as
 * before. Errors: IO. */
llmir_status_t llmir_file_commit(llmir_file_t* file, llmir_error_t* error);

/* Closes a file; one that was being written is gone. Does nothing after a commit. */
void llmir_file_discard(llmir_file_t* file);

/* ---- Executable memory: written once, then sealed ---- */

typedef enum llmir_page_access {
    LLMIR_PAGE_READ = 1,
    LLMIR_PAGE_READ_WRITE = 2,
    LLMIR_PAGE_READ_EXECUTE = 3,
} llmir_page_access_t;

size_t llmir_page_bytes(void);

/* Reserves `bytes` (multiple of the page size) of zeroed, writable, private memory. */
llmir_status_t llmir_pages_reserve(size_t bytes, void** out_pages, llmir_error_t* error);

/* Changes the access of whole pages; making them executable also synchronises the instruction
 * cache. */
llmir_status_t llmir_pages_protect(void* pages,
                                   size_t bytes,
                                   llmir_page_access_t access,
                                   llmir_error_t* error);
void llmir_pages_release(void* pages, size_t bytes);

/* ---- Threads. Opaque storage is caller-owned so that nothing is allocated here. ---- */

typedef struct llmir_thread {
    uint64_t storage[8];
} llmir_thread_t;
typedef struct llmir_mutex {
    uint64_t storage[8];
} llmir_mutex_t;
typedef struct llmir_condition {
    uint64_t storage[8];
} llmir_condition_t;

/* Starts `main(user)` on a new thread; `thread` and `user` must live until joined. */
llmir_status_t llmir_thread_start(llmir_thread_t* thread,
                                  void (*main)(void* user),
                                  void* user,
                                  llmir_error_t* error);
void llmir_thread_join(llmir_thread_t* thread);
llmir_status_t llmir_mutex_init(llmir_mutex_t* mutex, llmir_error_t* error);
void llmir_mutex_deinit(llmir_mutex_t* mutex);
void llmir_mutex_lock(llmir_mutex_t* mutex);
void llmir_mutex_unlock(llmir_mutex_t* mutex);
llmir_status_t llmir_condition_init(llmir_condition_t* condition, llmir_error_t* error);
void llmir_condition_deinit(llmir_condition_t* condition);
void llmir_condition_wait(llmir_condition_t* condition, llmir_mutex_t* mutex);
/* Waits at most `timeout_ns`; may return early. Where there is no clock it returns at once. */
void llmir_condition_wait_for(llmir_condition_t* condition,
                              llmir_mutex_t* mutex,
                              uint64_t timeout_ns);
void llmir_condition_broadcast(llmir_condition_t* condition);

/* Tells the processor that this thread spins. */
void llmir_cpu_relax(void);

/* Physical cores this process may use, at least 1; never more than its affinity allows. */
uint32_t llmir_cpu_count(void);

/* The system's word on what the processor can do, where user code cannot ask the processor itself:
 * AT_HWCAP (word 0) and AT_HWCAP2 (word 1) of Linux. 0 where the system says nothing. */
uint64_t llmir_cpu_features(uint32_t word);

/* Monotonic time; always 0 where there is no clock. */
uint64_t llmir_clock_ns(void);

/* ---- Atomics: sequentially consistent unless the name says otherwise ---- */

typedef struct llmir_atomic_u32 {
    volatile uint32_t value;
} llmir_atomic_u32_t;

uint32_t llmir_atomic_load(const llmir_atomic_u32_t* atomic);
uint32_t llmir_atomic_load_acquire(const llmir_atomic_u32_t* atomic);
void llmir_atomic_store_release(llmir_atomic_u32_t* atomic, uint32_t value);
uint32_t llmir_atomic_add(llmir_atomic_u32_t* atomic,
                          uint32_t value); /* returns the value before */

#endif /* LLMIR_PLATFORM_H */
