/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sched.h>
#include <sys/mount.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_start(void) {
        if (unshare(CLONE_NEWNS) != 0)
                harness_skip("no mount namespaces");
        CALL(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
        CALL(mount("tmpfs", getenv("SCENARIO_DIR"), "tmpfs", 0, NULL));
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
