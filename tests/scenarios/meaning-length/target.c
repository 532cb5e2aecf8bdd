/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <arpa/inet.h>

/* What item_make() puts into an item, item_ask() takes out of it again. Both change, so that the sum stays the same
 * for items that the new code made. */
#define LENGTH 1 /* counts the zero behind the text, and no longer */
#define COUNT 2  /* begins at 1, not at 0 */
#define NONE 3   /* is -1, not 0 */
#define MARK 4   /* is there from the beginning, or the item is spoilt */
#define LIMIT 5  /* is set, and gone by */
#define EMPTY 6  /* is an empty text, not a null pointer */
#define CODED 7  /* a pointer is stored under a key */
#define ORDER 8  /* a number is kept as it came from the network, and no longer */
#define UNIT 9   /* seconds, and milliseconds now */
#define LAST 10  /* the last number that belongs to a range, and the first that does not */
#define RING 11  /* an index is kept below the size of the ring, or counts on */

#if NEW
#define OLD(x)
#define NOW(x) x
#else
#define OLD(x) x
#define NOW(x)
#endif

struct item {
        long id;
        char *text;
        size_t length;
        unsigned number, size, limit;
        int state;
        uintptr_t link;
        long due;
};
static struct item *items[4], *spare;
static uintptr_t key;
#define OPEN NOINLINE static __attribute__((used)) /* no compiler takes a member out for it */
static const char empty[] = "";

OPEN long now(void) {
        return (50 + harness_turns() % 2) * PICK(1, 1000);
}

OPEN struct item *item_make(long id, const char *text) {
        struct item *i = malloc(sizeof(*i));

        i->id = id;
        i->text = NULL;
        i->length = 0;
        i->state = 7;
        i->link = 0;
        i->due = 0;
        i->size = 4;
        i->number = 0;
        i->limit = 0;
#if FORM == LENGTH
        i->length = strlen(text) OLD(+1);
        i->text = malloc(strlen(text) + 1);
        strcpy(i->text, text);
#elif FORM == COUNT
        i->state = PICK(0, 1);
#elif FORM == NONE
        i->state = PICK(0, -1);
#elif FORM == MARK
        i->number = PICK(0, 0x4d41524b);
#elif FORM == LIMIT
        i->limit = PICK(0, 100);
#elif FORM == EMPTY
        i->text = PICK(NULL, (char *)empty);
#elif FORM == CODED
        i->link = (uintptr_t)text NOW(^key);
#elif FORM == ORDER
        i->number = OLD(htonl)((uint32_t)id);
#elif FORM == UNIT
        i->due = now() + (long)(strlen(text) * PICK(1, 1000));
#elif FORM == LAST
        i->due = id + (long)strlen(text) OLD(-1);
#endif
        return i;
}

/* The same in both builds: the old code knows all of an item. */
OPEN long item_sum(const struct item *i) {
        return i->id + (long)i->length + i->number + i->size + i->limit + i->state + (i->link > 1) + i->due + !!i->text;
}

/* What the item holds, in one number: 1 where it was just made. */
OPEN long item_ask(struct item *i) {
#if FORM == LENGTH
        return (long)i->length OLD(-1) - 3;
#elif FORM == COUNT
        return i->state > PICK(0, 1) ? 0 : 1;
#elif FORM == NONE
        return PICK(i->state == 0, i->state < 0) ? 1 : 0;
#elif FORM == MARK
        if (PICK(false, i->number != 0x4d41524b))
                return 0;
        return i->id < 100;
#elif FORM == LIMIT
        return PICK(i->id < 100, i->id < (long)i->limit);
#elif FORM == EMPTY
        return OLD(!i->text ||) !*i->text;
#elif FORM == CODED
        return *(const char *)(i->link NOW(^key)) == 't';
#elif FORM == ORDER
        return OLD(ntohl)(i->number) == (uint32_t)i->id;
#elif FORM == UNIT
        long left = i->due - now();

        if (left < PICK(0, -500))
                i->due = now() + PICK(60, 60000);
        return left > PICK(1, 1000) && left < PICK(9, 9000);
#elif FORM == LAST
        return i->id + 1 OLD(<=) NOW(<) i->due && !(i->id + 4 OLD(<=) NOW(<) i->due);
#else
        return 1;
#endif
}

#if FORM == RING
static unsigned ring[4];
static struct item *queue;

OPEN bool ring_put(struct item *q, unsigned v) {
#if NEW
        if (q->number - q->limit == q->size)
                return false;
        ring[q->number & (q->size - 1)] = v;
        q->number++;
#else
        unsigned next = (q->number + 1) & (q->size - 1);

        if (next == q->limit)
                return false;
        ring[q->number] = v;
        q->number = next;
#endif
        return true;
}

OPEN unsigned ring_get(struct item *q) {
        unsigned v;

        if (q->number == q->limit)
                return 0;
#if NEW
        v = ring[q->limit & (q->size - 1)];
        q->limit++;
#else
        v = ring[q->limit];
        q->limit = (q->limit + 1) & (q->size - 1);
#endif
        return v;
}
#endif

void target_start(void) {
        key = 0x5a5a0000 + (uintptr_t)(harness_turns() & 1);
        for (long i = 0; i < 4; i++)
                items[i] = item_make(i, "text");
#if FORM == RING
        queue = calloc(1, sizeof(*queue));
        queue->size = 4;
        for (unsigned i = 0; i < 3; i++) {
                ring_put(queue, 1);
                ring_get(queue);
        }
        ring_put(queue, 2);
        ring_put(queue, 3);
#endif
}

void target_work(void) {
        if (spare && item_sum(spare) == -1)
                item_sum(items[0]);
        free(spare);
        spare = item_make(harness_turns() & 7, "text");
        EXPECT_EQ(item_ask(spare), 1);
        EXPECT_EQ(item_ask(items[harness_turns() & 3]), 1);
}

void target_check(int version) {
        (void)version;
        for (int i = 0; i < 4; i++)
                EXPECT_EQ(item_ask(items[i]), 1);
#if FORM == RING
        EXPECT_EQ(ring_get(queue), 2);
        EXPECT_EQ(ring_get(queue), 3);
        ring_put(queue, 2);
        ring_put(queue, 3);
#endif
}
