/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Command {
        char name[8];
        int value;
};

static const struct Command commands[] = {
        { "get", 1 }, { "set", 2 }, { "del", 3 },
#if NEW
        { "incr", 4 }, { "decr", 5 },
#endif
};
static const int behind[4] = { 91, 92, 93, 94 };
static unsigned misses;

NOINLINE static int find(const char *name) {
        for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
                if (!strcmp(commands[i].name, name))
                        return commands[i].value;
        misses++;
        return -1;
}

NOINLINE static int other(int i) {
        return behind[i & 3] + (int)misses * 0;
}

NOINLINE static unsigned misses_get(void) {
        return misses;
}

void target_work(void) {
        find("get");
        find("none");
        other((int)harness_turns());
}

void target_check(int version) {
        unsigned before = misses_get();
        EXPECT_EQ(find("get"), 1);
        EXPECT_EQ(find("del"), 3);
        EXPECT_EQ(find("decr"), version >= 2 ? 5 : -1);
        EXPECT_EQ(other(2), 93);
        EXPECT_EQ(misses_get() - before, version >= 2 ? 0 : 1);
}
