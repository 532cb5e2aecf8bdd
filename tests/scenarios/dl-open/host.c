/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
static long (*step)(long), (*total)(void);
void target_start(void) {
        void *l = dlopen("./libsubject.so", RTLD_LAZY | RTLD_LOCAL);
        step = (long (*)(long))dlsym(l, "subject_step");
        total = (long (*)(void))dlsym(l, "subject_total");
}
void target_work(void) { step(1); }
void target_check(int version) {
        long b = total();
        EXPECT_EQ(step(5) - b, version >= 2 ? 10 : 5);
}
