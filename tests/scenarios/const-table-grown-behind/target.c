/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The last bytes of 234.0 are characters, and the first one of 193.0 is a zero: that is no empty text behind
 * another one, whose neighbours nobody needs to look at. */
static const double before[] = { 3, 7, 240, 234 };
static const double table[] = {
        193, 241, 102, 22, 244, 207, 249, 182, 26,
#if NEW
        165, 10, 240, 185,
#endif
};
enum { N = sizeof(table) / sizeof(*table) };
static volatile unsigned at;

NOINLINE static double number(unsigned i) {
        at = i;
        return table[i % N];
}
NOINLINE static double first(unsigned i) {
        at = i;
        return before[i % 4];
}

void target_work(void) {
        number((unsigned)harness_turns());
        first((unsigned)harness_turns());
}
void target_check(int version) {
        EXPECT(first(3) == 234);
        EXPECT(number(0) == 193);
        EXPECT(number(8) == 26);
        EXPECT(number(9) == (version >= 2 ? 165 : 193));
        EXPECT(number(11) == (version >= 2 ? 240 : 102));
}
