/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <fcntl.h>
#include <sys/resource.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_start(void) {
        struct rlimit r = { 32, 32 };
        CALL(setrlimit(RLIMIT_NOFILE, &r));
        while (open("/dev/null", O_RDONLY) >= 0)
                ;
        EXPECT_EQ(errno, EMFILE);
}
void target_work(void) { work(0); }
void target_check(int version) {
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        EXPECT(open("/dev/null", O_RDONLY) < 0);
}
