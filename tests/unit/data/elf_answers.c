/* A freestanding image with a table of pointers, which needs relative relocations. Writable, or
 * clang would turn the pointers into offsets. */
static const int values[] = {40, 41, 42};
static const int* volatile table[] = {&values[0], &values[1], &values[2]};

int answer(int index);
int answer(int index) { return *table[index]; }
