/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>

/* With optimisation a jump: the return address is the caller's, which has changed. */
NOINLINE static void *behind(const char *name) {
        return dlsym(RTLD_NEXT, name);
}

NOINLINE static int wrapped(void) {
        pid_t (*real)(void) = (pid_t (*)(void))behind("getpid");

        if (!real)
                return -1;
        return real() > 0 ? PICK(1, 2) : 0;
}

void target_work(void) {
        wrapped();
}

void target_check(int version) {
        EXPECT_EQ(wrapped(), version >= 2 ? 2 : 1);
}
