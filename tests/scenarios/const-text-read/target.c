/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Near miss of const-text-compared. */
static const char usual[] = "the usual name";

struct Object {
        long seen;
        const char *name, *note;
};
static struct Object *objects[4];
static long freed;

NOINLINE static void reset(struct Object *o) {
        if (o->name != usual)
                freed++;
        o->name = usual;
        if (!strcmp(o->note, "note"))
                o->note = PICK("a note that was reset", "a note, reset");
        o->seen++;
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                objects[i] = calloc(1, sizeof(*objects[i]));
                objects[i]->name = usual;
                objects[i]->note = "note";
        }
}
void target_work(void) { reset(objects[0]); }
void target_check(int version) {
        objects[1]->note = "note";
        reset(objects[1]);
        EXPECT_STR(objects[1]->note, version >= 2 ? "a note, reset" : "a note that was reset");
        EXPECT_EQ(freed, 0);
}
