/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum { WORDS = 8 };
struct program {
        const void *code[WORDS]; /* where in run() each word is done */
};
static struct program programs[4];

/* Translates a text, or runs what was translated before. */
NOINLINE static long run(struct program *p, const char *text, long x) {
        static const void *const labels[] = { &&end, &&add, &&twice, &&back };
        const void *const *at;

        if (text) {
                for (int i = 0; i < WORDS; i++) {
                        p->code[i] = labels[text[i] & 3];
                        if (!(text[i] & 3))
                                break;
                }
                return 0;
        }
        at = p->code;
        goto **at++;
add:
        x += PICK(1, 3);
        goto **at++;
twice:
        x *= 2;
        goto **at++;
back:
        x -= 1;
        goto **at++;
end:
        return x;
}

void target_start(void) {
        for (int i = 0; i < 4; i++)
                run(&programs[i], "\1\2\3\1\4", 0);
}

void target_work(void) {
        long n = run(&programs[harness_turns() & 3], NULL, 5);

        EXPECT(n == 12 || n == 18);
}

void target_check(int version) {
        EXPECT_EQ(run(&programs[1], NULL, 5), version >= 2 ? 18 : 12);
}
