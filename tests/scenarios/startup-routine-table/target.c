/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned char scores[256];
static long sum;

/* New: the high bit says that the score counts twice. */
static void prepare(void) {
        for (int i = 0; i < 256; i++)
                scores[i] = (unsigned char)PICK(i & 0x7f, (i & 0x3f) | 0x80);
}

NOINLINE static long score(unsigned char c) {
        pthread_once(&once, prepare);
        return NEW ? (scores[c] & 0x80 ? 2 : 1) * (scores[c] & 0x7f) : scores[c];
}

void target_start(void) { score(1); }
void target_work(void) { sum = (sum + score((unsigned char)sum) + 1) & 0xffff; }
void target_check(int version) { EXPECT_EQ(score(9), version >= 2 ? 18 : 9); }
