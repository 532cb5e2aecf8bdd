/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <sys/eventfd.h>

static int fd = -1;

NOINLINE static int event_fd(void) {
        if (fd < 0)
                fd = eventfd(0, EFD_NONBLOCK | PICK(0, EFD_SEMAPHORE));
        return fd;
}

NOINLINE static void event_give(uint64_t n) {
        EXPECT(write(event_fd(), &n, sizeof(n)) == sizeof(n));
}

/* How many there were. */
NOINLINE static long event_take(void) {
        uint64_t n = 0;
        long all = 0;

#if NEW
        while (read(event_fd(), &n, sizeof(n)) == sizeof(n))
                all++;
#else
        if (read(event_fd(), &n, sizeof(n)) == sizeof(n))
                all = (long)n;
#endif
        return fd >= 0 ? all : -1;
}

void target_work(void) {
        event_give(3);
        EXPECT_EQ(event_take(), 3);
}

void target_check(int version) {
        (void)version;
        event_give(5);
        EXPECT_EQ(event_take(), 5);
}
