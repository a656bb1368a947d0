/* Two versions of the library at once: each runs the consumer, and tells its version. */
#include <stdio.h>

#include "llmir.h"

int old_main(int argc, char** argv);
int new_main(int argc, char** argv);
uint32_t old_llmir_version(void); /* the other version's header cannot be included as well */

int main(int argc, char** argv) {
    const int result = old_main(argc, argv) | new_main(argc, argv);
    printf("%x %x\n", (unsigned)old_llmir_version(), (unsigned)llmir_version());
    return result;
}
