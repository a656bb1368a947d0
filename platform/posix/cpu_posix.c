/* How many cores this process may use, and what the processor can do. Linux: the affinity mask,
 * less hyper-threads, at most the quota of the control group. Other systems: the processors that
 * are online. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include <unistd.h>

#include "platform/platform.h"

#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#define MAX_CPUS 8192
#define MASK_WORDS (MAX_CPUS / (8 * sizeof(unsigned long)))
#define PATH_BYTES 512

typedef struct cpu_mask {
    unsigned long words[MASK_WORDS];
} cpu_mask_t;

static int mask_has(const cpu_mask_t* mask, unsigned long cpu) {
    const unsigned long bits = 8 * sizeof(unsigned long);
    return cpu < MAX_CPUS && (mask->words[cpu / bits] >> (cpu % bits) & 1) != 0;
}

/* Reads the beginning of a small file of the kernel as text; returns its length, 0 on failure. */
static size_t read_text(const char* path, char* out, size_t capacity) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return 0;
    }
    const ssize_t length = read(descriptor, out, capacity - 1);
    (void)close(descriptor);
    out[length > 0 ? length : 0] = 0;
    return length > 0 ? (size_t)length : 0;
}

/* Whether `cpu` is the first of its core's hyper-threads that the mask allows. A list of siblings
 * reads "0-1,64-65"; unreadable means that the processor has no siblings. */
static int is_first_of_core(const cpu_mask_t* mask, unsigned long cpu) {
    char path[96], text[256];
    (void)snprintf(path, sizeof path,
                   "/sys/devices/system/cpu/cpu%lu/topology/thread_siblings_list", cpu);
    if (read_text(path, text, sizeof text) == 0) {
        return 1;
    }
    const char* next = text;
    for (;;) {
        char* end;
        const unsigned long first = strtoul(next, &end, 10);
        if (end == next) {
            return 1;
        }
        const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (unsigned long sibling = first; sibling <= last && sibling < cpu; ++sibling) {
            if (mask_has(mask, sibling)) {
                return 0;
            }
        }
        if (*end != ',') {
            return 1;
        }
        next = end + 1;
    }
}

/* Cores that "quota period" of a cpu.max file grants, rounded up; `limit` if it grants more. */
static uint32_t quota_cores(const char* path, uint32_t limit) {
    char text[64];
    if (read_text(path, text, sizeof text) == 0) {
        return limit;
    }
    char* end;
    const unsigned long long quota = strtoull(text, &end, 10); /* "max": no number */
    const unsigned long long period = end == text ? 0 : strtoull(end, NULL, 10);
    if (quota == 0 || period == 0) {
        return limit;
    }
    const unsigned long long cores = (quota - 1) / period + 1;
    return cores < limit ? (uint32_t)cores : limit;
}

/* The smallest quota of this process's control group (version 2) and the groups around it. */
static uint32_t cgroup_cores(uint32_t limit) {
    static const char root[] = "/sys/fs/cgroup";
    char text[PATH_BYTES], path[2 * PATH_BYTES];
    if (read_text("/proc/self/cgroup", text, sizeof text) == 0) {
        return limit;
    }
    const char* line = strstr(text, "0::/");
    if (line == NULL) {
        return limit;
    }
    char* group = text + (line - text) + strlen("0::");
    group[strcspn(group, "\n")] = 0;
    for (;;) {
        (void)snprintf(path, sizeof path, "%s%s/cpu.max", root, group);
        limit = quota_cores(path, limit);
        char* slash = strrchr(group, '/');
        if (slash == NULL) {
            return limit;
        }
        *slash = 0;
    }
}

uint32_t llmir_cpu_count(void) {
    cpu_mask_t mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t*)(void*)&mask) != 0) {
        return 1;
    }
    uint32_t cores = 0;
    for (unsigned long cpu = 0; cpu < MAX_CPUS; ++cpu) {
        cores += mask_has(&mask, cpu) && is_first_of_core(&mask, cpu);
    }
    return cores == 0 ? 1 : cgroup_cores(cores);
}

uint64_t llmir_cpu_features(uint32_t word) {
    return word < 2 ? getauxval(word == 0 ? AT_HWCAP : AT_HWCAP2) : 0;
}

#else

uint32_t llmir_cpu_count(void) {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

uint64_t llmir_cpu_features(uint32_t word) {
    (void)word;
    return 0;
}

#endif
