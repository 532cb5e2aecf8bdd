/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>

/* The loader looks behind the image that the return address lies in: new code is in none, and gets nothing. */
NOINLINE static int wrapped(void) {
        pid_t (*real)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "getpid");

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
