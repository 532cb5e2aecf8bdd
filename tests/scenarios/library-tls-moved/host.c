/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
static long (*step)(long), (*pay)(long), (*earn)(long);
static long paid, earned;

void target_start(void) {
        void *l = dlopen("./libsubject.so", RTLD_NOW);

        EXPECT(l != NULL);
        step = (long (*)(long))dlsym(l, "subject_step");
        pay = (long (*)(long))dlsym(l, "subject_pay");
        earn = (long (*)(long))dlsym(l, "subject_earn");
        paid = pay(7);
        earned = earn(100);
}
void target_check(int version) {
        EXPECT_EQ(step(2), version >= 2 ? 20 : 2);
        EXPECT_EQ(pay(0), paid);
        EXPECT_EQ(earn(0), earned);
}
