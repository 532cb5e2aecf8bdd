/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Flags {
        unsigned open : 1;
#if NEW
        unsigned secure : 1;
#endif
        unsigned dirty : 1;
        unsigned dead : 1;
        unsigned level : 5;
};

static struct Flags *objects[16];
static unsigned made;

NOINLINE static struct Flags *flags_new(unsigned level) {
        struct Flags *f = calloc(1, sizeof(*f));
        f->open = 1;
        f->level = level;
        made++;
        return f;
}

NOINLINE static void flags_dirty(struct Flags *f) {
        f->dirty = 1;
}

NOINLINE static bool flags_is_dead(const struct Flags *f) {
        return f->dead;
}

NOINLINE static bool flags_is_dirty(const struct Flags *f) {
        return f->dirty;
}

NOINLINE static unsigned flags_level(const struct Flags *f) {
        return f->level + PICK(0, 1);
}

void target_start(void) {
        for (unsigned i = 0; i < 16; i++) {
                objects[i] = flags_new(i);
                if (i & 1)
                        flags_dirty(objects[i]);
        }
}

void target_work(void) {
        unsigned i = (unsigned)harness_turns() & 15;
        EXPECT_EQ(flags_is_dirty(objects[i]), i & 1);
        EXPECT(!flags_is_dead(objects[i]));
}

void target_check(int version) {
        EXPECT_EQ(flags_level(objects[9]), version >= 2 ? 10 : 9);
        EXPECT(flags_is_dirty(objects[9]));
}
