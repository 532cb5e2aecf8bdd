/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const char *const messages[] = {
        "ok", "no such file", PICK("bad request", "malformed request"), "too large", "try again",
};
static unsigned lookups;

NOINLINE static const char *message(unsigned code) {
        lookups++;
        return code < sizeof(messages) / sizeof(*messages) ? messages[code] : "unknown";
}

NOINLINE static unsigned code_of(int error) {
        return error == ENOENT ? 1 : error == EINVAL ? 2 : error == E2BIG ? PICK(4, 3) : error ? 9 : 0;
}

NOINLINE static unsigned lookups_get(void) {
        return lookups;
}

void target_work(void) {
        message(code_of((int)harness_turns() % 12));
}

void target_check(int version) {
        unsigned before = lookups_get();
        bool left = version >= 2 && harness_flag("const-left");
        EXPECT_STR(message(0), "ok");
        EXPECT_STR(message(1), "no such file");
        EXPECT_STR(message(code_of(E2BIG)), version >= 2 ? "too large" : "try again");
        EXPECT_STR(message(7), "unknown");
        const char *m = message(code_of(EINVAL));
        if (left)
                EXPECT(!strcmp(m, "bad request") || !strcmp(m, "malformed request"));
        else
                EXPECT_STR(m, version >= 2 ? "malformed request" : "bad request");
        EXPECT_EQ(lookups_get() - before, 5);
}
