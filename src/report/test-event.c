/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "report/event.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/test-event-XXXXXX";

static int emit(const char *message) {
        Error e = { 0 };

        return event_emit(&(Event){ .kind = EVENT_AGENT_STARTED, .time_usec = 1, .message = message }, file,
                          &e);
}

static void expect_lines(const char *const *ends, size_t n) {
        FileBytes f = { 0 };
        const char *at;

        assert_int_equal(file_read(file, 1 << 20, &f, NULL), 0);
        at = (const char *)f.bytes;
        for (size_t i = 0; i < n; i++) {
                const char *end = memchr(at, '\n', f.size - (size_t)(at - (const char *)f.bytes));

                assert_non_null(end);
                assert_non_null(memmem(at, (size_t)(end - at), ends[i], strlen(ends[i])));
                assert_null(memmem(at + 1, (size_t)(end - at) - 1, "{\"time\"", 7));
                at = end + 1;
        }
        assert_int_equal(at - (const char *)f.bytes, f.size);
        file_release(&f);
}

static void full_disk_leaves_no_half_line(void **state) {
        struct rlimit before, small;
        struct stat st;

        (void)state;
        assert_int_equal(emit("first"), 0);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        small = (struct rlimit){ (rlim_t)st.st_size + 10, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_true(emit("lost") < 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(emit("second"), 0);
        expect_lines((const char *const[]){ "\"first\"", "\"second\"" }, 2);
}

static void line_that_was_cut_off_is_ended(void **state) {
        (void)state;
        assert_int_equal(emit("first"), 0);
        assert_int_equal(truncate(file, 20), 0);
        assert_int_equal(emit("second"), 0);
        expect_lines((const char *const[]){ "{\"time\"", "\"second\"" }, 2);
}

static void several_values(void **state) {
        const EventField fields[] = { { "STAUNCH_PACKAGE", "one" },
                                      { EVENT_CVE, "CVE-2099-1" },
                                      { "STAUNCH_PACKAGE", "two" },
                                      { EVENT_CVE, "CVE-2099-2" } };
        char *line =
                event_json(&(Event){ .kind = EVENT_AGENT_STARTED, .message = "m", .fields = fields, .n = 4 });

        (void)state;
        assert_non_null(strstr(line, "\"STAUNCH_PACKAGE\":\"one two\""));
        assert_non_null(strstr(line, "\"STAUNCH_CVE\":[\"CVE-2099-1\",\"CVE-2099-2\"]"));
        free(line);
}

static int set_up(void **state) {
        (void)state;
        return truncate(file, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(full_disk_leaves_no_half_line, set_up),
                cmocka_unit_test_setup(line_that_was_cut_off_is_ended, set_up),
                cmocka_unit_test(several_values),
        };
        int fd, r;

        if (access("/run/systemd/journal/socket", F_OK) == 0) {
                puts("events go to the journal here, and not to a file");
                return 77;
        }
        signal(SIGXFSZ, SIG_IGN);
        fd = mkstemp(file);
        if (fd < 0)
                return 1;
        close(fd);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(file);
        return r;
}
