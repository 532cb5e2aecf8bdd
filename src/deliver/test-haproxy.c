/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/haproxy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void stat_answers(void **state) {
        static const char answer[] = "# pxname,svname,qcur,qmax,scur,status,\n"
                                     "f,FRONTEND,,,3,OPEN,\n"
                                     "b,s11,0,0,9,DOWN,\n"
                                     "bb,s1,0,0,8,DOWN,\n"
                                     "b,s1,2,0,5,UP 1/3,\n"
                                     "b,BACKEND,0,0,0,UP,\n\n";
        HaproxyServer s = { 0 };

        (void)state;
        assert_int_equal(haproxy_parse_stat(answer, "b/s1", &s, NULL), 0);
        assert_int_equal(s.sessions, 7);
        assert_string_equal(s.status, "UP 1/3");
        assert_int_equal(haproxy_parse_stat(answer, "b/s2", &s, NULL), -ENOENT);
        assert_int_equal(haproxy_parse_stat("Permission denied\n", "b/s1", &s, NULL), -EBADMSG);
        assert_int_equal(haproxy_parse_stat("# pxname,svname,qcur\nb,s1,0\n", "b/s1", &s, NULL), -EBADMSG);
        assert_int_equal(haproxy_parse_stat("", "b/s1", &s, NULL), -EBADMSG);
}

static void state_answers(void **state) {
        static const char answer[] = "1\n# be_id be_name srv_id srv_name srv_admin_state srv_check_state\n"
                                     "3 b 1 s1 8 6\n3 b 2 s2 0 0\n3 b 3 s3 0 2\n\n";
        HaproxyServer s = { 0 };

        (void)state;
        assert_int_equal(haproxy_parse_state(answer, "b/s1", &s, NULL), 0);
        assert_int_equal(s.admin, 8);
        assert_true(s.checked);
        assert_int_equal(haproxy_parse_state(answer, "b/s2", &s, NULL), 0);
        assert_int_equal(s.admin, 0);
        assert_false(s.checked);
        assert_int_equal(haproxy_parse_state(answer, "b/s3", &s, NULL), 0);
        assert_false(s.checked); /* a check that is switched off */
        assert_int_equal(haproxy_parse_state(answer, "a/s1", &s, NULL), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stat_answers),
                cmocka_unit_test(state_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
