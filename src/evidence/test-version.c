/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "evidence/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each line is in order, oldest first; "=" between equal ones. */
static const char *const orders[][8] = {
        /* Debian Policy 5.6.12: "the following parts are in sorted order from earliest to latest" */
        { "~~", "~~a", "~", "", "a" },
        { "1.0~beta1~svn1245", "1.0~beta1", "1.0" },
        { "0.9", "0.10", "0.99", "1.0" },
        { "1.0-1", "1.0-2", "1.0-10" },
        { "9:1", "10:0" },
        { "2.0", "1:1.0" },
        { "1.0", "1.0-0+b1" },
        { "1.2-3", "1.2-3+b1", "1.2-3+b2", "1.2-3.1", "1.2-4" },
        { "3.0.11-1~deb12u1", "3.0.11-1~deb12u2", "3.0.11-1" },
        { "2.6.12-1", "2.6.12-1+deb12u1", "2.6.12-1+deb12u2", "2.6.12-1+deb12u10", "2.6.12-2" },
        { "1.0a", "1.0b", "1.0+", "1.0." },
        { "1-1-1", "1-1-2", "1-2-1" },
        { "7.0.15-1~deb12u1", "7.0.15-1", "5:7.0.15-1~deb12u1", "5:7.0.15-1~deb12u7" },
        { "99999999999999999998", "99999999999999999999", "100000000000000000000" },
};

static void order(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(orders); i++)
                for (size_t a = 0; a < 8 && orders[i][a]; a++)
                        for (size_t b = 0; b < 8 && orders[i][b]; b++) {
                                int r = version_compare(orders[i][a], orders[i][b]);

                                if (r != (a < b ? -1 : a > b))
                                        fail_msg("%s against %s is %d", orders[i][a], orders[i][b], r);
                        }
        assert_int_equal(version_compare("0:1.0", "1.0"), 0);
        assert_int_equal(version_compare("1.0-0", "1.0"), 0);
        assert_int_equal(version_compare("1.00", "1.0"), 0);
        assert_int_equal(version_compare("1.0-", "1.0"), 0);
}

/* dpkg itself, where it is installed, says the same of every pair. */
static void as_dpkg(void **state) {
        (void)state;
        if (system("dpkg --version >/dev/null 2>&1") != 0)
                skip();
        for (size_t i = 1; i < ELEMENTSOF(orders); i++)
                for (size_t b = 1; b < 8 && orders[i][b]; b++) {
                        char command[256];

                        snprintf(command, sizeof(command), "dpkg --compare-versions '%s' lt '%s' 2>/dev/null",
                                 orders[i][b - 1], orders[i][b]);
                        if (system(command) != 0)
                                fail_msg("dpkg disagrees: %s is not before %s", orders[i][b - 1],
                                         orders[i][b]);
                }
}

static void valid(void **state) {
        (void)state;
        assert_true(version_valid("1:2.3~rc1+dfsg-4+deb12u1"));
        assert_true(version_valid("1-2-3"));
        assert_false(version_valid(""));
        assert_false(version_valid("1.0-"));
        assert_false(version_valid(":1"));
        assert_false(version_valid("a:1"));
        assert_false(version_valid("1 2"));
        assert_false(version_valid("1.0/2"));
        assert_false(version_valid("1:"));
}

static void rebuilds(void **state) {
        (void)state;
        assert_int_equal(version_source_length("1.2-3+b1"), 5);
        assert_int_equal(version_source_length("1.2-3+b12"), 5);
        assert_int_equal(version_source_length("1.2-3"), 5);
        assert_int_equal(version_source_length("1.2-3+deb12u1"), 13);
        assert_int_equal(version_source_length("1.2b3"), 5);
        assert_int_equal(version_source_length(""), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(order), cmocka_unit_test(as_dpkg),
                                            cmocka_unit_test(valid), cmocka_unit_test(rebuilds) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
