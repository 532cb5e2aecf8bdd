/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* With PADDING the limit is a new member, where there was none. */
#ifdef PADDING
#define LIMIT most
#else
#define LIMIT room
#endif

struct list {
        long length, room;
        int uses;
#if NEW && defined(PADDING)
        int most;
#endif
};
struct cell {
        int kind;
        struct list *list;
};
static struct cell cells[16];

NOINLINE static void cell_copy(struct cell *out, const struct cell *from) {
        out->kind = from->kind;
        out->list = from->list;
        out->list->uses++;
}

NOINLINE static long cell_room(int i) {
        struct cell c;
        cell_copy(&c, &cells[i]);
        return c.kind == 3 ? c.list->room : 0;
}

NOINLINE static long cell_length(int i) {
        struct cell c;
        cell_copy(&c, &cells[i]);
#if NEW
        if (c.kind != 3 || c.list->LIMIT > 40)
                return -1;
#endif
        return c.kind == 3 ? c.list->length : 0;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                cells[i].kind = 3;
                cells[i].list = malloc(sizeof(struct list));
                memset(cells[i].list, 0x7f, sizeof(struct list));
                cells[i].list->length = i;
                cells[i].list->room = 40 + (i == 7);
                cells[i].list->uses = 0;
#if NEW && defined(PADDING)
                cells[i].list->most = i == 7 ? 50 : 1;
#endif
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 3;
        EXPECT_EQ(cell_room(i), 40);
        EXPECT_EQ(cell_length(i), i);
}

void target_check(int version) {
        EXPECT_EQ(cell_length(7), version >= 2 ? -1 : 7);
        EXPECT_EQ(cell_length(8), 8);
}
