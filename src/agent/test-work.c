/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Process process(pid_t pid, uint64_t start_time, const char *unit) {
        Process p = { .pid = pid, .start_time = start_time };

        strcpy(p.unit, unit);
        return p;
}

/* One that does not answer is left out by itself, until a second of its unit does not; nobody else is. */
static void unresponsive_units(void **state) {
        Unresponsive skip[] = { { .process = process(5, 1, "a.service") },
                                { .process = process(6, 1, "") },
                                { .process = process(7, 1, "") },
                                { .process = process(8, 1, "a.service") } };
        Process same = process(5, 1, "a.service"), again = process(5, 2, "b.service"),
                other = process(9, 1, "a.service"), none = process(10, 1, "");
        Work w = { .beat = beat_new(), .skip = skip, .n_skip = 3 };

        (void)state;
        assert_false(work_enter(&w, &same));
        assert_true(beat_idle(w.beat));
        assert_true(work_enter(&w, &again));
        assert_false(beat_idle(w.beat));
        assert_true(work_enter(&w, &other));
        assert_true(work_enter(&w, &none));
        w.n_skip = 4;
        assert_false(work_enter(&w, &other));
        assert_true(work_enter(&w, &again));
        assert_true(work_enter(&w, &none));
        beat_free(w.beat);
}

/* A fork that was ended in the middle of saying where it is does not blind the next one's watch. */
static void beat_begun_anew(void **state) {
        Beat *b = beat_new();
        Process p = process(5, 1, "a.service");
        Unresponsive u;

        (void)state;
        (*(unsigned *)b)++; /* its turn */
        beat_begin(b);
        assert_true(beat_idle(b));
        beat_enter(b, &p);
        assert_false(beat_idle(b));
        assert_true(beat_stuck(b, 0, &u));
        assert_int_equal(u.process.pid, 5);
        assert_string_equal(u.process.unit, "a.service");
        assert_false(beat_stuck(b, 3600 * UINT64_C(1000000), &u));
        beat_free(b);
}

/* What is told of a piece of work: only processes that are looked at count, not those it comes back to. */
static void beat_counts_looks(void **state) {
        Process p = process(5, 1, "a.service"), other = process(6, 1, ""), at;
        Beat *b = beat_new();

        (void)state;
        beat_begin(b);
        assert_int_equal(beat_doing(b), BEAT_WAITS);
        beat_enter(b, &p);
        beat_enter(b, NULL);
        assert_int_equal(beat_looked(b), 0);
        beat_does(b, BEAT_LOOKS);
        assert_false(beat_at(b, &at));
        beat_enter(b, &p);
        beat_enter(b, &other);
        assert_true(beat_at(b, &at));
        assert_int_equal(at.pid, 6);
        beat_enter(b, NULL);
        assert_false(beat_at(b, &at));
        beat_does(b, BEAT_CHANGES);
        beat_enter(b, &p);
        assert_int_equal(beat_looked(b), 2);
        assert_int_equal(beat_doing(b), BEAT_CHANGES);
        beat_begin(b);
        assert_int_equal(beat_looked(b), 0);
        assert_int_equal(beat_doing(b), BEAT_WAITS);
        beat_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(unresponsive_units),
                                            cmocka_unit_test(beat_begun_anew),
                                            cmocka_unit_test(beat_counts_looks) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
