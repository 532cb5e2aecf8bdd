/* SPDX-License-Identifier: Apache-2.0 */
/* A named fault at every step of a switch: afterwards the target runs old or new code entirely. */
#include "apply/fault.h"
#include "apply/guardian.h"
#include "apply/test-support.h"
#include "base/macro.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static Patch *two, *three;

/* Nothing is traced or stopped, both functions are of one version, and status agrees. */
static void check_whole(Victim *v, const char *name) {
        ProcessPatch *patches;
        int a, b = -1, active = 1;
        size_t n;
        Error e;

        a = victim_ask(v, "call", &b);
        if (a != b || a < 1 || a > 3)
                fail_msg("fault %s: answers are %d and %d", name, a, b);
        victim_ask(v, "tables", &b);
        if (victim_ask(v, "tables", NULL) != a || b != a)
                fail_msg("fault %s: answer is %d, and the tables lead to %d", name, a, b);
        assert_int_equal(engine_status(v->pid, &patches, &n, &e), 0);
        for (size_t i = 0; i < n; i++) {
                if (patches[i].state == PATCH_STATE_SWITCHING)
                        fail_msg("fault %s: still switching", name);
                if (patches[i].state == PATCH_STATE_ACTIVE) {
                        active = memcmp(patches[i].digest, two->digest, 32) == 0 ? 2 : 3;
                        assert_int_equal(patches[i].sites_intact, patches[i].sites);
                }
        }
        free(patches);
        if (active != a)
                fail_msg("fault %s: patch %d is active, and the answer is %d", name, active, a);
        assert_int_equal(victim_ask(v, "check", NULL), 0); /* no worker saw anything else */
}

typedef enum Step { STEP_APPLY, STEP_REPLACE, STEP_REVERT, STEPS } Step;

static int do_step(Victim *v, Step step) {
        const Patch *patches[] = { step == STEP_REPLACE ? three : two };
        EngineResult res;
        Error e;

        return step == STEP_REVERT ? engine_revert(v->pid, NULL, NULL, &res, &e)
                                   : engine_apply(v->pid, patches, 1, NULL, &res, &e);
}

static void provoke(FaultKind kind) {
        for (size_t i = 0; fault_names[i]; i++)
                for (Step step = 0; step < STEPS; step++) {
                        Victim v = victim_start_with("w2", NULL);
                        EngineResult res;
                        int status, r;
                        pid_t front;

                        if (step != STEP_APPLY)
                                assert_int_equal(victim_apply(&v, two, &res), 0);
                        guardian_end();
                        /* The front end is a child, so that it can be killed. */
                        front = fork();
                        if (front == 0) {
                                fault_set(fault_names[i], kind);
                                r = do_step(&v, step);
                                guardian_end();
                                _exit(r < 0 ? 10 : r ? 11 : 0);
                        }
                        assert_int_equal(waitpid(front, &status, 0), front);
                        if (kind == FAULT_ERROR || kind == FAULT_KILL_GUARDIAN)
                                assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 11);
                        /* The guardian of a killed front end may be at work: the next command waits for it,
                         * and repairs what is left. */
                        assert_int_equal(victim_apply(&v, three, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", NULL), 3);
                        check_whole(&v, fault_names[i]);
                        assert_int_equal(victim_revert(&v, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", NULL), 1);
                        check_whole(&v, fault_names[i]);
                        victim_stop(&v);
                }
}

/* As above, but the state is looked at before anything else touches the process. */
static void provoke_and_look(FaultKind kind, const char *how) {
        for (size_t i = 0; fault_names[i]; i++)
                for (Step step = 0; step < STEPS; step++) {
                        Victim v = victim_start_with("w2", how);
                        EngineResult res;

                        if (step != STEP_APPLY)
                                assert_int_equal(victim_apply(&v, two, &res), 0);
                        guardian_end();
                        fault_set(fault_names[i], kind);
                        do_step(&v, step);
                        fault_set(NULL, FAULT_NONE);
                        check_whole(&v, fault_names[i]);
                        guardian_end();
                        victim_stop(&v);
                }
}

/* An error, and the guardian is killed while it undoes what it did; and killed where a step happens for the
 * second time. */
static void killed_in_the_undo(void **state) {
        (void)state;
        for (size_t i = 0; fault_names[i]; i++)
                for (size_t k = 0;
                     strncmp(fault_names[i], "switch-", 7) == 0 && (k == 0 || fault_undo_names[k - 1]); k++)
                        for (Step step = 0; step < STEPS; step++) {
                                const char *then = k ? fault_undo_names[k - 1] : fault_names[i];
                                Victim v = victim_start_with("w2", NULL);
                                EngineResult res;
                                char name[64];

                                snprintf(name, sizeof(name), "%s, then %s (%d)", fault_names[i], then,
                                         (int)step);
                                if (step != STEP_APPLY)
                                        assert_int_equal(victim_apply(&v, two, &res), 0);
                                guardian_end();
                                fault_set(fault_names[i], k ? FAULT_ERROR : FAULT_NONE);
                                fault_then(then, FAULT_KILL_GUARDIAN);
                                do_step(&v, step);
                                fault_set(NULL, FAULT_NONE);
                                check_whole(&v, name);
                                guardian_end();
                                victim_stop(&v);
                        }
}

static void error_is_undone(void **state) {
        (void)state;
        provoke_and_look(FAULT_ERROR, NULL);
}

static void killed_guardian_is_repaired(void **state) {
        (void)state;
        provoke_and_look(FAULT_KILL_GUARDIAN, NULL);
}

/* It catches the signals that a chain could end with: each call is made by itself. */
static void without_a_chain(void **state) {
        (void)state;
        provoke_and_look(FAULT_ERROR, "u");
        provoke_and_look(FAULT_KILL_GUARDIAN, "u");
}

/* A thread that is in the middle of a chain, or before or behind it, when the guardian is killed: it goes on
 * as if nothing had been. The only thread of a process, and it runs. */
static void chain_puts_registers_back(void **state) {
        static const char *const names[] = { "stage-reserved", "chain-pair", "chain-stopped", "chain-map",
                                             "stage-done" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Victim v = victim_start_with(NULL, NULL);
                const Patch *patches[] = { two };
                int rounds = 0;
                EngineResult res;
                Error e;

                assert_int_equal(victim_ask(&v, "spin", NULL), 0);
                guardian_end();
                fault_set(names[i], FAULT_KILL_GUARDIAN);
                assert_true(engine_apply(v.pid, patches, 1, NULL, &res, &e) < 0);
                fault_set(NULL, FAULT_NONE);
                if (victim_ask(&v, "spun", &rounds) != 0 || rounds < 1)
                        fail_msg("fault %s: registers changed, or the thread is lost", names[i]);
                assert_int_equal(victim_ask(&v, "spin", NULL), 0);
                assert_int_equal(victim_apply(&v, two, &res), 0);
                assert_int_equal(victim_ask(&v, "spun", NULL), 0);
                check_whole(&v, names[i]);
                guardian_end();
                victim_stop(&v);
        }
}

static void killed_front_end_changes_nothing(void **state) {
        (void)state;
        provoke(FAULT_KILL_FRONT);
}

static void both_killed_is_repaired_by_the_next(void **state) {
        (void)state;
        provoke(FAULT_KILL_BOTH);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(error_is_undone),
                cmocka_unit_test(killed_guardian_is_repaired),
                cmocka_unit_test(killed_in_the_undo),
                cmocka_unit_test(without_a_chain),
                cmocka_unit_test(chain_puts_registers_back),
                cmocka_unit_test(killed_front_end_changes_nothing),
                cmocka_unit_test(both_killed_is_repaired_by_the_next),
        };

        if (argc < 2)
                return 2;
        victim_path = argv[1];
        two = patch_simple(code_two, 2);
        three = patch_simple(code_three, 3);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
