/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Kinds come from text, and are stored as they come. */
enum {
        ANT,
        BEE,
#if NEW
        CAT,
#endif
        DOG,
        EEL,
        FOX
};

struct Object {
        int kind;
        long seen;
};
static struct Object *objects[3];

NOINLINE static int kind_of(int letter) {
        switch (letter) {
        case 'a':
                return ANT;
        case 'b':
                return BEE;
#if NEW
        case 'c':
                return CAT;
#endif
        case 'd':
                return DOG;
        case 'e':
                return EEL;
        case 'f':
                return FOX;
        default:
                return -1;
        }
}

NOINLINE static int cost_of(const struct Object *o) {
        switch (o->kind) {
        case ANT:
                return 100;
        case BEE:
                return 37;
#if NEW
        case CAT:
                return 3;
#endif
        case DOG:
                return 550;
        case EEL:
                return 21;
        case FOX:
                return 7;
        default:
                return 0;
        }
}

NOINLINE static struct Object *object_new(int letter) {
        struct Object *o = calloc(1, sizeof(*o));

        o->kind = kind_of(letter);
        return o;
}

void target_start(void) {
        objects[0] = object_new('d');
        objects[1] = object_new('a');
        objects[2] = object_new('e');
}

void target_work(void) {
        objects[harness_turns() % 3]->seen++;
}

void target_check(int version) {
        EXPECT_EQ(kind_of('f'), version >= 2 ? 5 : 4);
        EXPECT_EQ(cost_of(objects[0]), 550);
        EXPECT_EQ(cost_of(objects[2]), 21);
}
