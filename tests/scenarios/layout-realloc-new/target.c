/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct item {
        long id;
        long size;
};
static struct item items[16];
#if NEW
struct row {
        short from, to;
        int weight;
        long size;
};
#endif

NOINLINE static long items_sum(const struct item *all, int n) {
        long sum = 0;
#if NEW
        struct row *rows = reallocarray(NULL, (size_t)n, sizeof(*rows));

        if (!rows)
                return -1;
        for (int i = 0; i < n; i++)
                rows[i] = (struct row){ (short)i, (short)(i + 1), 3, all[i].size };
        for (int i = 0; i < n; i++)
                sum += rows[i].size * rows[i].weight + rows[i].to - rows[i].from;
        free(rows);
#else
        for (int i = 0; i < n; i++)
                sum += all[i].size;
#endif
        return sum;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                items[i].id = i;
                items[i].size = i * 10;
        }
}

void target_work(void) {
        EXPECT_EQ(items[harness_turns() & 15].id, harness_turns() & 15);
}

void target_check(int version) {
        EXPECT_EQ(items_sum(items, 16), version >= 2 ? 3616 : 1200);
}
