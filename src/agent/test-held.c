/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/held.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *at(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static void write_file(const char *name, const char *text) {
        Error e = { 0 };

        assert_int_equal(file_write_atomic(at(name), text, strlen(text), &e), 0);
}

static void offered_as_the_policy_says(void **state) {
        PolicyMatch exclude[] = { { MATCH_PATH, "/opt/*" },
                                  { MATCH_UNIT, "db@*.service" },
                                  { MATCH_UNIT, "x.service" } };
        Policy p = { .mode = PATCH_AUTOMATIC, .exclude = exclude, .n_exclude = 3 };
        FileBytes text = { 0 };
        Error e = { 0 };

        (void)state;
        assert_int_equal(held_offer(folder, &p, &e), 0);
        assert_int_not_equal(access(at("hold"), F_OK), 0);
        p.hold_restarts = 1;
        assert_int_equal(held_offer(folder, &p, &e), 0);
        assert_int_equal(file_read(at("hold"), 1000, &text, &e), 0);
        assert_int_equal(text.size, strlen("db@*.service\nx.service\n"));
        assert_memory_equal(text.bytes, "db@*.service\nx.service\n", text.size);
        file_release(&text);
        /* Nothing would be patched in the restarts' place. */
        p.mode = PATCH_ASSESS_ONLY;
        assert_int_equal(held_offer(folder, &p, &e), 0);
        assert_int_not_equal(access(at("hold"), F_OK), 0);
}

static void count(void *data, const Held *held) {
        (void)held;
        ++*(size_t *)data;
}

/* A unit without processes has nothing to restart; a note of another boot, or that is no note, says nothing.
 */
static void notes_without_use_are_dropped(void **state) {
        static const char *const texts[] = { "00000000-0000-0000-0000-000000000000 1e9\n", "", "x" };
        char boot[64], note[100];
        FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
        Converged none = { 0 };
        size_t needs = 0;
        Error e = { 0 };

        (void)state;
        assert_int_equal(held_settle(folder, &none, count, &needs, &e), 0); /* no folder */
        assert_int_equal(mkdir(at("held"), 0700), 0);
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%63s", boot), 1);
        fclose(f);
        snprintf(note, sizeof(note), "%s 1e9\n", boot);
        write_file("held/no-such-unit.service", note);
        for (size_t i = 0; i < 3; i++) {
                char name[32];

                snprintf(name, sizeof(name), "held/%zu.service", i);
                write_file(name, texts[i]);
        }
        assert_int_equal(held_settle(folder, &none, count, &needs, &e), 0);
        assert_int_equal(needs, 0);
        assert_int_equal(rmdir(at("held")), 0); /* it is empty */
}

static int make_folder(void **state) {
        (void)state;
        snprintf(folder, sizeof(folder), "/tmp/staunch-held-XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
        (void)state;
        return rmdir(folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(offered_as_the_policy_says, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(notes_without_use_are_dropped, make_folder, remove_folder),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
