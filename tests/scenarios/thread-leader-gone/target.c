/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long calls;
NOINLINE static long work(long v) {
        calls++;
        return v + PICK(1, 2);
}

static void *second(void *arg) {
        pthread_join(*(pthread_t *)arg, NULL);
        harness_begin();
        while (harness_turn())
                ;
        exit(harness_end());
}

int main(void) {
        static pthread_t self, t;
        self = pthread_self();
        CALL(-pthread_create(&t, NULL, second, &self));
        pthread_exit(NULL);
}

void target_work(void) { work(0); }
void target_check(int version) {
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        EXPECT(calls > 0);
}
