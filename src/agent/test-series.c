/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/series.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t HOUR_USEC = UINT64_C(3600) * 1000000;

static Measured *add(SeriesBook *b, unsigned i, uint64_t time_usec) {
        char name[64];

        snprintf(name, sizeof(name), "process %u", i);
        return series_add(b, name, "cpu", MEASURE_CPU, (Sample){ time_usec, 0.5 }, false);
}

static bool has(const SeriesBook *b, unsigned i) {
        char name[64];

        snprintf(name, sizeof(name), "process %u", i);
        for (size_t k = 0; series_get(b, k); k++)
                if (strcmp(series_get(b, k)->series.subject, name) == 0)
                        return true;
        return false;
}

/* Names that come and go leave room for others; what is measured still is not dropped for them. */
static void unused_ones_go(void **state) {
        SeriesBook *b = series_book_new();
        uint64_t now = wall_usec();

        (void)state;
        for (unsigned i = 0; i < SERIES_MAX; i++)
                assert_non_null(add(b, i, i == 7 ? now - 3 * HOUR_USEC : i == 9 ? now - 2 * HOUR_USEC : now));
        assert_non_null(add(b, 1000, now));
        assert_false(has(b, 7));
        assert_true(has(b, 9));
        assert_non_null(add(b, 9, now)); /* it is used again */
        assert_null(add(b, 1001, now));
        assert_non_null(add(b, 8, now + 1));
        series_book_free(b);
        /* All of them were measured by a clock that was set back since. */
        b = series_book_new();
        for (unsigned i = 0; i < SERIES_MAX; i++)
                assert_non_null(add(b, i, now + 2 * HOUR_USEC));
        assert_non_null(add(b, 1000, now));
        series_book_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(unused_ones_go) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
