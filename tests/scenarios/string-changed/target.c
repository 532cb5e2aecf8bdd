/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static char last[64];
static int logged;

NOINLINE static void log_put(const char *s) {
        snprintf(last, sizeof(last), "%s", s);
        logged++;
}

NOINLINE static void greet(void) {
        log_put(PICK("server ready", "server is ready to serve"));
}

NOINLINE static void part(void) {
        log_put("server closing");
}

NOINLINE static const char *last_get(void) {
        return logged ? last : "";
}

void target_work(void) {
        greet();
        part();
}

void target_check(int version) {
        greet();
        EXPECT_STR(last_get(), version >= 2 ? "server is ready to serve" : "server ready");
        part();
        EXPECT_STR(last_get(), "server closing");
}
