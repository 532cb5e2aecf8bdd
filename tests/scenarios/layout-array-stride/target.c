/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Slot {
        int key, value;
#if NEW
        int hits, spare;
#endif
};

static struct Slot *slots;
static unsigned n_slots;

NOINLINE static void slots_new(unsigned n) {
        slots = calloc(n, sizeof(*slots));
        n_slots = n;
        for (unsigned i = 0; i < n; i++)
                slots[i].key = (int)i;
}

NOINLINE static int slot_get(unsigned i) {
#if NEW
        slots[i].hits++;
#endif
        return slots[i].key * 10 + slots[i].value;
}

NOINLINE static void slot_set(unsigned i, int v) {
        slots[i].value = v;
}

void target_start(void) {
        slots_new(64);
}

void target_work(void) {
        unsigned i = (unsigned)harness_turns() & 63;
        slot_set(i, 3);
        EXPECT_EQ(slot_get(i), (int)i * 10 + 3);
}

void target_check(int version) {
        slot_set(63, 3);
        EXPECT_EQ(slot_get(63), 633);
        EXPECT_EQ(sizeof(struct Slot), PICK(8, 16));
        EXPECT_EQ(version >= 2, NEW);
}
