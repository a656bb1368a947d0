/* The list of targets, generated from the CMake list LLMIR_TARGETS as LLMIR_TARGET(cpu) lines: each
 * names the constant table llmir_target_<name>. */
#include "core/target_registry.h"

#define LLMIR_TARGET(name) extern const llmir_target_t llmir_target_##name;
#include "llmir_targets.inc"
#undef LLMIR_TARGET

const llmir_target_t* const llmir_target_registry[] = {
#define LLMIR_TARGET(name) &llmir_target_##name,
#include "llmir_targets.inc"
#undef LLMIR_TARGET
};

const uint32_t llmir_target_registry_count =
    sizeof(llmir_target_registry) / sizeof(llmir_target_registry[0]);

_Static_assert(sizeof(llmir_target_registry) / sizeof(llmir_target_registry[0]) <=
                   LLMIR_TARGET_REGISTRY_MAX,
               "more targets than a runtime has room for");

int llmir_target_is_complete(const llmir_target_t* target) {
    return target->struct_size == sizeof(*target) &&
           target->abi_version == LLMIR_TARGET_ABI_VERSION && target->name != NULL &&
           target->probe != NULL && target->device_create != NULL &&
           target->device_destroy != NULL && target->device_caps != NULL &&
           target->buffer_create != NULL && target->buffer_import != NULL &&
           target->buffer_destroy != NULL && target->buffer_write != NULL &&
           target->buffer_read != NULL && target->buffer_copy != NULL &&
           target->buffer_map != NULL && target->buffer_unmap != NULL &&
           target->program_load != NULL && target->program_unload != NULL &&
           target->program_code != NULL && target->submit != NULL && target->wait != NULL;
}
