/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
struct thread_state {
        void *at;
        long n, sum;
};
static struct thread_state states[4];
NOINLINE static int resume(struct thread_state *t, long v) {
        long keep[4] = { v, v + 1, v + 2, v + 3 };
        if (t->at)
                goto * t->at;
#if NEW
        keep[1] += harness_hash(keep, sizeof(keep)) & 1 ? 2 : 2;
#endif
        t->at = &&one;
        t->n = 1;
        return 0;
one:
        t->sum += keep[0] + harness_hash(&keep[1], 8) % 2 * 0;
#if NEW
        t->sum += 100;
#endif
        t->at = &&two;
        return 1;
two:
        t->sum += keep[3] - 3;
        t->at = &&three;
        return 2;
three:
        t->sum = 0;
        t->at = NULL;
        return 3;
}
void target_work(void) {
        struct thread_state *t = &states[harness_turns() & 3];
        int r = resume(t, 5);
        EXPECT(r >= 0 && r <= 3);
        EXPECT(t->sum == 0 || t->sum == 5 || t->sum == 10 || t->sum == 105 || t->sum == 110);
}
void target_check(int version) {
        static struct thread_state old;
        static int r;
        (void)r;
        while (resume(&old, 5) != 1)
                ;
        EXPECT_EQ(old.sum, version >= 2 ? 105 : 5);
        EXPECT_EQ(resume(&old, 5), 2);
        EXPECT_EQ(resume(&old, 5), 3);
        EXPECT_EQ(resume(&old, 5), 0);
}
