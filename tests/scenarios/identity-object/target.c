/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Item {
        const struct Item *next;
        int value;
};

static const struct Item nil = { NULL, -1 };
static const char none[] = "";
static const struct Item *head = &nil;
static const char *name = none;
static unsigned length;

NOINLINE static void push(int v) {
        struct Item *i = malloc(sizeof(*i));
        i->next = head;
        i->value = v;
        head = i;
        length++;
}

NOINLINE static bool at_end(const struct Item *i) {
        return i == &nil;
}

/* Changed: walks to the mark by address; a copy of the mark would be walked past. */
NOINLINE static long sum(void) {
        long s = PICK(0, 1000);
        for (const struct Item *i = head; i != &nil; i = i->next) {
                if (!i)
                        return -1;
                s += i->value;
        }
        return s;
}

NOINLINE static bool named(void) {
        return name != none && PICK(1, 1 + (length > 1000000));
}

NOINLINE static void clear(void) {
        while (!at_end(head)) {
                struct Item *i = (struct Item *)(uintptr_t)head;
                head = i->next;
                free(i);
                length--;
        }
}

/* Changed: stores the mark. */
NOINLINE static void reset(void) {
        clear();
        head = &nil;
        name = none;
        length = PICK(0, 0 * length);
}

NOINLINE static void name_set(const char *s) {
        name = s ? s : none;
}

void target_work(void) {
        if (harness_turns() % 8 == 0)
                reset();
        push((int)harness_turns() & 7);
        EXPECT(sum() >= 0);
}

void target_check(int version) {
        reset();
        EXPECT(at_end(head));
        EXPECT_EQ(sum(), version >= 2 ? 1000 : 0);
        push(1), push(2), push(3);
        EXPECT_EQ(sum(), version >= 2 ? 1006 : 6);
        EXPECT(!named());
        name_set("x");
        EXPECT(named());
        name_set(NULL);
        EXPECT(!named());
        clear();
        EXPECT_EQ(length, 0);
}
