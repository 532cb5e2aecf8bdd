/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/fault.h"
#include "apply/guardian.h"
#include "apply/test-support.h"
#include "base/macro.h"
#include "proc/arrival.h"

#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* movabs $import, %rax; jmp *%rax */
static const uint8_t imported[] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };

static void apply_revert(void **state) {
        const char *const args[][2] = {
                { NULL, NULL }, { "w2", NULL }, { "s64", NULL }, { "m1", NULL }, { "s20", "b2" }
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(args); i++) {
                Victim v = victim_start_with(args[i][0], args[i][1]);
                Patch *p = patch_simple(code_two, 2);
                EngineResult res;
                ProcessPatch *patches;
                size_t n;
                int second = 0;
                Error e;

                assert_int_equal(victim_ask(&v, "call", &second), 1);
                assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                assert_int_equal(n, 0);
                for (int k = 0; k < 3; k++) {
                        assert_int_equal(victim_apply(&v, p, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", &second), 2);
                        assert_int_equal(second, 2);
                        assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                        assert_int_equal(n, 1);
                        assert_int_equal(patches[0].state, PATCH_STATE_ACTIVE);
                        assert_int_equal(patches[0].sites_intact, 4); /* two entries, two words */
                        assert_int_equal(victim_ask(&v, "tables", &second), 2);
                        assert_int_equal(second, 2);
                        free(patches);
                        assert_int_equal(victim_revert(&v, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", &second), 1);
                        assert_int_equal(second, 1);
                }
                if (!args[i][0]) /* the workers count, too, and do not wait for one another */
                        assert_int_equal(victim_ask(&v, "counter", &second), 14);
                assert_int_equal(victim_ask(&v, "check", &second), 0);
                victim_stop(&v);
        }
}

static uint64_t time_of_patch(const Victim *v) {
        ProcessPatch *patches;
        size_t n;
        uint64_t sec;
        Error e;

        assert_int_equal(engine_status(v->pid, &patches, &n, &e), 0);
        assert_int_equal(n, 1);
        sec = patches[0].time_sec;
        free(patches);
        return sec;
}

/* Since when it is there counts from the last time that it was put in. */
static void put_in_again(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_simple(code_two, 2);
        EngineResult res;
        uint64_t first, begin;

        (void)state;
        assert_int_equal(victim_apply(&v, p, &res), 0);
        first = time_of_patch(&v);
        assert_int_equal(victim_revert(&v, &res), 0);
        while ((uint64_t)time(NULL) <= first + 1)
                clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME,
                                &(struct timespec){ .tv_sec = (time_t)first + 2 }, NULL);
        begin = (uint64_t)time(NULL);
        assert_int_equal(time_of_patch(&v), first);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_in_range(time_of_patch(&v), begin, (uint64_t)time(NULL));
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

static void replace(void **state) {
        Victim v = victim_start_with("w1", NULL);
        Patch *p2 = patch_simple(code_two, 2), *p3 = patch_simple(code_three, 3);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_apply(&v, p2, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(victim_apply(&v, p3, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 3);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

/* Several engines put patches into one process and take them out: it is of one version at any time. */
static void two_at_once(void **state) {
        enum { ENGINES = 3, ROUNDS = 40 };
        Victim v = victim_start_with("w2", NULL);
        Patch *p[2] = { patch_simple(code_two, 2), patch_simple(code_three, 3) };
        pid_t engines[ENGINES];
        EngineResult res;
        int status;

        (void)state;
        for (int i = 0; i < ENGINES; i++) {
                engines[i] = fork();
                if (engines[i] == 0) {
                        for (int k = 0; k < ROUNDS; k++)
                                if (victim_apply(&v, p[(i + k) % 2], &res) < 0 || victim_revert(&v, &res) < 0)
                                        _exit(1);
                        guardian_end();
                        _exit(0);
                }
        }
        for (int i = 0; i < ENGINES; i++) {
                assert_int_equal(waitpid(engines[i], &status, 0), engines[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(victim_apply(&v, p[0], &res), 0);
        assert_int_equal(victim_ask(&v, "call", &status), 2);
        assert_int_equal(status, 2);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", &status), 1);
        assert_int_equal(status, 1);
        assert_int_equal(victim_ask(&v, "check", NULL), 0);
        victim_stop(&v);
}

static void busy_function_is_waited_for(void **state) {
        const Replacement r = { "hold", code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter", NULL, -4 };
        const EngineOptions options = { .deadline_usec = 50000 };
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_make(&r, 1, 4);
        const Patch *patches[] = { p };
        EngineResult res;
        Error e;

        (void)state;
        assert_int_equal(victim_ask(&v, "hold", NULL), 0);
        while (victim_ask(&v, "counter", NULL) == 0)
                ; /* the new thread is not inside yet */
        assert_int_equal(engine_apply(v.pid, patches, 1, &options, &res, &e), ENGINE_REFUSED);
        assert_true(res.refusal == REFUSAL_CODE_PROCESS_BUSY || res.refusal == REFUSAL_CODE_UNWIND_FAILED);
        assert_string_equal(res.subject, "hold");
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        victim_stop(&v);
}

/* Tries at fixed pauses, ever 100 ms, would be more by the time that it first leaves. */
static void thread_is_met_as_it_leaves(void **state) {
        const Replacement r = { "linger", code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter", NULL, -4 };
        const EngineOptions options = { .deadline_usec = 60000000 };
        Victim v = victim_start_with(NULL, NULL);
        const Patch *patches[] = { patch_make(&r, 1, 6) };
        Arrival a = arrival_watch(v.pid, 0x1000);
        EngineResult res;
        Error e;

        (void)state;
        if (a.fd < 0) {
                victim_stop(&v);
                print_message("no hardware breakpoint to be had\n");
                skip();
        }
        arrival_end(&a);
        assert_int_equal(victim_ask(&v, "linger", NULL), 0);
        while (victim_ask(&v, "counter", NULL) == 0)
                ; /* the new thread is not inside yet */
        assert_int_equal(engine_apply(v.pid, patches, 1, &options, &res, &e), 0);
        assert_in_range(res.attempts, 4, 15);
        victim_stop(&v);
}

static void imports_are_bound(void **state) {
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "getppid", 0 };
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_apply(&v, patch_make(&r, 1, 5), &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), getpid());
        victim_stop(&v);
}

/* A definition of another version, between several of which a function of its library chooses, is none:
 * nobody is called. */
static void another_version_is_not_chosen(void **state) {
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "strpbrk", 0 };
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_make(&r, 1, 6);
        EngineResult res;

        (void)state;
        p->imports[0].version = "GLIBC_0.0";
        p->imports[0].weak = true;
        patch_seal(p);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(apply_revert),
                cmocka_unit_test(put_in_again),
                cmocka_unit_test(replace),
                cmocka_unit_test(two_at_once),
                cmocka_unit_test(busy_function_is_waited_for),
                cmocka_unit_test(thread_is_met_as_it_leaves),
                cmocka_unit_test(imports_are_bound),
                cmocka_unit_test(another_version_is_not_chosen),
        };

        if (argc < 2)
                return 2;
        victim_path = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
