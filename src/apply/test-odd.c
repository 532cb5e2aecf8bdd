/* SPDX-License-Identifier: Apache-2.0 */
/* Processes with habits that few have. */
#include "apply/test-support.h"
#include "proc/task.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static Patch *one(const char *function, uint8_t id) {
        const Replacement r = { function, code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter", NULL, -4 };

        return patch_make(&r, 1, id);
}

static int try_for(pid_t pid, Patch *p, uint64_t usec, EngineResult *res) {
        const EngineOptions options = { .deadline_usec = usec };
        const Patch *patches[] = { p };
        Error e;

        return engine_apply(pid, patches, 1, &options, res, &e);
}

/* A worker of the kernel in the process makes a request: it is neither stopped nor used, and the request does
 * not fail. */
static void kernel_workers_are_left_alone(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;
        pid_t *tids;
        size_t n;

        (void)state;
        if (victim_ask(&v, "submit", NULL) < 0) {
                victim_stop(&v);
                print_message("no io_uring here\n");
                skip();
        }
        for (n = 0; n < 2; usleep(1000)) {
                assert_int_equal(task_threads(v.pid, &tids, &n), 0);
                free(tids);
        }
        assert_int_equal(victim_apply(&v, one("answer", 2), &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "reap", NULL), 1);
        victim_stop(&v);
}

/* The frame of a function lies in another mapping than the stack pointer. */
static void split_stack_is_followed(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = one("outer", 3);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_ask(&v, "outer", NULL), 0);
        while (victim_ask(&v, "counter", NULL) < 2)
                usleep(1000);
        assert_int_equal(try_for(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_BUSY);
        assert_string_equal(res.subject, "outer");
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(try_for(v.pid, p, 5000000, &res), 0);
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(kernel_workers_are_left_alone),
                cmocka_unit_test(split_stack_is_followed),
        };

        if (argc < 4)
                return 2;
        victim_path = argv[3];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
