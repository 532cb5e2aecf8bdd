/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that use what the kernel offers and few ask for: each is patched and reverted, or refused with a
 * code and left as it was. */
#include "apply/test-support.h"
#include "base/macro.h"
#include "proc/maps.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Habit {
        const char *command;
        RefusalCode refusal; /* REFUSAL_N: none */
} Habit;

static size_t mappings(pid_t pid) {
        Maps maps;
        size_t n;
        Error e;

        assert_int_equal(maps_read(pid, &maps, &e), 0);
        n = maps.n;
        maps_free(&maps);
        return n;
}

static void patched_or_refused(void **state) {
        static const Replacement r = { "answer", code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter",
                                       NULL,     -4 };
        const Habit *habit = *state;
        Victim v = victim_start_with(NULL, NULL);
        ProcessPatch *patches;
        EngineResult res;
        size_t before, n;
        Error e;

        if (victim_ask(&v, habit->command, NULL) < 0) {
                victim_stop(&v);
                print_message("%s: not here\n", habit->command);
                skip();
        }
        before = mappings(v.pid);
        if (habit->refusal < REFUSAL_N) {
                assert_int_equal(victim_apply(&v, patch_make(&r, 1, 2), &res), ENGINE_REFUSED);
                assert_int_equal(res.refusal, habit->refusal);
                assert_int_equal(mappings(v.pid), before);
        } else {
                assert_int_equal(victim_apply(&v, patch_make(&r, 1, 2), &res), 0);
                assert_int_equal(victim_ask(&v, "call", NULL), 2);
                assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                assert_int_equal(n, 1);
                assert_int_equal(patches[0].sites_intact, 1);
                free(patches);
                assert_int_equal(victim_revert(&v, &res), 0);
        }
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

/* A thread is in a restartable sequence of the replaced function for most of its time. */
static void sequence_is_whole(void **state) {
        static const Replacement r = { "in_sequence", code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter",
                                       NULL,          -4 };
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_make(&r, 1, 3);
        EngineResult res;

        (void)state;
        if (victim_ask(&v, "sequences", NULL) < 0) {
                victim_stop(&v);
                print_message("no restartable sequences here\n");
                skip();
        }
        for (int i = 0; i < 3; i++) {
                assert_int_equal(victim_apply(&v, p, &res), 0);
                assert_int_equal(victim_ask(&v, "sequences", NULL), 2);
                assert_int_equal(victim_revert(&v, &res), 0);
                assert_int_equal(victim_ask(&v, "sequences", NULL), 1);
        }
        victim_stop(&v);
}

int main(int argc, char **argv) {
        static Habit habits[] = {
                { "undumpable", REFUSAL_N },
                { "no data", REFUSAL_N },
                { "no space", REFUSAL_CODE_NO_ROOM },
                { "no signals", REFUSAL_N },
                { "sealed", REFUSAL_N },
                { "dispatched", REFUSAL_CODE_PROCESS_SECCOMP },
                { "polled ring", REFUSAL_N },
                { "huge stack", REFUSAL_N },
                { "protected stack", REFUSAL_N },
                { "guarded stacks", REFUSAL_N },
                { "no vdso", REFUSAL_N },
                { "text moved", REFUSAL_CODE_IMAGE_UNUSUAL },
                { "first of text moved", REFUSAL_CODE_IMAGE_UNUSUAL },
                { "readable is executable", REFUSAL_CODE_IMAGE_UNUSUAL },
                { "nobody's namespace", REFUSAL_N },
        };
        struct CMUnitTest tests[ELEMENTSOF(habits) + 1] = { cmocka_unit_test(sequence_is_whole) };

        if (argc < 6)
                return 2;
        victim_path = argv[5];
        for (size_t i = 0; i < ELEMENTSOF(habits); i++)
                tests[1 + i] = (struct CMUnitTest){ .name = habits[i].command,
                                                    .test_func = patched_or_refused,
                                                    .initial_state = &habits[i] };
        return _cmocka_run_group_tests("kernel", tests, ELEMENTSOF(tests), NULL, NULL);
}
