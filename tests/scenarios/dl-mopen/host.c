/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
static long (*step[2])(long), (*total[2])(void);
void target_start(void) {
        for (int i = 0; i < 2; i++) {
                void *l = i ? dlmopen(LM_ID_NEWLM, "./libsubject.so", RTLD_NOW) : dlopen("./libsubject.so", RTLD_NOW);
                if (!l)
                        harness_skip(dlerror());
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
