/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

NOINLINE static long run(const unsigned char *code, long x) {
        static const void *const labels[] = { &&end, &&add, &&twice, &&back };

        goto *labels[*code++ & 3];
add:
        x += PICK(1, 3);
        goto *labels[*code++ & 3];
twice:
        x *= 2;
        goto *labels[*code++ & 3];
back:
        x -= 1;
        goto *labels[*code++ & 3];
end:
        return x;
}

static const unsigned char program[] = { 1, 2, 3, 1, 0 };

void target_work(void) {
        long n = run(program, 5);

        EXPECT(n == 12 || n == 18);
}

void target_check(int version) {
        EXPECT_EQ(run(program, 5), version >= 2 ? 18 : 12);
}
