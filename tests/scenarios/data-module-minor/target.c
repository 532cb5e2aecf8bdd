/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* As an Apache module describes itself: the server looks at the numbers when it loads it. */
struct Module {
        int version, minor_version, module_index;
        const char *name;
        void *handle;
        struct Module *next;
        unsigned long magic;
        void (*hooks)(void);
};
static long hooked;

NOINLINE static void hooks(void) { hooked++; }
static struct Module module = { 20120211, PICK(126, 140), -1, "mod_here.c", NULL, NULL, 0x41503234ul, hooks };
static struct Module *volatile loaded = &module;

NOINLINE static int step(void) {
        loaded->hooks();
        return PICK(1, 2);
}

void target_start(void) { loaded->module_index = 7; }
void target_work(void) { step(); }
void target_check(int version) {
        EXPECT_EQ(step(), version);
        EXPECT_EQ(loaded->module_index, 7);
        EXPECT_EQ(loaded->minor_version, 126);
        EXPECT(hooked > 0);
}
