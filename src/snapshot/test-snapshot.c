/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "snapshot/retain.h"
#include "snapshot/snapshot.h"
#include "snapshot/test-folder.h"
#include "store/baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* The provider hook against a program of the test's, and what is dropped when. */

static Store *store;
static SnapshotPolicy policy;
static SnapshotContext context;

static int begin(void **state) {
        (void)state;
        policy = (SnapshotPolicy){ .kind = SNAPSHOT_AUTO,
                                   .keep = 3,
                                   .keep_for_sec = 1000,
                                   .max_size = 1000,
                                   .hook_timeout_usec = 60000000 };
        context = (SnapshotContext){ .policy = &policy, .root = "/", .state = dir };
        return store_open(dir, &store, NULL) < 0;
}

static int end(void **state) {
        (void)state;
        store = store_close(store);
        return unlink(in("state.db"));
}

/* --- hook --- */

static const char script[] = "#!/bin/sh\n"
                             "cd \"$STAUNCH_STATE\" || exit 1\n"
                             "echo \"$@\" >>said\n"
                             "case $2 in\n"
                             "available) test -e here || { echo 'no cloud here' >&2; exit 3; } ;;\n"
                             "take) cat answer ;;\n"
                             "list) printf 'snap-1\\nsnap-2\\n' ;;\n"
                             "rollback) exit 10 ;;\n"
                             "drop) test ! -e stuck || { echo 'it is in use' >&2; exit 1; } ;;\n"
                             "space) echo 5000 9000 ;;\n"
                             "esac\n";

static void use_hook(void) {
        static const char *words[2];

        put("hook", script, 0755);
        words[0] = strdup(in("hook"));
        words[1] = "--zone=b";
        policy.hook = words;
        policy.n_hook = 2;
        policy.kind = SNAPSHOT_HOOK;
        unlink(in("said"));
        unlink(in("here"));
        unlink(in("stuck"));
}

static void count(void *data, const SnapshotMade *m) {
        *(unsigned *)data += strncmp(m->handle, "snap-", 5) == 0;
}

static void hook_is_asked(void **state) {
        const SnapshotProvider *p = NULL;
        SnapshotMade m = { 0 };
        SnapshotSpace space;
        unsigned n = 0;
        Error e = { 0 };

        (void)state;
        use_hook();
        assert_int_equal(snapshot_choose(&context, &p, &e), SNAPSHOT_ABSENT);
        assert_string_equal(e.text, "hook: no cloud here");
        put("here", "", 0600);
        assert_int_equal(snapshot_choose(&context, &p, &e), 0);
        assert_ptr_equal(p, &snapshot_hook);
        put("answer", "snap-0123\n", 0600);
        assert_int_equal(p->take(&context, "staunch-1-1", &m, &e), 0);
        assert_string_equal(m.handle, "snap-0123");
        assert_int_equal(p->list(&context, count, &n, &e), 0);
        assert_int_equal(n, 2);
        assert_int_equal(p->rollback(&context, &m, "x", &e), SNAPSHOT_REBOOT);
        assert_int_equal(p->drop(&context, &m, &e), 0);
        put("stuck", "", 0600);
        assert_int_equal(p->drop(&context, &m, &e), -EREMOTEIO);
        assert_non_null(strstr(e.text, "ended with code 1: it is in use"));
        assert_int_equal(p->space(&context, &space, &e), 0);
        assert_int_equal(space.free, 5000);
        assert_int_equal(space.total, 9000);
        assert_string_equal(get("said"),
                            "--zone=b available\n--zone=b available\n--zone=b take staunch-1-1\n"
                            "--zone=b list\n--zone=b rollback snap-0123\n--zone=b drop snap-0123\n"
                            "--zone=b drop snap-0123\n--zone=b space\n");
}

static void hook_says_nonsense(void **state) {
        static const char *const wrong[] = { "", "\n", "two words\n", "a\nb\n", "\x01\n" };
        char many[400];
        SnapshotMade m = { 0 };
        Error e = { 0 };

        (void)state;
        use_hook();
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                put("answer", wrong[i], 0600);
                assert_int_equal(snapshot_hook.take(&context, "staunch-1-1", &m, &e), -EPROTO);
        }
        memset(many, 'x', sizeof(many));
        many[sizeof(many) - 1] = 0;
        put("answer", many, 0600);
        assert_int_equal(snapshot_hook.take(&context, "staunch-1-1", &m, &e), -EPROTO);
        policy.n_hook = 0;
        assert_int_equal(snapshot_hook.take(&context, "staunch-1-1", &m, &e), -EINVAL);
}

/* --- what is dropped --- */

static int64_t add(unsigned age_sec, const char *file, size_t bytes) {
        char name[64], *content = calloc(1, bytes + 1);
        StorePackage p = { .name = file, .arch = "amd64", .old_version = "1", .new_version = "2" };
        int64_t id = 0;

        mkdir(in("debs"), 0700);
        assert_int_equal(store_add_change(store, wall_usec() - UINT64_C(1000000) * age_sec, &p, 1, &id, NULL),
                         0);
        snprintf(name, sizeof(name), "debs/%s.deb", file);
        assert_int_equal(file_write_atomic(in(name), content, bytes, NULL), 0);
        snprintf(name, sizeof(name), "%s.deb", file);
        p.change = id;
        p.file = name;
        p.sha256 = p.origin = "x";
        assert_int_equal(store_set_copy(store, &p, NULL), 0);
        free(content);
        return id;
}

static bool is_there(const char *file) {
        char name[64];

        snprintf(name, sizeof(name), "debs/%s.deb", file);
        return access(in(name), F_OK) == 0;
}

static void oldest_go_first(void **state) {
        int64_t last = 0;
        Error e = { 0 };

        (void)state;
        add(2000, "zz-old", 100);
        add(50, "zz-a", 100);
        add(40, "zz-b", 100);
        last = add(30, "zz-c", 100);
        put("debs/zz-unneeded.deb", "", 0600);
        put("debs/not-ours", "", 0600);
        assert_int_equal(retain_run(&context, store, last, &e), 0);
        assert_false(is_there("zz-old")); /* too old */
        assert_false(is_there("zz-unneeded"));
        assert_true(is_there("zz-a"));
        assert_int_equal(access(in("debs/not-ours"), F_OK), 0);
        last = add(20, "zz-d", 100);
        assert_int_equal(retain_run(&context, store, last, &e), 0);
        assert_false(is_there("zz-a")); /* one too many */
        assert_true(is_there("zz-b"));
        assert_int_equal(retain_spare(&context, store, last, 800, &e), -ENOSPC);
        assert_true(is_there("zz-b"));
        assert_int_equal(retain_room(&context, store, last, 800, &e), 0);
        assert_false(is_there("zz-b")); /* no room */
        assert_true(is_there("zz-c"));
        assert_int_equal(retain_room(&context, store, last, 950, &e), -ENOSPC);
        assert_true(is_there("zz-d")); /* the current one stays in any case */
        policy.min_free = UINT64_MAX / 2;
        assert_int_equal(retain_room(&context, store, last, 0, &e), -ENOSPC);
        unlink(in("debs/not-ours"));
}

static void note_id(void *data, const StoreChange *c) {
        *(int64_t *)data = c->id;
}

static void what_is_needed_stays(void **state) {
        static const char *const units[] = { "a.service" };
        int64_t change = add(5000, "zz-needed", 100), baseline = 0, left = 0;
        Error e = { 0 };

        (void)state;
        assert_int_equal(store_add_baseline(store, 1, units, 1, &baseline, &e), 0);
        assert_int_equal(store_take_change(store, baseline, change, &e), 0);
        assert_int_equal(retain_run(&context, store, 0, &e), 0);
        assert_true(is_there("zz-needed"));
        assert_int_equal(store_set_baseline(store, baseline, "done", "", 2, &e), 0);
        assert_int_equal(retain_run(&context, store, 0, &e), 0);
        assert_false(is_there("zz-needed"));
        assert_int_equal(store_each_change(store, note_id, &left, &e), 0);
        assert_int_equal(left, 0);
}

static void note_state(void *data, const StoreSnapshot *a) {
        snprintf(data, 64, "%s %s", a->state, a->handle);
}

/* A snapshot that can't be deleted is not forgotten; one of which nothing is known is never deleted. */
static void snapshots_go_with_their_change(void **state) {
        char text[64] = "";
        int64_t id = 0, change = add(5000, "zz-s", 100);
        Error e = { 0 };

        (void)state;
        use_hook();
        put("answer", "snap-9\n", 0600);
        assert_int_equal(snapshot_take(&context, &snapshot_hook, store, change, &id, &e), 0);
        assert_int_equal(store_each_snapshot(store, note_state, text, &e), 0);
        assert_string_equal(text, "ready snap-9");
        put("stuck", "", 0600);
        assert_int_equal(retain_run(&context, store, 0, &e), -EREMOTEIO);
        strcpy(text, "");
        assert_int_equal(store_each_snapshot(store, note_state, text, &e), 0);
        assert_string_equal(text, "ready snap-9");
        unlink(in("stuck"));
        assert_int_equal(retain_run(&context, store, 0, &e), 0);
        strcpy(text, "");
        assert_int_equal(store_each_snapshot(store, note_state, text, &e), 0);
        assert_string_equal(text, "");
        /* What failed has no handle, and nothing is deleted for it. */
        put("answer", "", 0600);
        change = add(5000, "zz-t", 100);
        assert_int_equal(snapshot_take(&context, &snapshot_hook, store, change, &id, &e), -EPROTO);
        unlink(in("said"));
        assert_int_equal(retain_run(&context, store, 0, &e), 0);
        assert_int_equal(access(in("said"), F_OK), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(hook_is_asked, begin, end),
                cmocka_unit_test_setup_teardown(hook_says_nonsense, begin, end),
                cmocka_unit_test_setup_teardown(oldest_go_first, begin, end),
                cmocka_unit_test_setup_teardown(what_is_needed_stays, begin, end),
                cmocka_unit_test_setup_teardown(snapshots_go_with_their_change, begin, end),
        };
        int r;

        if (!mkdtemp(dir))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        if (r == 0 && execl("/bin/rm", "rm", "-r", dir, NULL) < 0)
                return 1;
        return r;
}
