/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "evidence/changelog.h"
#include "evidence/dpkg.h"
#include "evidence/dpkglog.h"
#include "evidence/read.h"
#include "evidence/tracker.h"
#include "evidence/upgrades.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static FileBytes text_of(const char *s) {
        FileBytes f;

        assert_int_equal(file_dup(s, strlen(s), &f, NULL), 0);
        return f;
}

static void changelog(void **state) {
        static const char text[] =
                "openssl (3.0.2-1) stable-security; urgency=high\n\n"
                "  * CVE-2024-0001: x. Also cve-2024-0002,CVE-2024-0001\n"
                "    (not CVE-24-1, CVE-2024-123, XCVE-2024-00031)\n\n"
                " -- A B <a@example.org>  Sat, 07 Mar 2026 13:15:41 +0100\r\n\n"
                "not a head\n  * CVE-2024-7777\n\n"
                "openssl (3.0.1-1+b1) stable; urgency=low, binary-only=yes\n\n"
                "  * Rebuilt.\n\n -- A B <a@example.org>  Foo, 07 Bar 2026 13:15:41 +0100\n"
                "openssl (3.0.0 1) x; y=z\n  * CVE-2020-9999\n";
        FileBytes f = text_of(text);
        Arena *a = arena_new();
        Changelog c;

        (void)state;
        assert_int_equal(changelog_parse("t", &f, a, &c, NULL), 0);
        assert_int_equal(c.n, 2);
        assert_string_equal(c.entries[0].source, "openssl");
        assert_string_equal(c.entries[0].version, "3.0.2-1");
        assert_int_equal(c.entries[0].time_sec, 1772885741); /* date -d '2026-03-07 12:15:41 UTC' +%s */
        assert_int_equal(c.entries[0].n_cves, 2);
        assert_string_equal(c.entries[0].cves[0], "CVE-2024-0001");
        assert_string_equal(c.entries[0].cves[1], "CVE-2024-0002");
        assert_string_equal(c.entries[1].version, "3.0.1-1+b1");
        assert_int_equal(c.entries[1].n_cves, 0);
        assert_int_equal(c.entries[1].time_sec, 0);
        file_release(&f);
        arena_free(a);
}

static void status(void **state) {
        FileBytes f = text_of(
                "Package: b\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1+b1\n"
                "Source: s (1)\nDescription: x\n Package: c\n\n"
                "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
                "Package: half\nStatus: install ok half-installed\nArchitecture: amd64\nVersion: 1\n\n"
                "package: a\nversion: 2\nstatus: hold ok triggers-pending\narchitecture: all");
        Arena *a = arena_new();
        Dpkg d = { .arena = a };

        (void)state;
        assert_int_equal(dpkg_parse_status("t", &f, a, &d.packages, &d.n, NULL), 0);
        assert_int_equal(d.n, 2);
        assert_string_equal(dpkg_package(&d, "b", NULL)->source, "s");
        assert_string_equal(dpkg_package(&d, "b", "amd64")->source_version, "1");
        assert_string_equal(dpkg_package(&d, "a", "all")->source_version, "2");
        assert_null(dpkg_package(&d, "b", "i386"));
        assert_null(dpkg_package(&d, "half", NULL));
        file_release(&f);
        arena_free(a);
}

static void dpkg_log(void **state) {
        FileBytes f =
                text_of("2026-01-31 03:00:01 upgrade l:amd64 1 2\n"
                        "2026-01-31 03:00:01 status unpacked l:amd64 1\n"
                        "2026-01-31 03:00:02 status unpacked l:i386 2\n"
                        "2026-01-31 03:00:04 status unpacked l:amd64 2\n"
                        "2026-01-31 03:00:04 upgrade l:amd64 2 3\n"
                        "2026-01-31 03:00:06 status unpacked l:amd64 3\n"
                        "2026-10-25 02:30:00 install l:amd64 <none> 4\n" /* an hour that there is twice */
                        "2026-10-25 02:30:01 status unpacked l:amd64 4\n"
                        "rubbish\n2026-13-01 00:00:00 upgrade l:amd64 3 5\n");
        Arena *a = arena_new();
        DpkgLog log = { 0 };
        const int64_t begin = 1769824801; /* date -d '2026-01-31 03:00:01 +0100' +%s */

        (void)state;
        setenv("TZ", "Europe/Berlin", 1);
        tzset();
        assert_int_equal(dpkglog_parse("t", &f, a, &log, NULL), 0);
        assert_int_equal(log.n, 2);
        assert_null(dpkglog_at(&log, "l", "amd64", begin - 1));
        assert_string_equal(dpkglog_at(&log, "l", "amd64", begin), "2");
        assert_string_equal(dpkglog_at(&log, "l", "amd64", begin + 2), "2");
        assert_null(dpkglog_at(&log, "l", "amd64", begin + 3)); /* of which of both? */
        assert_string_equal(dpkglog_at(&log, "l", "amd64", begin + 4), "3");
        assert_null(dpkglog_at(&log, "l", "i386", begin));
        assert_null(dpkglog_at(&log, "m", "amd64", begin));
        file_release(&f);
        arena_free(a);
}

static void tracker(void **state) {
        FileBytes f = text_of(
                "VERSION 1\nCVE-1,,a\nCVE-2,,b, c\n\ns,0,SHRF,2.0,1.0-2 1.0-3\nb,1,B ? ,3,9\ns,1,S   ,,\n\n"
                "s,b\n\n");
        Arena *a = arena_new();
        Tracker t;
        size_t from, n;
        Error e;

        (void)state;
        assert_int_equal(tracker_parse("t", &f, a, &t, &e), 0);
        tracker_of(&t, "s", &from, &n);
        assert_int_equal(n, 2);
        assert_string_equal(t.entries[from].cve, "CVE-1");
        assert_true(t.entries[from].available);
        assert_true(tracker_vulnerable(&t.entries[from], "1.0-1"));
        assert_false(tracker_vulnerable(&t.entries[from], "1.0-2"));
        assert_true(tracker_vulnerable(&t.entries[from], "1.0-4"));
        assert_false(tracker_vulnerable(&t.entries[from], "2.0"));
        assert_true(tracker_vulnerable(&t.entries[from + 1], "99"));
        tracker_of(&t, "b", &from, &n);
        assert_true(t.entries[from].binary && tracker_vulnerable(&t.entries[from], "2.9"));
        assert_false(tracker_vulnerable(&t.entries[from], "3"));
        assert_true(tracker_names(&t, "CVE-2"));
        assert_false(tracker_names(&t, "CVE-3"));
        file_release(&f);

        f = text_of("VERSION 1\nCVE-1,,a\n\ns,1,S   ,,\n\n\n"); /* no such name */
        assert_int_equal(tracker_parse("t", &f, a, &t, &e), -EINVAL);
        assert_non_null(strstr(e.text, "t:4:"));
        file_release(&f);
        f = text_of("VERSION 1\nCVE-1,,a\n\ns,0,S   ,,\n"); /* cut short */
        assert_int_equal(tracker_parse("t", &f, a, &t, &e), -EINVAL);
        file_release(&f);
        arena_free(a);
}

static void upgrades(void **state) {
        static const char text[] =
                "Inst l [1-1] (1:2-1 Debian:12/x [amd64])\nInst m:i386 [1] (2 a, b [i386]) []\n"
                "Inst new (2 a [all])\nConf l (1:2-1 a [amd64])\nInst bad [1 (2";
        Arena *a = arena_new();
        Upgrades u;

        (void)state;
        assert_int_equal(upgrades_parse(text, strlen(text), a, &u, NULL), 0);
        assert_int_equal(u.n, 2);
        assert_string_equal(u.items[0].name, "l");
        assert_string_equal(u.items[0].old, "1-1");
        assert_string_equal(u.items[0].new, "1:2-1");
        assert_string_equal(u.items[0].arch, "amd64");
        assert_string_equal(u.items[1].name, "m");
        assert_string_equal(u.items[1].arch, "i386");
        arena_free(a);
}

static void limits(void **state) {
        FileBytes f = { 0 }, cut;
        char *big = calloc(1, 3 << 20);
        Arena *a = arena_new();
        Changelog c;

        (void)state;
        assert_non_null(big);
        for (size_t i = 0; i < (3 << 20) - 64; i += 32)
                memcpy(big + i, i ? " CVE-2024-1000000               " : "a (1) b; c=d                   ",
                       31);
        for (size_t i = 31; i < (3 << 20) - 64; i += 32)
                big[i] = '\n';
        for (size_t i = 32, k = 0; i < (3 << 20) - 64; i += 32, k++)
                for (size_t d = 0, v = k; d < 7; d++, v /= 10)
                        big[i + 16 - d] = (char)('0' + v % 10);
        assert_int_equal(file_dup(big, strlen(big), &f, NULL), 0);
        assert_int_equal(changelog_parse("t", &f, a, &c, NULL), -E2BIG);
        file_release(&f);
        cut = text_of("\x1f\x8b\x08 cut short");
        assert_int_equal(inflate_bytes("t", &cut, 100, NULL), -EBADMSG);
        assert_null(cut.bytes);
        free(big);
        arena_free(a);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(changelog), cmocka_unit_test(status),
                                            cmocka_unit_test(dpkg_log),  cmocka_unit_test(tracker),
                                            cmocka_unit_test(upgrades),  cmocka_unit_test(limits) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
