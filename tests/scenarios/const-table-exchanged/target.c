/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
enum { IDLE, DONE, BUSY, KINDS };
#else
enum { IDLE, BUSY, DONE, KINDS };
#endif
static const int weights[KINDS] = { [IDLE] = 11, [BUSY] = 22, [DONE] = 33 };

struct Object {
        unsigned kind;
        long seen;
};
static struct Object *objects[3];

NOINLINE static long weight_of(const struct Object *o) {
        return weights[o->kind] + o->seen;
}
NOINLINE static struct Object *object_new(unsigned kind) {
        struct Object *o = calloc(1, sizeof(*o));

        o->kind = kind;
        return o;
}

void target_start(void) {
        objects[0] = object_new(IDLE);
        objects[1] = object_new(BUSY);
        objects[2] = object_new(DONE);
}

void target_work(void) {
        EXPECT(weight_of(objects[harness_turns() % 3]) > 0);
}

void target_check(int version) {
        (void)version;
        EXPECT_EQ(weight_of(objects[1]), 22);
        EXPECT_EQ(weight_of(objects[2]), 33);
}
