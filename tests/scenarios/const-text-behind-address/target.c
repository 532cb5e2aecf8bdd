/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const char *const names[] = { "first", "second",
#if NEW
                                     "mended",
#else
                                     "wrong!",
#endif
                                     "fourth" };

NOINLINE static const char *name(unsigned i) {
        return names[i & 3];
}
NOINLINE static size_t length(unsigned i) {
        return strlen(names[i & 3]);
}

void target_work(void) {
        EXPECT_EQ(strlen(name((unsigned)harness_turns())), length((unsigned)harness_turns()));
}

void target_check(int version) {
        EXPECT(!strcmp(name(0), "first"));
        EXPECT(!strcmp(name(2), version >= 2 ? "mended" : "wrong!"));
        EXPECT_EQ(length(2), 6);
}
