/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Version 2 adds a list of objects of a type of its own; in version 3 that type has one more member. */
static long total, mode = 1;
#if VERSION >= 2
struct Node {
        struct Node *next;
#if VERSION >= 3
        long weight;
#endif
        long value;
};
static struct Node *nodes;
#endif
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION >= 2
        struct Node *n = malloc(sizeof(*n));
        long sum = 0, count = 0;
        if (!n)
                return -1;
        n->value = 4;
#if VERSION >= 3
        n->weight = 1;
#endif
        n->next = nodes;
        nodes = n;
        for (; n; n = n->next, count++)
                sum += n->value;
        return sum == 4 * count ? v + 20 : v;
#else
        return v;
#endif
}
NOINLINE static long second(long v) { total_add(1); return v | VERSION << 8; }
void target_work(void) { second(harness_turns()); }
void target_check(int version) {
        long before = total_get();
        EXPECT_EQ(first(5), version >= 2 ? 25 : 5);
        EXPECT_EQ(second(5), 5 | version << 8);
        EXPECT_EQ(total_get() - before, 2);
}
