/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Nothing but the zeros at its end tells the table from the one behind: near miss of const-table-chosen-value. */
struct Option {
        const char *name;
        long flag;
        const char *help;
        long value;
};
struct Command {
        const char *name;
        long (*run)(long);
};
NOINLINE static long twice(long n) { return n * 2; }
NOINLINE static long thrice(long n) { return n * 3; }
static const struct Command commands[] = { { "twice", twice }, { "thrice", thrice }, { NULL, NULL } };
static const struct Option options[] = {
        { "verbose", 0, "say more", 'v' },
        { "quiet", 0, "say less", PICK('q', 'Q') },
        { NULL, 0, NULL, 0 },
};
static volatile long runs;

NOINLINE static long option(unsigned i) {
        return options[i % 3].name ? options[i % 3].value : -1;
}
NOINLINE static long run(unsigned i, long n) {
        return commands[i % 3].name ? commands[i % 3].run(n) : -1;
}
NOINLINE static int version_here(void) { runs++; return PICK(1, 2); }

void target_work(void) {
        option((unsigned)harness_turns());
        run((unsigned)harness_turns(), 5);
        version_here();
}
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT_EQ(option(0), 'v');
        EXPECT_EQ(option(1), version >= 2 ? 'Q' : 'q');
        EXPECT_EQ(option(2), -1);
        EXPECT_EQ(run(0, 7), 14);
        EXPECT_EQ(run(1, 7), 21);
}
