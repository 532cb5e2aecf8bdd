/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

typedef long (*Handler)(long);
static const char *name = "start";
static Handler handler;
NOINLINE static void name_set(const char *s) { name = s; }
NOINLINE static void handler_set(Handler h) { handler = h; }
NOINLINE static const char *name_get(void) { return name; }
NOINLINE static long handle(long v) { return handler(v); }
NOINLINE long first(long v) { return v + 1; }
#if NEW
NOINLINE static long added(long v) { return v * 7; }
#endif
NOINLINE static void install(void) {
#if NEW
        name_set("brought by the patch");
        handler_set(added);
#else
        name_set("old");
        handler_set(first);
#endif
}
Handler volatile others[1];
void target_start(void) { others[0] = first; install(); }
void target_command(const char *word) {
        if (!strcmp(word, "hold"))
                install();
        EXPECT_STR(name_get(), "brought by the patch");
        EXPECT_EQ(handle(3), 21);
}
void target_check(int version) {
        install();
        EXPECT_STR(name_get(), version >= 2 ? "brought by the patch" : "old");
        EXPECT_EQ(handle(3), version >= 2 ? 21 : 4);
}
