/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
struct item {
        long id;
        char *name;
        long n;
};
static struct item *items[8];
static char names[8][16];
NOINLINE static void item_set(struct item *i, char *name) {
#if NEW
        i->name = strdup(name);
#else
        i->name = name;
#endif
        i->n++;
}
NOINLINE static struct item *item_new(long id) {
        struct item *i = calloc(1, sizeof(*i));
        i->id = id;
        return i;
}
NOINLINE static void item_free(struct item *i) {
#if NEW
        free(i->name);
#endif
        memset(i, 0x55, sizeof(*i));
        free(i);
}
NOINLINE static long item_use(struct item *i) {
        i->n++;
        return (long)strlen(i->name) + i->id;
}
void target_start(void) {
        for (int i = 0; i < 8; i++) {
                snprintf(names[i], 16, "name %d", i);
                items[i] = item_new(i);
                item_set(items[i], names[i]);
        }
}
void target_work(void) {
        unsigned at = (unsigned)harness_turns() & 7;
        item_use(items[at]);
        struct item *o = items[at];
        items[at] = item_new(at);
        item_set(items[at], names[at]);
        item_free(o);
}
void target_check(int version) {
        (void)version;
        for (int i = 0; i < 8; i++)
                EXPECT_EQ(item_use(items[i]), 6 + i);
}
