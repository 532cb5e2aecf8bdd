/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static volatile long beats, phase;

NOINLINE static void beat(void) { beats++; }
NOINLINE static long other(long v) { phase += v; return v * PICK(1, 2); }

NOINLINE static void *pump(void *arg) {
        while (!harness_stopping()) {
                beat();
                phase += PICK(1, 2);
                usleep(200);
        }
        return arg;
}

static pthread_t thread;
void target_start(void) { CALL(-pthread_create(&thread, NULL, pump, NULL)); }
void target_work(void) { other(0); }
void target_check(int version) {
        EXPECT_EQ(other(3), version >= 2 ? 6 : 3);
        long b = beats;
        while (beats < b + 3)
                usleep(100);
}
void target_end(void) { CALL(-pthread_join(thread, NULL)); }
