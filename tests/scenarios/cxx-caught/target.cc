/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Low {
        int v;
};
struct High {
        int v;
};
#if VERSION >= 2
typedef High Caught;
#else
typedef Low Caught;
#endif

NOINLINE static void thrower(int v) {
        if (v < 10)
                throw Low{ v };
        throw High{ v };
}

NOINLINE static int catcher(int v) {
        try {
                thrower(v);
        } catch (const Caught &c) {
                return c.v;
        } catch (...) {
        }
        return -1;
}

/* Another one that has not changed. */
NOINLINE static int other(int v) {
        try {
                thrower(v);
        } catch (const Low &c) {
                return c.v;
        } catch (const High &c) {
                return -c.v;
        }
        return 0;
}

void target_work(void) {
        int low = catcher(3), high = catcher(30);

        /* The switch may fall between the two. */
        EXPECT(low == 3 || low == -1);
        EXPECT(high == 30 || high == -1);
        EXPECT_EQ(other(4), 4);
        EXPECT_EQ(other(40), -40);
}

void target_check(int version) {
        EXPECT_EQ(catcher(3), version >= 2 ? -1 : 3);
        EXPECT_EQ(catcher(30), version >= 2 ? 30 : -1);
        EXPECT_EQ(other(40), -40);
}
