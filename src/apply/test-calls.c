/* SPDX-License-Identifier: Apache-2.0 */
/* No system call of the target fails or returns EINTR because of an apply, a revert or a status. */
#include "apply/test-support.h"
#include "proc/task.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Patch *patch;

/* Waits until every thread of the process sleeps. */
static void settle(pid_t pid) {
        for (bool all = false; !all; usleep(1000)) {
                pid_t *tids = NULL;
                TaskStat st;
                size_t n = 0;

                assert_int_equal(task_threads(pid, &tids, &n), 0);
                all = true;
                for (size_t i = 0; i < n; i++)
                        all &= task_stat(tids[i], &st) == 0 && st.state == 'S';
                free(tids);
        }
}

static void in_other_threads(void **state) {
        char path[4096];
        char *argv[] = { path, NULL };
        EngineResult res;
        ProcessPatch *patches;
        size_t n;
        Victim v;
        Error e;

        (void)state;
        snprintf(path, sizeof(path), "%s", victim_path);
        v = victim_start(argv);
        for (int i = 0; i < 5; i++) {
                settle(v.pid);
                assert_int_equal(victim_apply(&v, patch, &res), 0);
                assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                assert_int_equal(n, 1);
                free(patches);
                assert_int_equal(victim_ask(&v, "check", NULL), 0);
                settle(v.pid);
                assert_int_equal(victim_revert(&v, &res), 0);
                assert_int_equal(victim_ask(&v, "check", NULL), 0);
        }
        victim_stop(&v);
}

/* The thread that makes the system calls that stage the patch is in the call itself. */
static void in_the_staging_thread(void **state) {
        char path[4096], which[16];
        char *argv[] = { path, which, NULL };
        char *all[] = { path, NULL };
        int count;
        Victim v;

        (void)state;
        snprintf(path, sizeof(path), "%s", victim_path);
        v = victim_start(all);
        count = victim_ask(&v, "count", NULL);
        victim_stop(&v);
        assert_true(count > 40);
        for (int i = 0; i < count; i++) {
                EngineResult res;
                char c;

                snprintf(which, sizeof(which), "%d", i);
                v = victim_start(argv);
                for (int k = 0; k < 2; k++) {
                        settle(v.pid);
                        assert_int_equal(victim_apply(&v, patch, &res), 0);
                        assert_int_equal(victim_revert(&v, &res), 0);
                }
                settle(v.pid);
                /* nothing was printed: the call has not returned */
                assert_int_equal(fcntl(fileno(v.from), F_SETFL, O_NONBLOCK), 0);
                if (fread(&c, 1, 1, v.from) == 1) {
                        char rest[64] = { c };

                        if (!fgets(rest + 1, sizeof(rest) - 1, v.from))
                                rest[1] = 0;
                        fail_msg("call returned: %s", rest);
                }
                victim_stop(&v);
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(in_other_threads),
                cmocka_unit_test(in_the_staging_thread),
        };
        const Replacement r = { "answer", code_two, 12, 2, R_X86_64_PC32, "counter", NULL, -4 };

        if (argc < 3)
                return 2;
        victim_path = argv[2];
        patch = patch_make(&r, 1, 2);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
