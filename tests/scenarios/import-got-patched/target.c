/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

typedef void (*Release)(void *);
static Release release = free;
static long released, cleared;

NOINLINE static void release_set(Release r) { release = r; }
NOINLINE static void drop(void *p) {
        if (release)
                release(p);
        released++;
}
NOINLINE static bool owned(void) {
#if NEW
        cleared++;
        return release == free;
#else
        return release != NULL;
#endif
}

void target_work(void) {
        drop(malloc(10));
        EXPECT(owned());
}

NOINLINE static void leave(void *p) { (void)p; cleared += 0; }

void target_check(int version) {
        EXPECT(owned());
        release_set(leave);
        EXPECT_EQ(owned(), version < 2);
        release_set(free);
}
