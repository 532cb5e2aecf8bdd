/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Cursor {
        const unsigned char *at, *end;
#if NEW
        size_t limit;
#endif
        unsigned sum;
};

static unsigned parsed;

NOINLINE static void cursor_step(struct Cursor *c) {
#if NEW
        if (c->limit == 0) {
                c->at = c->end;
                return;
        }
        c->limit--;
#endif
        c->sum += *c->at++;
}

NOINLINE static unsigned parse(const unsigned char *p, size_t n) {
        struct Cursor c = { .at = p, .end = p + n };
#if NEW
        c.limit = 10;
#endif
        while (c.at < c.end)
                cursor_step(&c);
        parsed++;
        return c.sum;
}

NOINLINE static unsigned parsed_get(void) {
        return parsed;
}

void target_work(void) {
        parse((const unsigned char *)"abc", 3);
        parsed_get();
}

void target_check(int version) {
        unsigned char ones[20];
        memset(ones, 1, sizeof(ones));
        unsigned before = parsed_get();
        EXPECT_EQ(parse(ones, 20), version >= 2 ? 10 : 20);
        EXPECT_EQ(parse(ones, 5), 5);
        EXPECT_EQ(parsed_get() - before, 2);
}
