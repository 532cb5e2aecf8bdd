/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
#ifdef OTHER
#define LOAD "subject_load"
#else
#define LOAD "ToolsOnLoad"
#endif
static long (*limit)(void);
static long sum;
void target_start(void) {
        void *l = dlopen("./libsubject.so", RTLD_LAZY | RTLD_LOCAL);
        void *(*load)(long *) = (void *(*)(long *))dlsym(l, LOAD);
        limit = (long (*)(void))dlsym(l, "subject_limit");
        long size = 8;
        load(&size);
}
void target_work(void) { sum += limit(); }
void target_check(int version) {
        EXPECT(limit() == 24 || (limit() == 40 && version >= 2)); /* as the build made it that began */
}
