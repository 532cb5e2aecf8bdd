/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int open_files, other;

NOINLINE static void opened(void) { open_files++; }
NOINLINE static int closed(void) { return --open_files; }
__attribute__((destructor)) static void first(void) { other = 1; }
#if NEW
__attribute__((destructor)) static void second(void) { open_files = 0; }
#endif
NOINLINE static int use(void) { opened(); return closed() + PICK(1, 2) + other; }

void target_work(void) {
        use();
}

void target_check(int version) {
        EXPECT_EQ(use(), version >= 2 ? 2 : 1);
}
