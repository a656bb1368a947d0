/* fmaf with one rounding, as the reference of kernels needs it: MinGW-w64's adds in the type of the
 * x87 unit, which rounds twice. The product is exact in double; of the sum, which need not be, the
 * last bit is set when any lower one was ("round to odd"), so that the conversion to float rounds
 * as if all bits were there. Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
 * IEEE Transactions on Computers 57(4), 2008. */
#include <math.h>
#include <stdint.h>
#include <string.h>

float fmaf(float x, float y, float z) {
    const double product = (double)x * (double)y;
    double sum = product + (double)z;
    const double part = sum - product;
    const double error = (product - (sum - part)) + ((double)z - part); /* Knuth's two-sum */
    if (isfinite(sum) && error != 0.0) {
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if ((bits & 1u) == 0) {
            bits += (error > 0.0) == (sum > 0.0) ? UINT64_C(1) : UINT64_MAX;
        }
        memcpy(&sum, &bits, sizeof bits);
    }
    return (float)sum;
}
