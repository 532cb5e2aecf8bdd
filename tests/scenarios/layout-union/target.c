/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Value {
        int type;
        union {
                long number;
                double real;
                char text[PICK(8, 24)];
        } u;
        unsigned refs;
};

static struct Value *values[8];
static unsigned made;

NOINLINE static struct Value *value_text(const char *s) {
        struct Value *v = calloc(1, sizeof(*v));
        v->type = 2;
        strncpy(v->u.text, s, sizeof(v->u.text) - 1);
        v->refs = 1;
        made++;
        return v;
}

NOINLINE static unsigned value_ref(struct Value *v) {
        return ++v->refs;
}

NOINLINE static unsigned value_unref(struct Value *v) {
        return --v->refs;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                values[i] = value_text("abcdefghijkl");
}

void target_work(void) {
        EXPECT_EQ(value_ref(values[harness_turns() & 7]), 2);
        EXPECT_EQ(value_unref(values[harness_turns() & 7]), 1);
}

void target_check(int version) {
        struct Value *v = value_text("abcdefghijkl");
        EXPECT_STR(v->u.text, version >= 2 ? "abcdefghijkl" : "abcdefg");
        EXPECT_EQ(value_unref(v), 0);
}
