/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/test-support.h"
#include "apply/fault.h"
#include "apply/guardian.h"
#include "base/macro.h"

#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* addl %edi, counter(%rip); mov $2, %eax; ret */
static const uint8_t two[] = { 0x01, 0x3d, 0, 0, 0, 0, 0xb8, 2, 0, 0, 0, 0xc3 };
static const uint8_t three[] = { 0x01, 0x3d, 0, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0xc3 };
/* movabs $import, %rax; jmp *%rax */
static const uint8_t imported[] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };

static Patch *make(const uint8_t code[12], uint8_t id) {
        const Replacement r[] = {
                { "answer", code, 12, 2, R_X86_64_PC32, "counter", NULL, -4 },
                { "caller", code, 12, 2, R_X86_64_PC32, "counter", NULL, -4 },
        };

        return patch_make(r, 2, id);
}

static void show(const char *what, int r, const EngineResult *res, const Error *e) {
        print_message("%s: %d %s %s %s %s threads %u pause %lu total %lu stage %lu attempts %u private %lu shared %lu\n",
                      what, r, r < 0 ? e->text : "", res->refusal < REFUSAL_N ? refusal_get(res->refusal)->code : "",
                      res->subject, res->detail, res->threads, res->pause_usec, res->pause_total_usec, res->stage_usec,
                      res->attempts, res->private_bytes, res->shared_bytes);
}

static int apply(Victim *v, Patch *p, EngineResult *res) {
        const Patch *patches[] = { p };
        Error e = { 0 };
        int r;

        *res = (EngineResult){ .refusal = REFUSAL_N };
        r = engine_apply(v->pid, patches, 1, NULL, res, &e);
        show("apply", r, res, &e);
        return r;
}

static int revert(Victim *v, EngineResult *res) {
        Error e = { 0 };
        int r;

        *res = (EngineResult){ .refusal = REFUSAL_N };
        r = engine_revert(v->pid, NULL, NULL, res, &e);
        show("revert", r, res, &e);
        return r;
}

static Victim start(const char *a, const char *b) {
        char path[4096], x[16], y[16];
        char *argv[] = { path, x, y, NULL };

        snprintf(path, sizeof(path), "%s", victim_path);
        snprintf(x, sizeof(x), "%s", a ? a : "");
        snprintf(y, sizeof(y), "%s", b ? b : "");
        argv[1] = a ? x : NULL;
        argv[2] = a && b ? y : NULL;
        return victim_start(argv);
}

static void apply_revert(void **state) {
        const char *const args[][2] = { { NULL, NULL }, { "w2", NULL }, { "s64", NULL }, { "m1", NULL }, { "s20", "b2" } };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(args); i++) {
                Victim v = start(args[i][0], args[i][1]);
                Patch *p = make(two, 2);
                EngineResult res;
                ProcessPatch *patches;
                size_t n;
                int second = 0;
                Error e;

                assert_int_equal(victim_ask(&v, "call", &second), 1);
                assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                assert_int_equal(n, 0);
                for (int k = 0; k < 3; k++) {
                        assert_int_equal(apply(&v, p, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", &second), 2);
                        assert_int_equal(second, 2);
                        assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
                        assert_int_equal(n, 1);
                        assert_int_equal(patches[0].state, PATCH_STATE_ACTIVE);
                        assert_int_equal(patches[0].sites_intact, 2);
                        free(patches);
                        assert_int_equal(revert(&v, &res), 0);
                        assert_int_equal(victim_ask(&v, "call", &second), 1);
                        assert_int_equal(second, 1);
                }
                if (!args[i][0]) /* the workers count, too, and do not wait for one another */
                        assert_int_equal(victim_ask(&v, "counter", &second), 14);
                assert_int_equal(victim_ask(&v, "check", &second), 0);
                victim_stop(&v);
                arena_free(p->arena);
        }
}

static void replace(void **state) {
        Victim v = start("w1", NULL);
        Patch *p2 = make(two, 2), *p3 = make(three, 3);
        EngineResult res;

        (void)state;
        assert_int_equal(apply(&v, p2, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(apply(&v, p3, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 3);
        assert_int_equal(revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

static void busy_function_is_waited_for(void **state) {
        const Replacement r = { "hold", two, sizeof(two), 2, R_X86_64_PC32, "counter", NULL, -4 };
        const EngineOptions options = { .deadline_usec = 50000 };
        Victim v = start(NULL, NULL);
        Patch *p = patch_make(&r, 1, 4);
        const Patch *patches[] = { p };
        EngineResult res;
        Error e;

        (void)state;
        assert_int_equal(victim_ask(&v, "hold", NULL), 0);
        assert_int_equal(engine_apply(v.pid, patches, 1, &options, &res, &e), ENGINE_REFUSED);
        show("hold", 1, &res, &e);
        assert_true(res.refusal == REFUSAL_CODE_PROCESS_BUSY || res.refusal == REFUSAL_CODE_UNWIND_FAILED);
        assert_string_equal(res.subject, "hold");
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(apply(&v, p, &res), 0);
        victim_stop(&v);
}

static void imports_are_bound(void **state) {
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "getppid", 0 };
        Victim v = start(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(apply(&v, patch_make(&r, 1, 5), &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), getpid());
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(apply_revert),
                cmocka_unit_test(replace),
                cmocka_unit_test(busy_function_is_waited_for),
                cmocka_unit_test(imports_are_bound),
        };

        if (argc < 2)
                return 2;
        victim_path = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
