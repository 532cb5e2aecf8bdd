/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <fcntl.h>

static long calls;
NOINLINE long work(long v) { calls++; return v + PICK(1, 2); }
static long stand_in(long v) { return v + 1; }
void target_start(void) {
#if !NEW
        unsigned char *p = (unsigned char *)(uintptr_t)work;
        unsigned char jump[12] = { 0x48, 0xb8 };
        uintptr_t to = (uintptr_t)stand_in;
        memcpy(jump + 2, &to, 8);
        jump[10] = 0xff, jump[11] = 0xe0;
        int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
        EXPECT_EQ(pwrite(fd, jump, sizeof(jump), (off_t)(uintptr_t)p), sizeof(jump));
        close(fd);
#else
        stand_in(1);
#endif
}
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
