/* system.h, and the clock and memory of input.h, on Windows: streams are set to binary, arguments
 * come from the command line in UTF-16, and the console speaks UTF-8. */
#include "common/input.h"
#include "common/system.h"

#define WIN32_LEAN_AND_MEAN
#define PSAPI_VERSION 2 /* GetProcessMemoryInfo of kernel32 */
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <psapi.h>
#include <shellapi.h>
#include <stdlib.h>

#define PATH_CHARS 1024

static void (*volatile interrupt_handler)(void);

/* UTF-8 on the heap; NULL: no memory. */
static char* narrow(const wchar_t* text) {
    const int bytes = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char* out = bytes > 0 ? malloc((size_t)bytes) : NULL;
    if (out != NULL) {
        (void)WideCharToMultiByte(CP_UTF8, 0, text, -1, out, bytes, NULL, NULL);
    }
    return out;
}

void system_begin(int* inout_argc, char*** inout_argv) {
    int count = 0;
    (void)_setmode(_fileno(stdin), _O_BINARY);
    (void)_setmode(_fileno(stdout), _O_BINARY);
    (void)_setmode(_fileno(stderr), _O_BINARY);
    (void)SetConsoleOutputCP(CP_UTF8);
    (void)SetConsoleCP(CP_UTF8);
    wchar_t** wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char** narrowed = wide != NULL ? calloc((size_t)count + 1, sizeof(*narrowed)) : NULL;
    for (int i = 0; narrowed != NULL && i < count; ++i) {
        narrowed[i] = narrow(wide[i]);
        if (narrowed[i] == NULL) {
            return; /* the C library's arguments serve */
        }
    }
    if (narrowed != NULL) {
        *inout_argc = count;
        *inout_argv = narrowed;
    }
    (void)LocalFree(wide);
}

FILE* system_open(const char* path, const char* mode) {
    wchar_t wide_path[PATH_CHARS], wide_mode[8];
    if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide_path, PATH_CHARS) == 0 ||
        MultiByteToWideChar(CP_UTF8, 0, mode, -1, wide_mode, 8) == 0) {
        return NULL;
    }
    return _wfopen(wide_path, wide_mode);
}

int system_cache_folder(char* out_path, size_t capacity) {
    wchar_t path[PATH_CHARS];
    const DWORD length = GetEnvironmentVariableW(L"LOCALAPPDATA", path, PATH_CHARS);
    if (length == 0 || length + sizeof("/llmir") > PATH_CHARS) {
        return 0;
    }
    (void)wcscat(path, L"/llmir");
    if (!CreateDirectoryW(path, NULL) && GetLastError() != ERROR_ALREADY_EXISTS) {
        return 0;
    }
    return WideCharToMultiByte(CP_UTF8, 0, path, -1, out_path, (int)capacity, NULL, NULL) > 0;
}

int system_replace(const char* from, const char* to) {
    wchar_t wide_from[PATH_CHARS], wide_to[PATH_CHARS];
    return MultiByteToWideChar(CP_UTF8, 0, from, -1, wide_from, PATH_CHARS) > 0 &&
           MultiByteToWideChar(CP_UTF8, 0, to, -1, wide_to, PATH_CHARS) > 0 &&
           MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING);
}

int system_is_terminal(void) {
    return _isatty(_fileno(stdin)) && _isatty(_fileno(stdout));
}

static BOOL WINAPI on_control(DWORD event) {
    if (event != CTRL_C_EVENT || interrupt_handler == NULL) {
        return FALSE;
    }
    interrupt_handler();
    return TRUE;
}

void system_on_interrupt(void (*handler)(void)) {
    interrupt_handler = handler;
    (void)SetConsoleCtrlHandler(on_control, handler != NULL);
}

uint64_t input_peak_rss_bytes(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof(counters)};
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters))
               ? counters.PeakWorkingSetSize
               : 0;
}

double input_now_ms(void) {
    LARGE_INTEGER frequency, count;
    (void)QueryPerformanceFrequency(&frequency);
    (void)QueryPerformanceCounter(&count);
    return (double)count.QuadPart * 1e3 / (double)frequency.QuadPart;
}
