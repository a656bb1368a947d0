/* See vec16_conversions.h. */
#include "vec16_conversions.h"

#include "targets/cpu/kernels/vec16.h"

float conversion_from_f16(uint16_t half) {
    uint16_t halves[LLMIR_LANES] = {0};
    float lanes[LLMIR_LANES];
    halves[half % LLMIR_LANES] = half;
    v16_store(lanes, v16_load_f16(halves));
    return lanes[half % LLMIR_LANES];
}

uint16_t conversion_to_f16(float value) {
    float lanes[LLMIR_LANES] = {0};
    uint16_t halves[LLMIR_LANES];
    lanes[5] = value;
    v16_store_f16(halves, v16_load(lanes));
    return halves[5];
}
