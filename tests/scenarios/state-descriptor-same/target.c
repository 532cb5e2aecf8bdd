/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <fcntl.h>
#include <time.h>

static int fd = -1;

NOINLINE static int null_fd(void) {
        if (fd < 0)
                fd = open("/dev/null", O_WRONLY | PICK(0, O_CLOEXEC | O_NOFOLLOW));
        return fd;
}

NOINLINE static long null_write(const char *text, size_t n) {
#if NEW
        if (n > 100)
                return -1;
#endif
        return null_fd() >= 0 ? write(fd, text, n) : -2;
}

NOINLINE static long spent(long (*what)(const char *, size_t)) {
        struct timespec a, b;

        clock_gettime(PICK(CLOCK_REALTIME, CLOCK_MONOTONIC), &a);
        EXPECT_EQ(what("text", 4), 4);
        clock_gettime(PICK(CLOCK_REALTIME, CLOCK_MONOTONIC), &b);
        return b.tv_sec - a.tv_sec;
}

void target_work(void) {
        long n = spent(null_write);

        EXPECT(n >= 0 && n < 1000);
}

void target_check(int version) {
        static const char text[200];

        EXPECT_EQ(null_write(text, sizeof(text)), version >= 2 ? -1 : 200);
}
