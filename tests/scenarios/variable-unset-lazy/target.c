/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
static long *table;
#if NEW
static long *limits;
#endif
NOINLINE static void prepare(void) {
        if (table)
                return;
        table = calloc(64, sizeof(*table));
        for (int i = 0; i < 64; i++)
                table[i] = i * 3;
#if NEW
        limits = calloc(64, sizeof(*limits));
        for (int i = 0; i < 64; i++)
                limits[i] = i * 2;
#endif
}
NOINLINE static long find(unsigned n) {
        prepare();
#if NEW
        return table[n & 63] - limits[n & 63];
#else
        return table[n & 63];
#endif
}
void target_work(void) {
        find((unsigned)harness_turns());
}
void target_check(int version) {
        EXPECT_EQ(find(5), version >= 2 ? 5 : 15);
}
