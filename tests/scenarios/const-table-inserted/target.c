/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const char *const names[] = { "ant", "bee",
#if NEW
                                     "cat",
#endif
                                     "dog", "eel", "fox" };
enum { N = sizeof(names) / sizeof(*names) };

struct Object {
        unsigned kind;
        long seen;
};
static struct Object *objects[3];

NOINLINE static unsigned kind_of(const char *name) {
        for (unsigned i = 0; i < N; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        return 0;
}

#ifdef SEARCHED
/* Nobody keeps the place. */
NOINLINE static const char *name_of(const struct Object *o) {
        return o->seen >= 0 ? names[kind_of("eel")] : "";
}
#else
NOINLINE static const char *name_of(const struct Object *o) {
        return names[o->kind];
}
#endif

NOINLINE static struct Object *object_new(const char *name) {
        struct Object *o = calloc(1, sizeof(*o));

        o->kind = kind_of(name);
        return o;
}

void target_start(void) {
        objects[0] = object_new("dog");
        objects[1] = object_new("ant");
        objects[2] = object_new("eel");
}

void target_work(void) {
        objects[harness_turns() % 3]->seen++;
}

void target_check(int version) {
        EXPECT_EQ(kind_of("fox"), version >= 2 ? 5 : 4);
        EXPECT_STR(name_of(objects[2]), "eel");
#ifndef SEARCHED
        EXPECT_STR(name_of(objects[0]), "dog");
#endif
}
