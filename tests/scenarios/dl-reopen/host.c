/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dlfcn.h>
#include <sys/mman.h>
static void *lib;
static long (*step)(long), (*total)(void);
static void open_it(void) {
        lib = dlopen("./libsubject.so", RTLD_NOW);
        EXPECT(lib != NULL);
        step = (long (*)(long))dlsym(lib, "subject_step");
        total = (long (*)(void))dlsym(lib, "subject_total");
}
void target_start(void) { open_it(); }
void target_work(void) { step(1); }
void target_command(const char *word) {
        EXPECT_STR(word, "reopen");
        EXPECT_EQ(dlclose(lib), 0);
        /* The place where it lay may or may not be taken by something else. */
        void *p = mmap(NULL, 64 << 10, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        open_it();
        munmap(p, 64 << 10);
}
void target_check(int version) {
        long b = total();
        EXPECT_EQ(step(5) - b, version >= 2 ? 10 : 5);
}
