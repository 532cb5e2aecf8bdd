/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Buf {
        char *data;
        size_t used, size;
#if NEW
        size_t peak;
#endif
};

static struct Buf *bufs[16];
static unsigned writes;

NOINLINE static struct Buf *buf_new(size_t size) {
        struct Buf *b = malloc(sizeof(*b));
        b->data = calloc(1, size);
        b->used = 0;
        b->size = size;
#if NEW
        b->peak = 0;
#endif
        return b;
}

NOINLINE static size_t buf_put(struct Buf *b, size_t n) {
        if (b->used + n > b->size)
                b->used = 0;
        memset(b->data + b->used, 'x', n);
        b->used += n;
        writes++;
#if NEW
        if (b->used > b->peak)
                b->peak = b->used;
        return b->peak;
#else
        return b->used;
#endif
}

NOINLINE static size_t buf_used(const struct Buf *b) {
        return b->used;
}

void target_start(void) {
        for (int i = 0; i < 16; i++)
                bufs[i] = buf_new(64);
}

void target_work(void) {
        buf_put(bufs[harness_turns() & 15], 8);
}

void target_check(int version) {
        struct Buf *b = buf_new(100);
        buf_put(b, 60);
        EXPECT_EQ(buf_put(b, 50), version >= 2 ? 60 : 50);
        EXPECT_EQ(buf_used(b), 50);
}
