/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct row {
        long size;
        short from;
#if NEW
        short weight;
#endif
};
static struct row *rows;
static int count;

NOINLINE static void rows_add(long size) {
        struct row *more = realloc(rows, ((size_t)count + 1) * sizeof(*rows));

        if (!more)
                abort();
        rows = more;
        rows[count].size = size;
        rows[count].from = 1;
#if NEW
        rows[count].weight = 1;
#endif
        count++;
}

NOINLINE static long rows_sum(void) {
        long sum = 0;

        for (int i = 0; i < count; i++)
#if NEW
                sum += rows[i].size * rows[i].weight;
#else
                sum += rows[i].size;
#endif
        return sum;
}

void target_start(void) {
        for (int i = 0; i < 16; i++)
                rows_add(i * 10);
}

void target_work(void) {
        EXPECT_EQ(rows[harness_turns() & 15].from, 1);
}

void target_check(int version) {
        long before = rows_sum();

        rows_add(7);
        EXPECT_EQ(rows_sum() - before, 7);
        EXPECT(before >= 1200);
        (void)version;
}
