/* The system's text for an error number, written into the caller's buffer. */
#ifndef LLMIR_ERROR_POSIX_H
#define LLMIR_ERROR_POSIX_H

#define LLMIR_REASON_BYTES 96

/* Returns `out`. Threads: any. */
const char* llmir_system_reason(int code, char out[LLMIR_REASON_BYTES]);

#endif /* LLMIR_ERROR_POSIX_H */
