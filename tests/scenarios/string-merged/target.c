/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const char *volatile last;

NOINLINE static void put(const char *s) {
        last = s;
}

NOINLINE static void unchanged_tail(void) {
        put("found");
}

NOINLINE static void unchanged_whole(void) {
        put("object not found");
}

NOINLINE static void changed(void) {
        put(PICK("not found", "nothing found"));
}

NOINLINE static void changed_to_shared(void) {
        put(PICK("no object not found", "object not found"));
}

NOINLINE static void changed_from_shared(void) {
        put(PICK("found", "lost and found"));
}

NOINLINE static const char *last_get(void) {
        return last;
}

void target_work(void) {
        unchanged_tail(), unchanged_whole(), changed(), changed_to_shared(), changed_from_shared();
}

void target_check(int version) {
        bool n = version >= 2;
        unchanged_tail();
        EXPECT_STR(last_get(), "found");
        unchanged_whole();
        EXPECT_STR(last_get(), "object not found");
        changed();
        EXPECT_STR(last_get(), n ? "nothing found" : "not found");
        changed_to_shared();
        EXPECT_STR(last_get(), n ? "object not found" : "no object not found");
        changed_from_shared();
        EXPECT_STR(last_get(), n ? "lost and found" : "found");
}
