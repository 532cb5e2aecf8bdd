/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <grp.h>
#include <sys/prctl.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_start(void) {
        CALL(setgroups(0, NULL));
        CALL(setresgid(65534, 65534, 65534));
        CALL(setresuid(65534, 65534, 65534));
        CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        CALL(prctl(PR_SET_DUMPABLE, 0));
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
