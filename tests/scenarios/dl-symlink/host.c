/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
static long (*step[2])(long), (*total)(void);
void target_start(void) {
        EXPECT_EQ(symlink("libsubject.so", "other.so"), 0);
        void *a = dlopen("./libsubject.so", RTLD_NOW), *b = dlopen("./other.so", RTLD_NOW);
        step[0] = (long (*)(long))dlsym(a, "subject_step");
        step[1] = (long (*)(long))dlsym(b, "subject_step");
        total = (long (*)(void))dlsym(a, "subject_total");
        EXPECT(a == b);
}
void target_work(void) { step[0](1); }
void target_check(int version) {
        long b = total();
        step[0](5), step[1](5);
        EXPECT_EQ(total() - b, version >= 2 ? 20 : 10);
}
