/* Modules of the stand-in driver: PTX or a cubin, of which the parameters of each function are
 * read, or code objects, and the shared object that is executed in their place. */
#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_driver/fake_cubin.h"
#include "tests/support/fake_driver/fake_state.h"

/* Bytes of a module; 0 after a fault. */
static size_t module_bytes(const char* image) {
#if defined(FAKE_HIP)
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_AMDGPU) {
        fake_fault("a module that is no ELF for AMD's GPUs");
        return 0;
    }
    return (size_t)header.e_shoff + (size_t)header.e_shnum * header.e_shentsize;
#else
    if (fake_cubin_is_one(image)) {
        return fake_cubin_bytes(image);
    }
    if (strstr(image, ".target sm_") == NULL || strstr(image, ".address_size 64") == NULL) {
        fake_fault("a module that is no PTX of 64 bits");
        return 0;
    }
    return strlen(image) + 1u;
#endif
}

/* Text runs on all, as far as the stand-in knows. */
static int runs_on_chip(const char* image) {
#if defined(FAKE_HIP)
    (void)image;
    return 1;
#else
    return !fake_cubin_is_one(image) || fake_cubin_chip(image) == fake.chip;
#endif
}

int fake_module_open(fake_object_t* module, const char* image) {
    char file[FAKE_KERNEL_NAME_BYTES];
    char path[1024];
    const size_t bytes = module_bytes(image);
    module->text = bytes != 0 ? malloc(bytes) : NULL;
    if (module->text == NULL) {
        return FAKE_INVALID_MODULE;
    }
    memcpy(module->text, image, bytes);
    if (!runs_on_chip(image)) {
        return FAKE_NO_BINARY;
    }
    fake_kernel_file_name(image, bytes, file);
    (void)snprintf(path, sizeof path, "%s/%s", fake.kernels != NULL ? fake.kernels : ".", file);
    module->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module->library == NULL) {
        fake_fault("a module that nothing can be executed for: %s", dlerror());
        return FAKE_INVALID_MODULE;
    }
    return 0;
}

#if defined(FAKE_HIP)

/* Where parameters lie is in the notes of the module, which check_llmirc.py reads. */
static int describe(const fake_object_t* module, const char* name, fake_object_t* function) {
    (void)module;
    (void)name;
    function->threads_max = 1024;
    function->has_barrier = 1;
    return 0;
}

#else

int fake_check_parameter(const char* kernel, uint32_t index, size_t at, size_t bytes) {
    const int is_binding = index < LLMIR_GPU_BINDING_COUNT;
    const size_t wanted_bytes = is_binding ? sizeof(uint64_t) : sizeof(uint32_t);
    const size_t wanted = is_binding
                              ? offsetof(llmir_gpu_arguments_t, bindings) + index * wanted_bytes
                              : offsetof(llmir_gpu_arguments_t, words) +
                                    (index - LLMIR_GPU_BINDING_COUNT) * wanted_bytes;
    if (bytes != wanted_bytes || at != wanted) {
        fake_fault("%s: parameter %u has %zu bytes at %zu, the host packs %zu bytes at %zu", kernel,
                   index, bytes, at, wanted_bytes, wanted);
        return 0;
    }
    return 1;
}

int fake_check_parameter_count(const char* kernel, uint32_t count) {
    if (count != LLMIR_GPU_BINDING_COUNT + LLMIR_GPU_WORD_COUNT) {
        fake_fault("%s: %u parameters", kernel, count);
        return 0;
    }
    return 1;
}

/* Reads the parameters of an entry: where each lies, by the rule that a parameter is aligned to its
 * size. */
static int check_parameters(const char* list, const char* end, const char* name) {
    size_t at = 0;
    uint32_t index = 0;
    for (const char* p = strstr(list, ".param "); p != NULL && p < end;
         p = strstr(p + 1, ".param ")) {
        const int bits = strncmp(p, ".param .u64", 11) == 0   ? 64
                         : strncmp(p, ".param .u32", 11) == 0 ? 32
                                                              : 0;
        const size_t bytes = (size_t)bits / 8u;
        at = bytes != 0 ? (at + bytes - 1u) / bytes * bytes : at;
        if (!fake_check_parameter(name, index, at, bytes)) {
            return 0;
        }
        at += bytes;
        ++index;
    }
    return fake_check_parameter_count(name, index);
}

/* From the text of an entry, or from what a cubin says of it. */
static int describe(const fake_object_t* module, const char* name, fake_object_t* function) {
    char entry[64];
    if (fake_cubin_is_one(module->text)) {
        function->threads_max = 1024;
        function->has_barrier = 1; /* which tiles need in the stand-in, too */
        return fake_cubin_describe(module->text, name, &function->threads_max);
    }
    (void)snprintf(entry, sizeof entry, ".entry %s(", name);
    const char* begin = strstr(module->text, entry);
    const char* list_end = begin != NULL ? strchr(begin + strlen(entry), ')') : NULL;
    const char* body_end = begin != NULL ? strstr(begin, "\n}") : NULL;
    if (list_end == NULL || body_end == NULL) {
        return FAKE_NOT_FOUND;
    }
    if (!check_parameters(begin, list_end, name)) {
        return FAKE_INVALID_MODULE;
    }
    const char* threads = strstr(begin, ".maxntid ");
    const char* barrier = strstr(begin, "bar.sync");
    const char* tiles = strstr(begin, "mma.sync"); /* the stand-in needs barriers for them */
    function->threads_max = threads != NULL && threads < body_end
                                ? (uint32_t)strtoul(threads + strlen(".maxntid "), NULL, 10)
                                : 1024u;
    function->has_barrier =
        (barrier != NULL && barrier < body_end) || (tiles != NULL && tiles < body_end);
    return 0;
}

#endif

int fake_module_find(fake_object_t* module, const char* name, fake_object_t* function) {
    const int result = describe(module, name, function);
    if (result != 0) {
        return result;
    }
    function->module = module;
    *(void**)&function->run = dlsym(module->library, name);
    return function->run != NULL ? 0 : FAKE_NOT_FOUND;
}
