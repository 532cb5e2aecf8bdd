/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
static long (*step)(long), (*total)(void);
void target_start(void) {
        char buf[65536], path[64];
        int in = open("./libsubject.so", O_RDONLY), fd = memfd_create("plugin", 0);
        for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0;)
                EXPECT(write(fd, buf, (size_t)n) == n);
        close(in);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        void *l = dlopen(path, RTLD_NOW);
        if (!l)
                harness_skip(dlerror());
        close(fd);
        step = (long (*)(long))dlsym(l, "subject_step");
        total = (long (*)(void))dlsym(l, "subject_total");
}
void target_work(void) { step(1); }
void target_check(int version) {
        long b = total();
        EXPECT_EQ(step(5) - b, version >= 2 ? 10 : 5);
}
