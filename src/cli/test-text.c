/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/report.h"
#include "cli/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void foreign_text_is_shown_safely(void **state) {
        static const struct {
                const char *raw, *shown;
        } cases[] = {
                { "plain_name", "plain_name" },
                { "", "" },
                { "a\033[31mb", "a\\x1b[31mb" },
                { "line\nline\ttab\r", "line\\x0aline\\x09tab\\x0d" },
                { "\x7f", "\\x7f" },
                { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
                { "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
                { "\xc2\x9b"
                  "31m",
                  "\\xc2\\x9b31m" },                            /* C1 control */
                { "\xe2\x80\xae", "\\xe2\\x80\\xae" },          /* turns the direction */
                { "\xc0\xaf", "\\xc0\\xaf" },                   /* overlong */
                { "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },          /* overlong */
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* surrogate */
                { "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" }, /* beyond Unicode */
                { "cut \xe2\x82", "cut \\xe2\\x82" },
                { "\xff\xfe", "\\xff\\xfe" },
        };
        _cleanup_(arena_freep) Arena *a = arena_new();

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(text_safe(a, cases[i].raw), cases[i].shown);
}

/* What `print` writes, in memory. */
static char *printed(void (*print)(FILE *to, Arena *a), Arena *a) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        print(f, a);
        fclose(f);
        return text;
}

static void print_table(FILE *to, Arena *a) {
        Table t;

        table_init(&t, a, 3);
        t.right[1] = true;
        table_cell(&t, COLOUR_BOLD, "NAME");
        table_cell(&t, COLOUR_BOLD, "N");
        table_cell(&t, COLOUR_BOLD, "WHY");
        for (int i = 0; i < 100; i++) { /* more than the first room */
                table_cell(&t, COLOUR_NONE, i ? "x" : "gr\xc3\xbc\xc3\x9f\x1b");
                table_cell(&t, COLOUR_BAD, "%d", i * 10);
                table_cell(&t, COLOUR_NONE, "%s", "");
        }
        table_print(&t, to);
}

static void columns_line_up(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        _cleanup_(freep) char *text = printed(print_table, a);
        size_t lines = 0;

        (void)state;
        assert_int_equal(
                strncmp(text, "NAME        N  WHY\ngr\xc3\xbc\xc3\x9f\\x1b    0  \nx          10  \n", 52),
                0);
        for (const char *p = text; (p = strchr(p, '\n')); p++)
                lines++;
        assert_int_equal(lines, 101);
        assert_null(strchr(text, '\033')); /* no terminal: no colour, and none from the cells */
}

static void print_wrapped(FILE *to, Arena *a) {
        (void)a;
        text_wrap(to,
                  "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
                  "sixteen "
                  "seventeen eighteen",
                  4);
}

static void long_text_is_wrapped(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        _cleanup_(freep) char *text = printed(print_wrapped, a);

        (void)state;
        for (const char *p = text, *end; *p; p = end + 1) {
                end = strchr(p, '\n');
                assert_non_null(end);
                assert_true(end - p <= 100 && strncmp(p, "    ", 4) == 0 && p[4] != ' ');
        }
}

static void durations(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();

        (void)state;
        assert_string_equal(text_duration(a, 0), "0 us");
        assert_string_equal(text_duration(a, 999), "999 us");
        assert_string_equal(text_duration(a, 1000), "1.0 ms");
        assert_string_equal(text_duration(a, 1234567), "1.23 s");
}

static void reasons_fit_one_line(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        Verdict v;

        (void)state;
        verdict_init(&v, a);
        assert_string_equal(report_reason(&v, a), "");
        verdict_add(&v, REFUSAL_CODE_STARTUP_ONLY, "main", "%s", "");
        assert_string_equal(report_reason(&v, a), ""); /* advice is no reason */
        verdict_add(&v, REFUSAL_CODE_LAYOUT_CHANGED, "struct s", "size 8 -> 16");
        assert_string_equal(report_reason(&v, a), "layout-changed: struct s (size 8 -> 16)");
        verdict_add(&v, REFUSAL_CODE_TLS_CHANGED, "TLS", "%s", "");
        verdict_add(&v, REFUSAL_CODE_LAYOUT_CHANGED, "struct t", "%s", "");
        verdict_add(&v, REFUSAL_CODE_TLS_CHANGED, "other", "%s", "");
        assert_string_equal(report_reason(&v, a),
                            "layout-changed: struct s (size 8 -> 16) and 1 more; tls-changed");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(foreign_text_is_shown_safely), cmocka_unit_test(columns_line_up),
                cmocka_unit_test(long_text_is_wrapped),         cmocka_unit_test(durations),
                cmocka_unit_test(reasons_fit_one_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
