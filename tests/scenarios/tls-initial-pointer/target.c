/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static __thread const char *mode = PICK("strict", "loose"), *other = PICK("loose", "strict");

NOINLINE static const char *mode_get(void) { return mode; }
NOINLINE static const char *other_get(void) { return other; }
NOINLINE static void mode_set(const char *s) { other = mode; mode = s; }
NOINLINE static long step(long v) { return v * PICK(1, 10); }

static void *body(void *p) {
        return (void *)(strcmp(mode_get(), p) == 0 ? p : NULL);
}

void target_work(void) {
        if (harness_turns() < 0)
                mode_set(other_get());
}

void target_check(int version) {
        pthread_t id;
        void *result = NULL;

        EXPECT_EQ(step(2), version >= 2 ? 20 : 2);
        if (pthread_create(&id, NULL, body, version >= 2 ? "loose" : "strict") == 0)
                pthread_join(id, &result);
        EXPECT(result != NULL);
}
