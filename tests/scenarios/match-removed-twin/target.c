/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define TWIN(n) static long count##n; \
        NOINLINE static long hit##n(long v) { count##n += v; return count##n; } \
        NOINLINE static long get##n(void) { return count##n; }
TWIN(1)
#if !NEW
TWIN(2)
#endif
TWIN(3)
TWIN(4)

NOINLINE static void event(int kind) {
        switch (kind) {
        case 1: hit1(1); break;
#if !NEW
        case 2: hit2(1); break;
#endif
        case 3: hit3(1); break;
        default: hit4(1);
        }
}

void target_work(void) {
        for (int k = 1; k < 5; k++)
                event(k);
}

void target_check(int version) {
        long a = get1(), c = get3(), d = get4();
#if NEW
        bool all = true;
#else
        bool all = get2() >= 0;
#endif
        EXPECT(all);
        event(1), event(2), event(3), event(3), event(4);
        EXPECT_EQ(get1() - a, 1);
        EXPECT_EQ(get3() - c, 2);
        EXPECT_EQ(get4() - d, version >= 2 ? 2 : 1);
}
