/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The objects of the process hold the address of the old text; new code would take that for one to be freed. */
#if NEW
static const char usual[] = "the usual name";
#else
static const char usual[] = "an usual name";
#endif

struct Object {
        long seen;
        const char *name;
};
static struct Object *objects[4];
static long freed;

NOINLINE static void reset(struct Object *o) {
        if (o->name != usual)
                freed++;
        o->name = usual;
        o->seen++;
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                objects[i] = calloc(1, sizeof(*objects[i]));
                objects[i]->name = usual;
        }
}
void target_work(void) { reset(objects[0]); }
void target_check(int version) {
        reset(objects[1]);
        EXPECT_STR(objects[1]->name, version >= 2 ? "the usual name" : "an usual name");
        EXPECT_EQ(freed, 0);
}
