/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
static long (*step[2])(long), (*total[2])(void);
void target_start(void) {
        /* A copy is another file, so the loader maps the same build a second time. */
        char buf[65536];
        int in = open("./libsubject.so", O_RDONLY), out = open("./copy.so", O_WRONLY | O_CREAT, 0755);
        for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0;)
                EXPECT(write(out, buf, (size_t)n) == n);
        close(in), close(out);
        const char *paths[] = { "./libsubject.so", "./copy.so" };
        for (int i = 0; i < 2; i++) {
                void *l = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL);
                step[i] = (long (*)(long))dlsym(l, "subject_step");
                total[i] = (long (*)(void))dlsym(l, "subject_total");
        }
        EXPECT(step[0] != step[1]);
}
void target_work(void) { step[0](1); step[1](-1); }
void target_check(int version) {
        for (int i = 0; i < 2; i++) {
                long b = total[i]();
                EXPECT_EQ(step[i](5) - b, version >= 2 ? 10 : 5);
        }
}
