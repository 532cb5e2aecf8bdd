/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crash.h"
#include "proc/list.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATCHED_SEC = 1000, WITHIN_SEC = 60 };
static const ProcessPatch patch = {
        .state = PATCH_STATE_ACTIVE, .low = 0x1000, .high = 0x2000, .time_sec = PATCHED_SEC
};

/* One crash of a process of its own, so long after it was patched. */
static bool crash_after(CrashBook *b, Witness w, uint64_t ip, int sec) {
        static pid_t pid = 100;
        const ProcessPatch *named;
        CrashPlace place;
        bool convicts;

        crash_note(b, &(Process){ .pid = ++pid }, w, &patch, 1);
        if (ip)
                crash_saw(b, pid, ip);
        place = crash_place(b, pid, &named);
        assert_non_null(named);
        convicts = crash_convicts(b, pid, named, place, (uint64_t)(PATCHED_SEC + sec) * 1000000,
                                  (uint64_t)WITHIN_SEC * 1000000);
        crash_forget(b, pid);
        return convicts;
}

static bool crash(CrashBook *b, Witness w, uint64_t ip) {
        return crash_after(b, w, ip, 1);
}

static void what_comes_late_is_of_something_else(void **state) {
        const Witness service = { .trusted = true, .user = 33 };
        CrashBook *b = crash_book_new();

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_false(crash_after(b, service, 0, WITHIN_SEC + 1 + i));
        assert_false(crash_after(b, service, 0, WITHIN_SEC));
        assert_false(crash_after(b, service, 0, -500)); /* the clock was put back */
        assert_true(crash_after(b, service, 0, 0));
        crash_book_free(b);
        b = crash_book_new();
        assert_true(crash_after(b, service, 0x1800, 1000000)); /* inside: whenever it comes */
        crash_book_free(b);
}

static void services_are_believed(void **state) {
        const Witness service = { .trusted = true, .user = 33 };
        CrashBook *b = crash_book_new();

        (void)state;
        assert_false(crash(b, service, 0x3000)); /* outside */
        assert_false(crash(b, service, 0));
        assert_false(crash(b, service, 0));
        assert_true(crash(b, service, 0)); /* the third of unknown place */
        crash_book_free(b);
        b = crash_book_new();
        assert_true(crash(b, service, 0x1fff));
        crash_book_free(b);
}

static void one_user_is_not_enough(void **state) {
        const Witness a = { .user = 1000 }, b = { .user = 1001 }, foreign = { .user = WITNESS_FOREIGN };
        CrashBook *book = crash_book_new();

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_false(crash(book, a, i % 2 ? 0x1800 : 0));
        assert_true(crash(book, b, 0)); /* what the first saw has a second witness */
        crash_book_free(book);
        book = crash_book_new();
        for (int i = 0; i < 10; i++) /* whoever is root in a container has users by the thousand */
                assert_false(crash(book, foreign, 0x1800));
        assert_true(crash(book, a, 0x1800));
        crash_book_free(book);
        book = crash_book_new();
        assert_false(crash(book, a, 0));
        assert_false(crash(book, b, 0));
        assert_true(crash(book, a, 0));
        crash_book_free(book);
}

static void names_that_look_like_lines(void **state) {
        uint64_t ip;
        pid_t pid;

        (void)state;
        assert_true(
                crash_parse_line("6,1,2,-;traps: [1] trap x[99] trap int3 ip:1234 sp:0 error:0", &pid, &ip));
        assert_int_equal(pid, 99);
        assert_int_equal(ip, 0x1234);
        assert_true(crash_parse_line("[1] trap x[99]: segfault at 0 ip 0000000000001234 sp 0 error 4", &pid,
                                     &ip));
        assert_int_equal(pid, 99);
}

static void witnesses(void **state) {
        int ready[2];
        char c;
        pid_t pid;

        (void)state;
        assert_true(witness_of(getpid(), "nginx.service").trusted);
        assert_int_equal(witness_of(getpid(), "docker-1.scope").trusted, getuid() < 1000);
        if (getuid() != 0)
                skip();
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                if (setuid(1234) == 0 && write(ready[1], "x", 1) == 1)
                        pause();
                _exit(1);
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        assert_false(witness_of(pid, "").trusted);
        assert_false(witness_of(pid, "user@1234.service").trusted);
        assert_int_equal(witness_of(pid, "session-1.scope").user, 1234);
        assert_true(witness_of(pid, "nginx.service").trusted);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_false(witness_of(pid, "nginx.service").trusted);
        close(ready[0]);
        close(ready[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(services_are_believed),
                cmocka_unit_test(what_comes_late_is_of_something_else),
                cmocka_unit_test(one_user_is_not_enough),
                cmocka_unit_test(names_that_look_like_lines),
                cmocka_unit_test(witnesses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
