/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* What `--version` shows names the revision of the package: the process goes on showing the old one. */
#if NEW
#define PICK_TEXT "deb12u1"
#else
#define PICK_TEXT "b2"
#endif
static const char *volatile usage = "served 1.20-1+" PICK_TEXT "\nusage:\n\tserved [-v] [-i]\n";
static long served;

NOINLINE static int step(void) {
        served++;
        return PICK(1, 2);
}
NOINLINE static const char *shown(void) { return usage; }

void target_start(void) { usage = usage; }
void target_work(void) { step(); }
void target_check(int version) {
        EXPECT_EQ(step(), version);
        EXPECT(strncmp(shown(), "served 1.20-1+", 14) == 0);
        EXPECT(strstr(shown(), "usage:") != NULL);
        EXPECT(served > 0);
}
