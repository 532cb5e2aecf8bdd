/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Limits {
        int soft, hard, grace;
};
static const struct Limits usual = { 3, PICK(4, 6), 500 };

struct Object {
        long seen;
        const struct Limits *limits;
};
static struct Object *objects[4];

NOINLINE static bool is_usual(const struct Object *o) {
        return o->limits == &usual;
}

NOINLINE static void reset(struct Object *o) {
        o->limits = &usual;
        o->seen++;
}

NOINLINE static int hard_of(const struct Object *o) {
        return o->limits->hard;
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                objects[i] = calloc(1, sizeof(*objects[i]));
                reset(objects[i]);
        }
}

void target_check(int version) {
        EXPECT(is_usual(objects[1]));
        reset(objects[2]);
        EXPECT_EQ(hard_of(objects[2]), version >= 2 ? 6 : 4);
        EXPECT(is_usual(objects[2]));
}
