/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Version 2 adds `fixes`, 3 `later`, 4 changes first() again, 5 adds `marks`. The process counts on. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls, drift, seconds, second_drift;
#if VERSION >= 2
static long fixes;
#endif
#if VERSION >= 3
static long later = 1000;
#endif
#if VERSION >= 5
static long marks = 7;
#endif

NOINLINE static long first(long v) {
        pthread_mutex_lock(&lock);
        calls++;
#if VERSION >= 2
        fixes++;
        drift = calls - fixes;
#else
        drift = calls;
#endif
        pthread_mutex_unlock(&lock);
#if VERSION >= 4
        return v | 0x400;
#elif VERSION >= 2
        return v | 0x200;
#else
        return v | 0x100;
#endif
}

NOINLINE static long second(long v) {
        pthread_mutex_lock(&lock);
        seconds++;
#if VERSION >= 3
        later++;
        second_drift = seconds - later;
        v += 3;
#else
        second_drift = seconds;
        v += 1;
#endif
        pthread_mutex_unlock(&lock);
        return v;
}

NOINLINE static long third(long v) {
#if VERSION >= 5
        pthread_mutex_lock(&lock);
        marks++;
        v = marks > 7 ? v | 0x500 : v;
        pthread_mutex_unlock(&lock);
        return v;
#else
        pthread_mutex_lock(&lock);
        v |= 0x100;
        pthread_mutex_unlock(&lock);
        return v;
#endif
}

NOINLINE static long drift_get(void) {
        pthread_mutex_lock(&lock);
        long r = drift;
        pthread_mutex_unlock(&lock);
        return r;
}

NOINLINE static long second_drift_get(void) {
        pthread_mutex_lock(&lock);
        long r = second_drift;
        pthread_mutex_unlock(&lock);
        return r;
}

static long marked, second_marked;
static bool is_marked, second_is_marked;

static void body(int index) {
        first(index);
        second(index);
        third(index);
        usleep(500);
}
void target_start(void) { harness_workers(3, body); }
void target_work(void) { third(first(harness_turns())); }

/* `mark` and `mark-second`: from now on the new variable and the old one count in step. */
void target_command(const char *word) {
        if (strcmp(word, "mark") == 0) {
                first(0);
                marked = drift_get();
                is_marked = true;
        } else if (strcmp(word, "mark-second") == 0) {
                second(0);
                second_marked = second_drift_get();
                second_is_marked = true;
        } else if (strcmp(word, "forget-second") == 0) {
                second_is_marked = false;
        } else {
                is_marked = second_is_marked = false;
        }
}

void target_check(int version) {
        EXPECT_EQ(first(5), 5 | (version >= 4 ? 0x400 : version >= 2 ? 0x200 : 0x100));
        EXPECT_EQ(second(5), version >= 3 ? 8 : 6);
        EXPECT_EQ(third(5), version >= 5 ? 0x505 : 0x105);
        if (is_marked && version >= 2)
                EXPECT_EQ(drift_get(), marked);
        if (second_is_marked && version >= 3)
                EXPECT_EQ(second_drift_get(), second_marked);
}
