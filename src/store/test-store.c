/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[64];

static int fresh(void **state) {
        (void)state;
        strcpy(dir, "/tmp/test-store-XXXXXX");
        return mkdtemp(dir) ? 0 : 1;
}

static int clean(void **state) {
        char command[128];

        (void)state;
        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        return system(command);
}

static void count_action(void *data, const StoreAction *a) {
        assert_string_equal(a->comm, "it's");
        ++*(unsigned *)data;
}

static void actions(void **state) {
        StoreAction a = { .comm = "it's",
                          .unit = "a.service",
                          .digest = "0123abcd",
                          .action = "apply",
                          .outcome = "patched",
                          .functions = 3 };
        unsigned n = 0;
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        for (unsigned i = 1; i <= 10; i++) {
                a.time_usec = i;
                a.unit = i % 2 ? "a.service" : "b.service";
                assert_int_equal(store_add_action(s, &a, NULL), 0);
        }
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ 0 }, count_action, &n, NULL), 0);
        assert_int_equal(n, 10);
        n = 0;
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ .unit = "a.service", .since_usec = 4 },
                                           count_action, &n, NULL),
                         0);
        assert_int_equal(n, 3);
        n = 0;
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ .digest = "0123", .limit = 4 },
                                           count_action, &n, NULL),
                         0);
        assert_int_equal(n, 4);
        assert_int_equal(store_prune(s, 9, NULL), 0);
        store_close(s);
        /* It is there for another program, too. */
        assert_int_equal(store_open_read(dir, &s, NULL), 0);
        n = 0;
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ 0 }, count_action, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_true(store_add_action(s, &a, NULL) < 0);
        store_close(s);
}

static StoreRestart last;
static char last_texts[128];
static void keep_restart(void *data, const StoreRestart *r) {
        ++*(unsigned *)data;
        last.since_usec = r->since_usec;
        last.attempts = r->attempts;
        last.omitted = r->omitted;
        snprintf(last_texts, sizeof(last_texts), "%s %s %s", r->old_id, r->package, r->cves);
}

static void restarts(void **state) {
        StoreRestart r = {
                .subject = "a.service", .image = "/usr/bin/a", .reason = "layout-changed", .since_usec = 5
        };
        unsigned n = 0;
        bool is_new;
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_put_restart(s, &r, &is_new, NULL), 0);
        assert_true(is_new);
        assert_int_equal(store_tried_restart(s, "a.service", 7, "failed", NULL), 0);
        r.package = "a-package";
        r.cves = "CVE-2099-1 CVE-2099-2";
        r.old_id = "00ff";
        r.omitted = 3;
        r.since_usec = 9; /* the same again: it has been waiting since the first time */
        assert_int_equal(store_put_restart(s, &r, &is_new, NULL), 0);
        assert_false(is_new);
        assert_int_equal(store_each_restart(s, keep_restart, &n, NULL), 0);
        assert_int_equal(n, 1);
        assert_int_equal(last.since_usec, 5);
        assert_int_equal(last.attempts, 1);
        assert_string_equal(last_texts, "00ff a-package CVE-2099-1 CVE-2099-2");
        assert_int_equal(last.omitted, 3);
        assert_int_equal(store_has_restart(s, "a.service", "/usr/bin/a", NULL), 1);
        assert_int_equal(store_has_restart(s, "a.service", "/usr/bin/none", NULL), 0);
        assert_int_equal(store_drop_restart(s, "a.service", "", NULL), 0); /* what its package asked for */
        assert_int_equal(store_has_restart(s, "a.service", "/usr/bin/a", NULL), 1);
        assert_int_equal(store_drop_restart(s, "a.service", "/usr/bin/b", NULL), 0);
        n = 0;
        store_each_restart(s, keep_restart, &n, NULL);
        assert_int_equal(n, 1);
        assert_int_equal(store_drop_restart(s, "a.service", NULL, NULL), 0);
        n = 0;
        store_each_restart(s, keep_restart, &n, NULL);
        assert_int_equal(n, 0);
        store_close(s);
}

static void count_unit(void *data, const StoreAction *a) {
        unsigned *n = data;

        n[strcmp(a->unit, "a.service") == 0 ? 0 : strcmp(a->unit, "b.service") == 0 ? 1 : 2]++;
        assert_true(strcmp(a->unit, "a.service") != 0 || a->time_usec > 10000 - STORE_ACTIONS_UNIT);
}

/* What users make can't push the services' history out, nor grow for ever. */
static void too_many_actions(void **state) {
        StoreAction a = { .comm = "x" };
        unsigned n[3] = { 0 };
        char unit[64];
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_begin(s, NULL), 0);
        for (unsigned i = 1; i <= 20100; i++) {
                snprintf(unit, sizeof(unit), "session-%u.scope", i);
                a.time_usec = i;
                a.unit = i <= 100     ? "b.service"
                         : i <= 10000 ? "a.service"
                         : i % 2      ? "user@1000.service"
                                      : unit;
                assert_int_equal(store_add_action(s, &a, NULL), 0);
        }
        assert_int_equal(store_end(s, true, NULL), 0);
        assert_int_equal(store_prune(s, 0, NULL), 0);
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ 0 }, count_unit, n, NULL), 0);
        assert_int_equal(n[0], STORE_ACTIONS_UNIT);
        assert_int_equal(n[1], 100);
        assert_int_equal(n[2], STORE_ACTIONS_OTHERS);
        store_close(s);
}

static void count_quarantine(void *data, const StoreQuarantine *q) {
        assert_string_equal(q->reason, "slow");
        assert_true(q->by_hand);
        ++*(unsigned *)data;
}

static void count_harmful(void *data, const StoreQuarantine *q) {
        assert_string_equal(q->reason, "harm");
        assert_false(q->by_hand);
        ++*(unsigned *)data;
}

static void quarantine(void **state) {
        StoreQuarantine a = { "01", "02", "0123456789abcdef", "/usr/bin/a", "slow", 3, true };
        unsigned n = 0;
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_put_quarantine(s, &a, NULL), 0);
        assert_int_equal(store_put_quarantine(s, &a, NULL), 0);
        assert_int_equal(store_release(s, "%", &n, NULL), -EINVAL);
        assert_int_equal(store_release(s, "0123", &n, NULL), -EINVAL);
        assert_int_equal(store_release(s, "ffffffff", &n, NULL), 0);
        assert_int_equal(n, 0);
        store_each_quarantine(s, count_quarantine, &n, NULL);
        assert_int_equal(n, 1);
        assert_int_equal(store_release(s, "01234567", &n, NULL), 0);
        assert_int_equal(n, 1);
        /* What did harm stays so. */
        a.by_hand = false;
        a.reason = "harm";
        assert_int_equal(store_put_quarantine(s, &a, NULL), 0);
        a.by_hand = true;
        a.reason = "slow";
        assert_int_equal(store_put_quarantine(s, &a, NULL), 0);
        n = 0;
        store_each_quarantine(s, count_harmful, &n, NULL);
        assert_int_equal(n, 1);
        store_close(s);
}

static void lost_file(void **state) {
        StoreAction a = { .comm = "it's" };
        char path[128];
        unsigned n = 0;
        Store *s;
        FILE *f;

        (void)state;
        snprintf(path, sizeof(path), "%s/state.db", dir);
        f = fopen(path, "w");
        for (int i = 0; i < 1000; i++)
                fputs("this is no database ", f);
        fclose(f);
        assert_int_equal(store_open(dir, &s, NULL), STORE_LOST);
        assert_int_equal(store_add_action(s, &a, NULL), 0);
        assert_int_equal(store_each_action(s, &(StoreActionQuery){ 0 }, count_action, &n, NULL), 0);
        assert_int_equal(n, 1);
        store_close(s);
        assert_int_equal(store_open(dir, &s, NULL), 0);
        store_close(s);
        snprintf(path, sizeof(path), "ls '%s'/state.db.lost-* >/dev/null", dir);
        assert_int_equal(system(path), 0);
}

static void none_to_read(void **state) {
        Store *s;

        (void)state;
        assert_int_equal(store_open_read("/nonexistent", &s, NULL), -ENOENT);
}

static void count_mark(void *data, const StoreMark *m) {
        assert_string_equal(m->kind, "a");
        assert_string_equal(m->text, "two");
        ++*(size_t *)data;
}

static void marks(void **state) {
        uint64_t time = 0;
        size_t n = 0;
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_mark_time(s, "a", "k", &time, NULL), 0);
        assert_int_equal(store_put_mark(s, &(StoreMark){ "a", "k", 1, "one" }, NULL), 0);
        assert_int_equal(store_put_mark(s, &(StoreMark){ "a", "k", 2, "two" }, NULL), 0);
        assert_int_equal(store_put_mark(s, &(StoreMark){ "b", "k", 3, "three" }, NULL), 0);
        store_close(s);
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_mark_time(s, "a", "k", &time, NULL), 1);
        assert_int_equal(time, 2);
        assert_int_equal(store_each_mark(s, "a", count_mark, &n, NULL), 0);
        assert_int_equal(n, 1);
        assert_int_equal(store_prune_marks(s, "a", 2, NULL), 0);
        assert_int_equal(store_mark_time(s, "a", "k", NULL, NULL), 1);
        assert_int_equal(store_prune_marks(s, "a", 3, NULL), 0);
        assert_int_equal(store_mark_time(s, "a", "k", NULL, NULL), 0);
        assert_int_equal(store_drop_mark(s, "b", "k", NULL), 0);
        assert_int_equal(store_mark_time(s, "b", "k", NULL, NULL), 0);
        store_close(s);
}

static void take_fixes(void *data, const StoreFixes *f) {
        snprintf(data, 64, "%s|%s|%lu", f->package, f->cves, (unsigned long)f->omitted);
}

static void fixes(void **state) {
        char text[64] = "";
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_get_fixes(s, "a", "b", take_fixes, text, NULL), 0);
        assert_int_equal(store_put_fixes(s, &(StoreFixes){ "a", "b", "p", "", 0, 1 }, NULL), 0);
        assert_int_equal(store_put_fixes(s, &(StoreFixes){ "a", "b", "p", "CVE-1 CVE-2", 3, 2 }, NULL), 0);
        assert_int_equal(store_put_fixes(s, &(StoreFixes){ "a", "c", "q", "", 0, 1 }, NULL), 0);
        assert_int_equal(store_prune_fixes(s, 2, NULL), 0);
        store_close(s);
        assert_int_equal(store_open_read(dir, &s, NULL), 0);
        assert_int_equal(store_get_fixes(s, "a", "b", take_fixes, text, NULL), 1);
        assert_string_equal(text, "p|CVE-1 CVE-2|3");
        assert_int_equal(store_get_fixes(s, "a", "c", take_fixes, text, NULL), 0);
        store_close(s);
}

static void unowned(void **state) {
        Store *s;

        (void)state;
        assert_int_equal(store_open(dir, &s, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/a", 1, NULL), 0);
        assert_int_equal(store_put_unowned(s, "/a", 1, NULL), 0);
        assert_int_equal(store_put_unowned(s, "/b", 1, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/a", 1, NULL), 1);
        assert_int_equal(store_is_unowned(s, "/a", 2, NULL), 0);
        assert_int_equal(store_put_unowned(s, "/a", 2, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/a", 1, NULL), 0);
        assert_int_equal(store_prune_unowned(s, 2, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/b", 1, NULL), 0);
        assert_int_equal(store_begin(s, NULL), 0);
        for (unsigned i = 0; i < STORE_UNOWNED; i++) {
                char path[32];

                snprintf(path, sizeof(path), "/%u", i);
                assert_int_equal(store_put_unowned(s, path, 2, NULL), 0);
        }
        assert_int_equal(store_prune_unowned(s, 2, NULL), 0);
        assert_int_equal(store_end(s, true, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/a", 2, NULL), 0);
        assert_int_equal(store_is_unowned(s, "/0", 2, NULL), 1);
        store_close(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(actions, fresh, clean),
                cmocka_unit_test_setup_teardown(restarts, fresh, clean),
                cmocka_unit_test_setup_teardown(too_many_actions, fresh, clean),
                cmocka_unit_test_setup_teardown(quarantine, fresh, clean),
                cmocka_unit_test_setup_teardown(marks, fresh, clean),
                cmocka_unit_test_setup_teardown(fixes, fresh, clean),
                cmocka_unit_test_setup_teardown(unowned, fresh, clean),
                cmocka_unit_test_setup_teardown(lost_file, fresh, clean),
                cmocka_unit_test(none_to_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
