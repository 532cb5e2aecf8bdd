/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define DIRTY 2u
#define SEALED 8u
enum { OPEN = 1, DONE, BROKEN };

struct item {
        long id;
        char *text;
        size_t length, room;
        unsigned flags, number;
        int state, patience;
};
static struct item *items[4], *spare;
static char empty[] = "";

/* Another number of patience, which nobody who changes asks for. */
NOINLINE static struct item *item_make(long id, size_t length) {
        struct item *i = calloc(1, sizeof(*i));

        i->id = id;
        i->state = OPEN;
        i->flags = DIRTY;
        i->length = length;
        i->room = 16;
        i->patience = PICK(30, 60);
        i->text = empty;
        return i;
}

/* A flag and a state that old items do not have. */
NOINLINE static void item_seal(struct item *i) {
#if NEW
        if (i->length == 0)
                i->state = BROKEN;
        i->flags |= SEALED;
#endif
        i->number++;
        i->length += i->id > 1000; /* room for a jump, in both builds */
}

NOINLINE static long item_ask(const struct item *i) {
        long sum = i->id + i->number;

#if NEW
        if (i->state == BROKEN || (i->flags & SEALED && !i->length))
                return -1;
#endif
        if (i->flags & DIRTY)
                sum += i->state;
        if (PICK(i->text != empty, i->text != NULL && i->text != empty))
                sum += 100;
        return sum - i->number;
}

/* A limit that went one too far, and one that is looked after newly. */
NOINLINE static size_t item_left(const struct item *i, size_t at) {
        if (PICK(at > i->length, at >= i->length))
                return 0;
#if NEW
        if (i->length > i->room)
                return 0;
#endif
        return i->length - at;
}

NOINLINE static void item_grow(struct item *i, size_t by) {
#if NEW
        if (by > 100)
                return;
#endif
        i->length += by;
}

NOINLINE static int item_wait(const struct item *i) {
        return i->patience / 2;
}

NOINLINE static void item_name(struct item *i, char *text) {
        i->text = text;
}

void target_start(void) {
        for (long i = 0; i < 4; i++)
                items[i] = item_make(i, 4);
        item_name(items[0], empty);
}

void target_work(void) {
        free(spare);
        spare = item_make(harness_turns() & 7, 3);
        item_seal(spare);
        item_grow(spare, 1);
        EXPECT_EQ(item_left(spare, 1), 3);
        EXPECT_EQ(item_ask(spare), spare->id + 1);
        item_seal(items[harness_turns() & 3]);
        EXPECT_EQ(item_wait(items[0]), 15);
}

void target_check(int version) {
        for (int i = 0; i < 4; i++) {
                EXPECT_EQ(item_left(items[i], 1), 3);
                EXPECT_EQ(item_left(items[i], 4), 0);
                item_seal(items[i]);
                EXPECT_EQ(item_ask(items[i]), i + 1);
                EXPECT(version < 2 || items[i]->flags & SEALED);
        }
        item_grow(items[0], 1000);
        EXPECT_EQ(items[0]->length, version >= 2 ? 4 : 1004);
        items[0]->length = 4;
}
