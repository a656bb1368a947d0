/* Unpacking what llmirc packed with LZMA. */
#ifndef LLMIR_LZMA_H
#define LLMIR_LZMA_H

#include <stddef.h>
#include <stdint.h>

/* Memory that llmir_lzma_unpack works in, aligned for uint16_t. */
#define LLMIR_LZMA_SCRATCH_BYTES 8704u

/* Unpacks a stream with LLMIR_LZMA_LC, _LP and _PB of llmir_bundle.h, without a header and with an
 * end marker. Any bytes may be given. Returns 1 if all of them are a stream of exactly `out_bytes`;
 * else 0, and `out` holds anything. `scratch`: LLMIR_LZMA_SCRATCH_BYTES of any content. */
int llmir_lzma_unpack(
    const uint8_t* packed, size_t packed_bytes, void* scratch, uint8_t* out, size_t out_bytes);

#endif /* LLMIR_LZMA_H */
