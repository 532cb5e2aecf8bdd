/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum kind {
        KIND_ONE = 1, KIND_TWO, KIND_THREE, KIND_FOUR, KIND_FIVE, KIND_SIX,
#if NEW
        KIND_ADDED,
#endif
        KIND_LAST
};
struct item {
        const char *label;
        int kind;
};
static struct item items[16];

NOINLINE static void item_end(struct item *item) {
        item->label = PICK("at last", "finally done");
        item->kind = KIND_LAST;
}

NOINLINE static int item_kind(const struct item *item) {
        return item->kind;
}

void target_start(void) {
        for (int i = 0; i < 16; i++)
                item_end(&items[i]);
}

void target_work(void) {
        EXPECT_EQ(item_kind(&items[harness_turns() & 15]), KIND_LAST);
}

void target_check(int version) {
        item_end(&items[3]);
        EXPECT_EQ(strlen(items[3].label), version >= 2 ? 12 : 7);
        EXPECT_EQ(item_kind(&items[5]), KIND_LAST);
}
