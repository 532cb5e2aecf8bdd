/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "verify/health.h"
#include "verify/rank.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PATCHED UINT64_C(1000000000000000)
#define STEP UINT64_C(10000000)

static uint64_t seed;

/* A number of [0, 1), the same in each run: splitmix64. */
static double uniform(void) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}
static double normal(void) {
        return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

/* Services that are noisy in different ways. */
static double steady(size_t i) {
        (void)i;
        return 0.010 + 0.0002 * normal();
}
static double heavy_tailed(size_t i) {
        (void)i;
        return 0.010 * exp(0.8 * normal());
}
static double two_speeds(size_t i) { /* a cache that is hit half the time */
        (void)i;
        return uniform() < 0.5 ? 0.003 : 0.030;
}
static double drifting(size_t i) { /* each result is near the one before */
        static double level;

        level = i ? 0.9 * level + 0.22 * normal() : 0.5 * normal();
        return 0.010 * exp(level);
}
static double bursts(size_t i) { /* a job that runs for a while, now and then */
        static double left;

        left = i == 0 ? 0 : left > 0 ? left - 1 : uniform() < 0.03 ? 12 : 0;
        return (left > 0 ? 0.040 : 0.010) * exp(0.2 * normal());
}

typedef double Service(size_t i);

/*
 * What becomes of one patch after which results take `times` as long, with a baseline of that many windows
 * from earlier times.
 */
static HealthState one(Service *service, double times, unsigned windows) {
        Series s = { .measure = MEASURE_RESPONSE };

        for (size_t i = 0; i < windows * HEALTH_WINDOW; i++) {
                health_add(&s, (Sample){ 1 + i, fabs(service(i)) });
                s.high = fmax(s.high, health_window(&s, i % HEALTH_WINDOW + 1));
        }
        s.n = 0;
        for (size_t i = 0; i < HEALTH_BEFORE + HEALTH_AFTER; i++) {
                bool after = i >= HEALTH_BEFORE;
                HealthVerdict v;

                health_add(&s, (Sample){ PATCHED + (i + 1) * STEP - HEALTH_BEFORE * STEP,
                                         fabs(service(i)) * (after ? times : 1) });
                if (!after || (i - HEALTH_BEFORE + 1) % HEALTH_WINDOW)
                        continue;
                v = health_judge(&s, PATCHED + STEP / 2);
                if (v.state == HEALTH_DEGRADED)
                        return v.state;
        }
        return health_judge(&s, PATCHED + STEP / 2).state;
}

static const struct {
        const char *name;
        Service *service;
        unsigned alarms, alarms_known, found; /* of a hundred: at most, at most with a baseline, at least when
                                                 4 times as slow */
} services[] = {
        { "steady", steady, 0, 0, 100 },        { "heavy-tailed", heavy_tailed, 0, 0, 99 },
        { "two speeds", two_speeds, 0, 0, 50 }, { "drifting", drifting, 3, 1, 60 },
        { "bursts", bursts, 3, 1, 90 },
};
enum { TRIES = 300 };

static unsigned degraded(Service *service, double times, unsigned windows) {
        unsigned n = 0;

        seed = 1;
        for (unsigned i = 0; i < TRIES; i++)
                n += one(service, times, windows) == HEALTH_DEGRADED;
        return n;
}

static void noise_is_no_change(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(services); i++) {
                unsigned alarms = degraded(services[i].service, 1, 0),
                         known = degraded(services[i].service, 1, 72);

                printf("# %s: %u false alarms in %d patches, %u with a baseline\n", services[i].name, alarms,
                       TRIES, known);
                assert_true(alarms * 100 <= services[i].alarms * TRIES);
                assert_true(known * 100 <= services[i].alarms_known * TRIES);
        }
}

static void slow_patches_are_found(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(services); i++) {
                unsigned found = degraded(services[i].service, 4, 0),
                         half = degraded(services[i].service, 2, 0);

                printf("# %s: of %d patches found %u that make it 4 times as slow, %u that make it twice as "
                       "slow\n",
                       services[i].name, TRIES, found, half);
                assert_true(found * 100 >= services[i].found * TRIES);
        }
}

/* Against figures worked out by hand, and by R: wilcox.test(after, before, "greater", exact = FALSE). */
static void ranks(void **state) {
        const double low[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 },
                     high[] = { 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
        const double same[] = { 5, 5, 5, 5 };
        RankTest t = rank_test(low, 10, high, 10);

        (void)state;
        assert_true(t.effect >= 1 && t.difference >= 10 && t.difference <= 10);
        /* U = 100, z = 49.5 / sqrt(175) = 3.742, halved twice by the correlation of a rising row: r = 0.7 */
        assert_true(fabs(t.p - erfc(49.5 / sqrt(175) * sqrt(0.3 / 1.7) / sqrt(2)) / 2) < 1e-9);
        t = rank_test(high, 10, low, 10);
        assert_true(t.effect <= 0 && t.p > 0.9);
        t = rank_test(same, 4, same, 4);
        assert_true(t.p >= 1 && fabs(t.effect - 0.5) < 1e-9);
        t = rank_test(low, 0, high, 10);
        assert_true(t.p >= 1);
        assert_true(fabs(rank_median(low, 10) - 5.5) < 1e-9 && fabs(rank_median(low, 3) - 2) < 1e-9);
}

/* A series: `before` results that succeed or (every `fail`-th, 0: none) fail, then `failures` failures. */
static HealthState failing(size_t before, size_t fail, size_t failures) {
        Series s = { .measure = MEASURE_RESPONSE };

        for (size_t i = 0; i < before; i++)
                health_add(&s,
                           (Sample){ PATCHED + i * STEP - 200 * STEP, fail && i % fail == 0 ? -1 : 0.01 });
        for (size_t i = 1; i <= failures; i++)
                health_add(&s, (Sample){ PATCHED + i * STEP, -1 });
        return health_judge(&s, PATCHED).state;
}

static void failures(void **state) {
        (void)state;
        assert_int_equal(failing(100, 0, 2), HEALTH_OBSERVING);
        assert_int_equal(failing(100, 0, 3), HEALTH_DEGRADED);
        /* Few results promise less. */
        assert_int_equal(failing(3, 0, 4), HEALTH_UNJUDGED);
        assert_int_equal(failing(3, 0, 5), HEALTH_DEGRADED);
        assert_int_equal(failing(2, 0, 50), HEALTH_UNJUDGED);
        /* One that fails now and then by itself, and one that never worked. */
        assert_int_equal(failing(100, 4, 4), HEALTH_OBSERVING);
        assert_int_equal(failing(100, 4, 6), HEALTH_DEGRADED);
        assert_int_equal(failing(100, 1, 100), HEALTH_UNJUDGED);
}

/* What is sure, and too small to matter, is no change; a level that was usual before is none either. */
static void small_changes(void **state) {
        static const struct {
                Measure measure;
                double before, after, high;
                HealthState state;
        } cases[] = {
                { MEASURE_RESPONSE, 0.010, 0.014, 0, HEALTH_CONFIRMED },
                { MEASURE_RESPONSE, 0.010, 0.016, 0, HEALTH_DEGRADED },
                { MEASURE_RESPONSE, 0.010, 0.016, 0.02, HEALTH_CONFIRMED },
                { MEASURE_RESPONSE, 0.0001, 0.001, 0, HEALTH_CONFIRMED },
                { MEASURE_CPU, 0.05, 0.2, 0, HEALTH_CONFIRMED },
                { MEASURE_CPU, 0.3, 0.7, 0, HEALTH_DEGRADED },
                { MEASURE_MEMORY, 10e6, 30e6, 0, HEALTH_CONFIRMED },
                { MEASURE_MEMORY, 100e6, 200e6, 0, HEALTH_DEGRADED },
        };

        (void)state;
        seed = 1;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Series s = { .measure = cases[i].measure, .high = cases[i].high };
                HealthVerdict v;

                for (size_t k = 0; k < HEALTH_BEFORE + HEALTH_AFTER; k++)
                        health_add(&s, (Sample){ PATCHED + (k + 1) * STEP - HEALTH_BEFORE * STEP,
                                                 (k < HEALTH_BEFORE ? cases[i].before : cases[i].after) *
                                                         (1 + 0.01 * uniform()) });
                v = health_judge(&s, PATCHED + STEP / 2);
                assert_int_equal(v.state, cases[i].state);
                assert_int_equal(v.n_after, HEALTH_AFTER);
        }
}

/* Nothing is known of the time within the second in which it was patched. */
static void second_of_the_patch(void **state) {
        Series s = { .measure = MEASURE_RESPONSE };
        HealthVerdict v;

        (void)state;
        for (size_t i = 0; i < 40; i++)
                health_add(&s, (Sample){ PATCHED - 2000000 + i * 100000, 0.01 });
        v = health_judge(&s, PATCHED + 700000);
        assert_int_equal(v.n_before, 20);
        assert_int_equal(v.n_after, 10);
        health_add(&s, (Sample){ PATCHED, 5 }); /* the clock was set back */
        assert_int_equal(s.n, 40);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ranks),
                cmocka_unit_test(failures),
                cmocka_unit_test(small_changes),
                cmocka_unit_test(second_of_the_patch),
                cmocka_unit_test(noise_is_no_change),
                cmocka_unit_test(slow_patches_are_found),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
