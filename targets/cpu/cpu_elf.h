/* A loader for self-contained ELF images: segments and relative relocations, nothing else. It needs
 * no dlopen and works the same on every system. Images come from files that may be damaged, so
 * every number is checked before it is used; what an image asks for beyond this is refused. */
#ifndef LLMIR_CPU_ELF_H
#define LLMIR_CPU_ELF_H

#include "core/base/status.h"
#include "platform/platform.h"

#define LLMIR_ELF_MAX_SEGMENTS 16u
#define LLMIR_ELF_MAX_BYTES ((size_t)64 << 20) /* of an image in memory */

/* What images of an architecture look like. */
typedef struct llmir_elf_abi {
    uint32_t word_bytes; /* 4: ELF32, 8: ELF64 */
    uint32_t machine;    /* e_machine */
    uint32_t relative;   /* number of its R_*_RELATIVE relocation */
} llmir_elf_abi_t;

/* The architecture that this library was built for; NULL if code cannot be loaded on it. */
const llmir_elf_abi_t* llmir_elf_native_abi(void);

typedef struct llmir_elf_segment {
    size_t address; /* from the start of the image */
    size_t file_offset;
    size_t file_bytes;
    size_t memory_bytes; /* at least file_bytes, the rest is zero */
    uint32_t flags;      /* LLMIR_ELF_READ ... */
} llmir_elf_segment_t;

#define LLMIR_ELF_EXECUTE 1u
#define LLMIR_ELF_WRITE 2u
#define LLMIR_ELF_READ 4u

/* A loaded image. A zeroed one is empty and may be unloaded. */
typedef struct llmir_elf_image {
    uint8_t* pages;
    size_t bytes; /* whole pages */
    uint32_t segment_count;
    llmir_elf_segment_t segments[LLMIR_ELF_MAX_SEGMENTS]; /* ascending, no page in common */
} llmir_elf_image_t;

/* Copies the segments of `file` into fresh pages, relocates and seals them; `file` is not used
 * afterwards. Errors: UNSUPPORTED (another architecture, or a system that forbids loading code),
 * CORRUPT (everything else that is wrong), OUT_OF_MEMORY; *out_image is then empty. */
llmir_status_t llmir_elf_load(const uint8_t* file,
                              size_t file_bytes,
                              const llmir_elf_abi_t* abi,
                              llmir_elf_image_t* out_image,
                              llmir_error_t* error);
void llmir_elf_unload(llmir_elf_image_t* image);

/* Whether `address` lies in the file part of an executable segment. */
int llmir_elf_has_code(const llmir_elf_image_t* image, size_t address);

#endif /* LLMIR_CPU_ELF_H */
