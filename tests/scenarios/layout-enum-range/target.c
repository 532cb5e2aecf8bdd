/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* What tells the kinds of objects apart, in the forms that compilers give to it (FORM). */
#define FAR 1
#define RANGE 2
#define SET 3
#define ARGUMENT 4
#define EXCHANGED 5
#define GROWN 6

#if FORM == FAR
enum {
        NEWBORN = PICK(3, 300),
        ACTIVE = PICK(0x5e551011, 0x7ab1e5),
        DORMANT = PICK(7, 70),
        FINAL = PICK(8, 900),
        LOST = PICK(11, 1100),
        KNOWN = PICK(12, 1200)
};
#elif FORM == EXCHANGED
enum { NEWBORN = 3, ACTIVE = PICK(5, 7), DORMANT = PICK(7, 5), FINAL = 8, LOST = 11, KNOWN = 12 };
#else
enum { STEP = FORM == GROWN ? 0 : PICK(0, 1) };
enum { NEWBORN = 3, ACTIVE = 5 + STEP, DORMANT = 7 + STEP, FINAL = 8 + STEP, LOST = 11 + STEP, KNOWN = 12 + STEP };
#endif

struct Object {
        unsigned kind;
        long value, seen;
};
static struct Object *objects[6];

NOINLINE static void object_set(struct Object *o, unsigned kind) {
        o->kind = kind;
        o->seen++;
}

NOINLINE static long question(struct Object *o) {
#if FORM == FAR
        return o->kind == ACTIVE;
#elif FORM == RANGE
        return o->kind >= ACTIVE && o->kind <= FINAL;
#elif FORM == SET || FORM == GROWN
        switch (o->kind) {
        case ACTIVE:
        case DORMANT:
        case LOST:
#if FORM == GROWN && NEW
        case LOST + 3:
#endif
                return 1;
        default:
                return 0;
        }
#elif FORM == EXCHANGED
        if (o->kind == ACTIVE) {
                o->value += 17;
                return 1;
        }
        if (o->kind == DORMANT) {
                o->value *= 13;
                return 4;
        }
        return 2;
#else
        return o->seen + 3;
#endif
}

NOINLINE static unsigned kind_of(struct Object *o) {
        return o->kind;
}

NOINLINE static long is_final(unsigned kind) {
        return kind == FINAL ? 21 : 0;
}

NOINLINE static void bear(struct Object *o) {
        o->value = 1;
        object_set(o, NEWBORN);
}
NOINLINE static void wake(struct Object *o) {
        o->value += 3;
        object_set(o, ACTIVE);
}
NOINLINE static void sleeps(struct Object *o) {
        o->value ^= 5;
        object_set(o, DORMANT);
        o->seen++;
}
NOINLINE static void end(struct Object *o) {
        o->seen += 2;
        object_set(o, FINAL);
}

void target_start(void) {
        for (int i = 0; i < 6; i++) {
                objects[i] = calloc(1, sizeof(*objects[i]));
                bear(objects[i]);
        }
        wake(objects[1]);
        sleeps(objects[2]);
        end(objects[3]);
        object_set(objects[4], (unsigned)LOST);
        object_set(objects[5], (unsigned)KNOWN);
}

void target_work(void) {
        if (harness_turns() < 0)
                for (int i = 0; i < 6; i++)
                        end(objects[i]), sleeps(objects[i]), wake(objects[i]), bear(objects[i]);
}

void target_check(int version) {
        (void)version;
        EXPECT_EQ(is_final(kind_of(objects[3])), 21);
        EXPECT_EQ(is_final(kind_of(objects[2])), 0);
#if FORM != ARGUMENT
        EXPECT_EQ(question(objects[1]), 1);
        EXPECT(question(objects[5]) != 1);
#endif
#if FORM == GROWN
        objects[0]->kind = LOST + 3;
        EXPECT_EQ(question(objects[0]), version >= 2);
#endif
}
