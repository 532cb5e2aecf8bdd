/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
#define WORDS "server 1.3 (built on Friday at noon)"
#else
#define WORDS "server 1.3 (built on Saturday at noon)"
#endif
static struct { const char *text; long length, asked; } label;

NOINLINE static void describe(const char **text, long *length) {
        *text = WORDS;
        *length = (long)sizeof(WORDS) - 1;
}

void target_work(void) {
        describe(&label.text, &label.length);
        label.asked++;
        EXPECT_EQ(strlen(label.text), label.length);
}

void target_check(int version) {
        describe(&label.text, &label.length);
        EXPECT_STR(label.text, version >= 2 ? "server 1.3 (built on Friday at noon)" : "server 1.3 (built on Saturday at noon)");
        EXPECT_EQ(label.length, version >= 2 ? 36 : 38);
        EXPECT(label.asked > 0);
}
