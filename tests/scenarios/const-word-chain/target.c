/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The same word differs in every version; a newer patch replaces the older, and the other way. */
static const char *const names[] = { "zero",
                                     VERSION == 1 ? "one, the old one" : VERSION == 2 ? "one, as of two" : "one, as of three now",
                                     VERSION >= 3 ? "two as of three" : "two", "three" };
static const char *const *held = names;
static long runs;
NOINLINE static const char *name(int i) { return held[i]; }
NOINLINE static void hold(void) { held = names; }
NOINLINE static int version_here(void) { runs++; return VERSION; }
void target_start(void) { hold(); }
void target_work(void) { version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT_STR(name(0), "zero");
        EXPECT_STR(name(1), version == 1 ? "one, the old one" : version == 2 ? "one, as of two" : "one, as of three now");
        EXPECT_STR(name(2), version == 3 ? "two as of three" : "two");
        hold();
        EXPECT_STR(name(3), "three");
}
