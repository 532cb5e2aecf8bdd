/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
static long (*step)(long), (*mine)(void), (*visible)(void);
static char *(*text)(void);
static void body(int index) {
        long b = mine(), v = visible(), r = step(index + 1);
        EXPECT(r == b + index + 1 || r == (b + index + 1) * 10);
        EXPECT_EQ(mine(), b + index + 1);
        EXPECT_EQ(visible(), v + 1);
        EXPECT_EQ(text()[0], 'a');
        usleep(500);
}
void target_start(void) {
        void *l = dlopen("./libsubject.so", RTLD_NOW);
        EXPECT(l != NULL);
        step = (long (*)(long))dlsym(l, "subject_step");
        mine = (long (*)(void))dlsym(l, "subject_mine");
        visible = (long (*)(void))dlsym(l, "subject_visible_get");
        text = (char *(*)(void))dlsym(l, "subject_text");
        harness_workers(4, body);
}
void target_check(int version) {
        long b = mine();
        EXPECT_EQ(step(2), (b + 2) * (version >= 2 ? 10 : 1));
        EXPECT_EQ(text()[0], 'a');
        harness_workers(2, body);
}
