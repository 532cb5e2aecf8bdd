/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* All bytes from the third on are above 31, and zeros follow: no text for that. */
static const unsigned char bytes[] = { 130, 137, 233, 173, PICK(147, 150), 181, 151, 198, 190, 198, 153, 227 };
static const double behind[2] = { 0.0, 2.5 };
static volatile unsigned at;

NOINLINE static int byte(unsigned i) {
        at = i;
        return bytes[i % 12];
}
NOINLINE static long sum(void) {
        long n = 0;
        for (unsigned i = 0; i < 12; i++)
                n = n * 3 + bytes[(i + at) % 12];
        return n;
}
NOINLINE static double other(unsigned i) { return behind[i % 2]; }
/* The one that reads an element has changed, and so tells nobody where that is. */
NOINLINE static long third(long n) {
        at = 2;
#if NEW
        if (n < 0)
                return -1;
#endif
        return bytes[2] + n;
}

void target_work(void) {
        byte((unsigned)harness_turns());
        sum();
        third(harness_turns());
        other((unsigned)harness_turns());
}
void target_check(int version) {
        EXPECT_EQ(third(1), 234);
        EXPECT_EQ(third(-7), version >= 2 ? -1 : 226);
        EXPECT_EQ(byte(3), 173);
        EXPECT_EQ(byte(4), version >= 2 ? 150 : 147);
        at = 0;
        long n = 0;
        for (unsigned i = 0; i < 12; i++)
                n = n * 3 + (i == 4 ? (version >= 2 ? 150 : 147) : byte(i));
        at = 0;
        EXPECT_EQ(sum(), n);
        EXPECT(other(1) == 2.5);
}
