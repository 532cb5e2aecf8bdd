/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
struct conn {
        long id, uses;
};
static struct conn *conns[4];
#if NEW
static long quota;
#endif
NOINLINE static void open_all(const char *word) {
        for (int i = 0; i < 4; i++) {
                conns[i] = calloc(1, sizeof(**conns));
                conns[i]->id = (long)strlen(word) + i;
        }
#if NEW
        quota = (long)strlen(word) * 100;
#endif
}
NOINLINE static long use(unsigned n) {
        struct conn *c = conns[n & 3];
        c->uses++;
#if NEW
        if (c->id > quota)
                return -1;
#endif
        return c->id;
}
void target_start(void) {
}
void target_command(const char *word) {
        open_all(word);
}
void target_work(void) {
        if (!conns[0])
                open_all("word");
        use((unsigned)harness_turns());
}
void target_check(int version) {
        (void)version;
        target_work();
        EXPECT_EQ(use(1), 5);
}
