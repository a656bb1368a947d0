/* Tests of a target (target_fixture_t is their state): what is wrong with a code section is found
 * before a driver sees it. */
#ifndef LLMIR_DAMAGED_CODE_H
#define LLMIR_DAMAGED_CODE_H

void test_conformance_modules_are_unpacked(void** state);
void test_conformance_modules_end_where_they_say(void** state);

#endif /* LLMIR_DAMAGED_CODE_H */
