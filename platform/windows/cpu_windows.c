/* How many cores this process may use: those of its processor group that its affinity mask has. */
#include "platform/windows/error_windows.h"

#define MAX_RECORDS 512 /* of cores, caches and nodes: a group has at most 64 processors */

static uint32_t bits_of(DWORD_PTR mask) {
    uint32_t count = 0;
    for (; mask != 0; mask &= mask - 1) {
        ++count;
    }
    return count;
}

uint32_t llmir_cpu_count(void) {
    SYSTEM_LOGICAL_PROCESSOR_INFORMATION records[MAX_RECORDS];
    DWORD bytes = sizeof records;
    DWORD_PTR allowed = 0, system = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &allowed, &system) || allowed == 0) {
        return 1;
    }
    if (!GetLogicalProcessorInformation(records, &bytes)) {
        return bits_of(allowed);
    }
    uint32_t cores = 0;
    for (size_t i = 0; i < bytes / sizeof records[0]; ++i) {
        cores += records[i].Relationship == RelationProcessorCore &&
                 (records[i].ProcessorMask & allowed) != 0;
    }
    return cores == 0 ? bits_of(allowed) : cores;
}

uint64_t llmir_cpu_features(uint32_t word) {
    (void)word;
    return 0;
}
