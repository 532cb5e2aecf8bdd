/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
struct item {
        long id;
        const char *name;
        long n;
};
static struct item *items[8];
NOINLINE static struct item *item_new(long id) {
        struct item *i = calloc(1, sizeof(*i));
        i->id = id;
#if NEW
        i->name = strdup("a name of some length");
#else
        i->name = "a name of some length";
#endif
        return i;
}
NOINLINE static void item_free(struct item *i) {
#if NEW
        free((void *)i->name);
#endif
        memset(i, 0x55, sizeof(*i));
        free(i);
}
NOINLINE static long item_use(struct item *i) {
        i->n++;
        return (long)strlen(i->name) + i->id;
}
void target_start(void) {
        for (int i = 0; i < 8; i++)
                items[i] = item_new(i);
}
void target_work(void) {
        unsigned at = (unsigned)harness_turns() & 7;
        item_use(items[at]);
        if (harness_turns() % 16 < 8) {
                struct item *o = items[at];
                items[at] = item_new(at);
                item_free(o);
        }
}
void target_check(int version) {
        (void)version;
        for (int i = 0; i < 8; i++) {
                EXPECT_EQ(item_use(items[i]), 21 + i);
                item_free(items[i]);
                items[i] = item_new(i);
        }
}
