/* SPDX-License-Identifier: Apache-2.0 */
#include "base/command.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHELL(text) ((const char *const[]){ "sh", "-c", text, NULL })

static void output_and_code(void **state) {
        const char *const environment[] = { "STAUNCH_TEST=seen", NULL };
        Command c = { .argv = SHELL("echo $STAUNCH_TEST; cat; echo one >&2; echo two words >&2; exit 7"),
                      .environment = environment };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        assert_int_equal(command_run(&c, &r, &e), 0);
        assert_int_equal(r.code, 7);
        assert_string_equal(r.output, "seen\n");
        assert_int_equal(r.n, 5);
        assert_string_equal(r.complaint, "two words");
        command_result_free(&r);
        assert_int_equal(command_must(&c, &r, &e), -EREMOTEIO);
        assert_string_equal(e.text, "sh ended with code 7: two words");
        assert_null(r.output);
        assert_null(getenv("STAUNCH_TEST"));
}

static void input_and_user(void **state) {
        Command c = { .argv = SHELL("cat; id -un; pwd; echo $HOME"), .input = "{}\n", .user = "nobody" };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(command_must(&c, &r, &e), 0);
        assert_string_equal(r.output, "{}\nnobody\n/\n/nonexistent\n");
        command_result_free(&r);
        c.user = "no-such-user";
        assert_int_equal(command_run(&c, &r, &e), -ENOENT);
        assert_string_equal(e.text, "sh: there is no user no-such-user");
}

static void much_output(void **state) {
        Command c = { .argv = SHELL("head -c 300000 /dev/zero | tr '\\0' x"), .output_max = 300000 };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        assert_int_equal(command_run(&c, &r, &e), 0);
        assert_int_equal(r.n, 300000);
        assert_int_equal(strspn(r.output, "x"), 300000);
        command_result_free(&r);
        c.output_max = 299999;
        assert_int_equal(command_run(&c, &r, &e), -E2BIG);
        c = (Command){ .argv = SHELL("while :; do echo y; done"), .output_max = 1000 };
        assert_int_equal(command_run(&c, &r, &e), -E2BIG);
}

/* What it started is ended with it: whoever holds the other end of the pipe is gone when read() sees the end.
 */
static void time_is_limited(void **state) {
        int p[2];
        char text[128], byte;
        Command c = { .argv = SHELL(text), .timeout_usec = 50000 };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        strcpy(text, "cat /dev/zero >/dev/null & wait");
        assert_int_equal(command_run(&c, &r, &e), -ETIME);
        assert_non_null(strstr(e.text, "did not end within 0.05 s"));
        assert_int_equal(pipe(p), 0);
        snprintf(text, sizeof(text), "exec 9>/proc/%d/fd/%d; cat /dev/zero >/dev/null & wait", getpid(),
                 p[1]);
        c.timeout_usec = 300000;
        assert_int_equal(command_run(&c, &r, &e), -ETIME);
        close(p[1]);
        assert_int_equal(read(p[0], &byte, 1), 0);
        close(p[0]);
}

static void memory_is_limited(void **state) {
        Command c = { .argv = SHELL("ulimit -v"), .memory_max = 1 << 30 };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        assert_int_equal(command_run(&c, &r, &e), 0);
        assert_string_equal(r.output, "1048576\n");
        command_result_free(&r);
}

static void not_there(void **state) {
        Command c = { .argv = (const char *const[]){ "/nonexistent/program", NULL } };
        CommandResult r;
        Error e = { 0 };

        (void)state;
        assert_int_equal(command_run(&c, &r, &e), -ENOENT);
        assert_non_null(strstr(e.text, "/nonexistent/program: No such file"));
}

/* A child of it that stays and holds the output open is not waited for; no file of the caller's is open in
 * it. */
static void what_it_leaves(void **state) {
        int fd = open("/dev/null", O_RDONLY); /* not CLOEXEC */
        char text[128];
        Command c = { .argv = SHELL(text) };
        CommandResult r;
        Error e = { 0 };
        pid_t left;

        (void)state;
        snprintf(text, sizeof(text), "test ! -e /proc/self/fd/%d || exit 9; sleep 1000 & echo $!", fd);
        assert_int_equal(command_run(&c, &r, &e), 0);
        assert_int_equal(r.code, 0);
        left = atoi(r.output);
        assert_true(left > 1);
        assert_int_equal(kill(left, SIGKILL), 0);
        command_result_free(&r);
        close(fd);
        c.argv = SHELL("kill -TERM $$");
        assert_int_equal(command_run(&c, &r, &e), 0);
        assert_int_equal(r.code, 128 + SIGTERM);
        command_result_free(&r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(output_and_code),   cmocka_unit_test(input_and_user),
                cmocka_unit_test(much_output),       cmocka_unit_test(time_is_limited),
                cmocka_unit_test(not_there),         cmocka_unit_test(what_it_leaves),
                cmocka_unit_test(memory_is_limited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
