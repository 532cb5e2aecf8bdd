/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "deliver/baseline-units.h"
#include "deliver/baseline.h"
#include "snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/*
 * The machine of baselines with units that are counters, and a snapshot command that writes down what it is
 * asked. The process is killed at every step, one by one, and another goes on.
 */

typedef struct World { /* shared with the children that are killed */
        int restarts[2], invocation[2];
        int boots, waits;
        bool bad;        /* the new version is not well */
        bool bad_old;    /* nor the old one */
        bool mute;       /* the new version runs, and does not answer */
        int mute_before; /* so many units did not answer before, either */
        bool healed;     /* it becomes well while it settles */
        bool apart;
        bool ends; /* the process is told to end while it waits */
} World;

static World *world;
static char dir[] = "/tmp/test-baseline-XXXXXX", hold_file[64], events[64], hook[64];
static Policy policy;
static Store *store;
static const char *const units[] = { "a.service", "b.service" };

static bool is_machine(const char *unit) {
        return strcmp(unit, "machine") == 0;
}

/* Is the old root in force? The snapshot command makes that file, or a reboot after it was asked. */
static bool is_old(void) {
        char file[64];

        snprintf(file, sizeof(file), "%s/old", dir);
        return access(file, F_OK) == 0;
}

static void touch(const char *name) {
        char file[64];

        snprintf(file, sizeof(file), "%s/%s", dir, name);
        assert_int_equal(file_write_atomic(file, "", 0, NULL), 0);
}

static int index_of(const char *unit) {
        return strcmp(unit, units[1]) == 0;
}

static int invocation(void *data, const char *unit, char out[BASELINE_WORD], Error *e) {
        (void)data;
        (void)e;
        snprintf(out, BASELINE_WORD, "%d",
                 is_machine(unit) ? world->boots : world->invocation[index_of(unit)]);
        return 0;
}

static int restart(void *data, const char *unit, Error *e) {
        (void)data;
        (void)e;
        if (is_machine(unit))
                return BASELINE_REBOOTS;
        world->restarts[index_of(unit)]++;
        world->invocation[index_of(unit)]++;
        return 0;
}

static int healthy(void *data, const char *unit, Error *why) {
        (void)data;
        if (is_old() ? !world->bad_old : !world->bad)
                return 0;
        if (world->healed && world->waits > 1)
                return 0;
        error_set(why, -EIO, "%s does not answer", unit);
        return 1;
}

static int answers(void *data, const char *unit, const ProbeNames *but, Error *why) {
        (void)data;
        for (size_t i = 0; i < but->n; i++)
                if (strcmp(but->items[i].unit, unit) == 0 && strcmp(but->items[i].name, "answer") == 0)
                        return 0;
        if (!world->mute || is_old())
                return 0;
        error_set(why, -EREMOTEIO, "%s says nothing", unit);
        return 1;
}

static void failing(void *data, const char *unit, ProbeNames *out) {
        (void)data;
        if (!is_machine(unit) && index_of(unit) < world->mute_before)
                vec_push(out, (ProbeName){ unit, "answer" });
}

static int pass(void *data, uint64_t usec) {
        (void)data;
        (void)usec;
        world->waits++;
        return world->ends;
}

static int boot(void *data, char out[BASELINE_WORD], Error *e) {
        (void)data;
        (void)e;
        snprintf(out, BASELINE_WORD, "boot-%d", world->boots);
        return 0;
}

static BaselineOps ops = { NULL, invocation, restart, healthy, answers, failing, pass, boot, NULL };
static Baseline baseline = { &policy, dir, "/nonexistent", events, hold_file, &ops };

/* What the machine does when it starts again. */
static void start_anew(void) {
        world->boots++;
        world->invocation[0]++;
        world->invocation[1]++;
}

/* The snapshot command: its answers depend on whether the old root is in force. */
static int set_up(void **state) {
        static const char *words[1];
        char script[512], file[64];
        StorePackage p = { .name = "x", .arch = "amd64", .old_version = "1", .new_version = "2" };
        StoreRestart r = { .subject = "machine", .image = "/x", .since_usec = 1 };
        int64_t change = 0, id = 0;
        bool fresh;

        (void)state;
        memset(world, 0, sizeof(*world));
        world->boots = 1;
        snprintf(file, sizeof(file), "%s/state.db", dir);
        unlink(file);
        snprintf(file, sizeof(file), "%s/asked", dir);
        unlink(file);
        unlink(hold_file);
        unlink(events);
        snprintf(script, sizeof(script),
                 "#!/bin/sh\necho $1 $2 >>%s/asked\ncase $1 in take) echo root-1 ;; rollback) test -e "
                 "%s/in-force || exit 10; : >%s/old ;; "
                 "esac\n",
                 dir, dir, dir);
        assert_int_equal(file_write_atomic(hook, script, strlen(script), NULL), 0);
        assert_int_equal(chmod(hook, 0755), 0);
        words[0] = hook;
        policy = (Policy){ .baseline = { .snapshot = { .kind = SNAPSHOT_HOOK,
                                                       .keep = 5,
                                                       .keep_for_sec = 3600,
                                                       .hook = words,
                                                       .n_hook = 1,
                                                       .hook_timeout_usec = 60000000 },
                                         .settle_usec = 10000000,
                                         .automatic_rollback = true } };
        ops.apart = NULL;
        assert_int_equal(store_open(dir, &store, NULL), 0);
        assert_int_equal(store_add_change(store, wall_usec(), &p, 1, &change, NULL), 0);
        assert_int_equal(store_put_restart(store, &r, &fresh, NULL), 0);
        {
                SnapshotContext c = { &policy.baseline.snapshot, "/", dir };

                assert_int_equal(snapshot_take(&c, &snapshot_hook, store, change, &id, NULL), 0);
        }
        snprintf(file, sizeof(file), "%s/in-force", dir);
        unlink(file);
        snprintf(file, sizeof(file), "%s/old", dir);
        unlink(file);
        return 0;
}

static int tear_down(void **state) {
        (void)state;
        store = store_close(store);
        return 0;
}

static void note_state(void *data, const StoreBaseline *b) {
        snprintf(data, 64, "%s", b->state);
}

static const char *state_now(void) {
        static char text[64];

        text[0] = 0;
        assert_int_equal(store_each_baseline(store, note_state, text, NULL), 0);
        return text;
}

/* The command puts the old root in force at once, or (a reboot was between) has done so. */
static void put_in_force(void) {
        touch("in-force");
}

/* How often a kind of event was told. */
static unsigned told(const char *kind) {
        FileBytes f = { 0 };
        char want[64];
        unsigned n = 0;

        if (file_read(events, 1 << 20, &f, NULL) < 0)
                return 0;
        snprintf(want, sizeof(want), "\"kind\":\"%s\"", kind);
        for (size_t i = 0; i + strlen(want) <= f.size; i++)
                n += memcmp(f.bytes + i, want, strlen(want)) == 0;
        file_release(&f);
        return n;
}

static const char *const all[] = { "a.service", "b.service", "machine" };

/* As whoever restarts does it. */
static int run_all(Error *e) {
        int64_t id = 0;
        int r = baseline_begin(&baseline, all, 3, &id, e);

        if (r)
                return r;
        restart(NULL, units[0], e);
        restart(NULL, units[1], e);
        return baseline_settle(&baseline, id, NULL, e);
}

static void all_is_well(void **state) {
        Error e = { 0 };

        (void)state;
        assert_int_equal(run_all(&e), 0);
        assert_string_equal(state_now(), "done");
        assert_true(world->waits >= 5);
        assert_int_equal(told("baseline-started"), 1);
        assert_int_equal(told("baseline-done"), 1);
        assert_int_equal(told("baseline-failed"), 0);
        assert_int_equal(baseline_resume(&baseline, &e), 0);
        assert_string_equal(state_now(), "done");
}

static void slow_to_become_well(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = world->healed = true;
        assert_int_equal(run_all(&e), 0);
        assert_string_equal(state_now(), "done");
}

static void runs_and_does_not_answer(void **state) {
        Error e = { 0 };

        (void)state;
        world->mute = true;
        assert_int_equal(run_all(&e), BASELINE_REBOOTS);
        assert_string_equal(state_now(), "rebooting");
        assert_int_equal(told("rollback-started"), 1);
        start_anew();
        put_in_force();
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
        assert_string_equal(state_now(), "rolled-back");
}

static void did_not_answer_before(void **state) {
        static const char said[] = "not judged by: 'answer' of a.service, 'answer' of b.service";
        FileBytes f = { 0 };
        Error e = { 0 };

        (void)state;
        world->mute = true;
        world->mute_before = 2;
        assert_int_equal(run_all(&e), 0);
        assert_string_equal(state_now(), "done");
        assert_int_equal(file_read(events, 1 << 20, &f, NULL), 0);
        assert_non_null(memmem(f.bytes, f.size, said, strlen(said)));
        file_release(&f);
}

/* Of two only one did not: the other counts. */
static void one_did_not_answer_before(void **state) {
        Error e = { 0 };

        (void)state;
        world->mute = true;
        world->mute_before = 1;
        assert_int_equal(run_all(&e), BASELINE_REBOOTS);
        assert_string_equal(state_now(), "rebooting");
}

static void ends_while_it_settles(void **state) {
        Error e = { 0 };

        (void)state;
        world->ends = true;
        assert_int_equal(run_all(&e), -EINTR);
        assert_string_equal(state_now(), "settling");
        world->ends = false;
        assert_int_equal(baseline_resume(&baseline, &e), 0);
        assert_string_equal(state_now(), "done");
        assert_int_equal(told("baseline-done"), 1);
}

static void goes_back(void **state) {
        Error e = { 0 };
        int64_t id = 0;
        unsigned n = 0;

        (void)state;
        world->bad = true;
        assert_int_equal(run_all(&e), BASELINE_REBOOTS);
        assert_string_equal(state_now(), "rebooting");
        assert_int_equal(told("rollback-started"), 1);
        /* It is held before anything is done. */
        assert_int_equal(access(hold_file, F_OK), 0);
        start_anew();
        put_in_force();
        unlink(hold_file); /* which the root that came back never had */
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
        assert_string_equal(state_now(), "rolled-back");
        assert_int_equal(told("rollback-done"), 1);
        assert_int_equal(access(hold_file, F_OK), 0);
        assert_int_equal(world->restarts[0], 1); /* the boot has restarted them */
        /* Not tried again, until it is released. */
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), 0);
        assert_int_equal(baseline_resume(&baseline, &e), 0);
        assert_int_equal(baseline_rollback(&baseline, 1, "again", &e), -EINVAL);
        assert_int_equal(baseline_release(&baseline, 1, &n, &e), 0);
        assert_int_equal(n, 1);
        assert_int_equal(access(hold_file, F_OK), -1);
}

/* The same version comes once more: another change of it, which no baseline has yet. */
static void held_until_newer(void **state) {
        StorePackage p = { .name = "x", .arch = "amd64", .old_version = "1", .new_version = "2" };
        int64_t change = 0, id = 0;
        Error e = { 0 };

        (void)state;
        world->bad = true;
        run_all(&e);
        start_anew();
        put_in_force();
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
        assert_int_equal(store_add_change(store, wall_usec(), &p, 1, &change, &e), 0);
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), BASELINE_IS_HELD);
        assert_non_null(strstr(e.text, "x 2"));
        assert_int_equal(told("baseline-held"), 1);
        p.old_version = "2";
        p.new_version = "3";
        assert_int_equal(store_add_change(store, wall_usec(), &p, 1, &change, &e), 0);
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), 0);
}

static void stays_when_told_to(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = true;
        policy.baseline.automatic_rollback = false;
        assert_int_equal(run_all(&e), BASELINE_WENT_WRONG);
        assert_string_equal(state_now(), "failed");
        assert_int_equal(access(hold_file, F_OK), -1);
        assert_int_equal(told("rollback-started"), 0);
        assert_int_equal(baseline_rollback(&baseline, 1, "by hand", &e), BASELINE_REBOOTS);
}

static void no_way_back(void **state) {
        Error e = { 0 };
        int64_t id = 0;

        (void)state;
        policy.baseline.snapshot.kind = SNAPSHOT_BTRFS; /* of which there is none */
        policy.baseline.require_snapshot = true;
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), BASELINE_REFUSED);
        assert_string_equal(state_now(), "cancelled");
        policy.baseline.require_snapshot = false;
        world->bad = true;
        assert_int_equal(run_all(&e), BASELINE_WENT_WRONG);
        assert_string_equal(state_now(), "failed");
        assert_non_null(strstr(e.text, "there is no way back"));
}

static void restart_that_failed(void **state) {
        Error e = { 0 }, failed = { 0 };
        int64_t id = 0;

        (void)state;
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), 0);
        error_set(&failed, -EIO, "a.service: failed");
        assert_int_equal(baseline_settle(&baseline, id, &failed, &e), BASELINE_REBOOTS);
        assert_int_equal(baseline_settle(&baseline, id, NULL, &e), -EINVAL);
}

/* A root that does not come back must not reboot the machine for ever. */
static void not_for_ever(void **state) {
        Error e = { 0 };
        int r, reboots = 0;

        (void)state;
        world->bad = true;
        r = run_all(&e);
        for (; reboots < 10 && r == BASELINE_REBOOTS; reboots++) {
                start_anew();
                r = baseline_resume(&baseline, &e);
        }
        assert_int_equal(r, BASELINE_WENT_WRONG);
        assert_string_equal(state_now(), "rollback-failed");
        assert_int_equal(reboots, 2);
}

/* What is back at once, of a baseline for which the machine was restarted, takes another restart of it. */
static void machine_goes_back(void **state) {
        Error e = { 0 };
        int64_t id = 0;

        (void)state;
        world->bad = true;
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), 0);
        start_anew();
        put_in_force();
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_REBOOTS);
        assert_string_equal(state_now(), "rebooting");
        assert_int_equal(world->restarts[0], 1);
        assert_int_equal(told("rollback-started"), 1);
        start_anew();
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
        assert_string_equal(state_now(), "rolled-back");
        assert_int_equal(told("rollback-started"), 1);
        assert_int_equal(told("rollback-done"), 1);
}

static unsigned asked(const char *what) {
        FileBytes f = { 0 };
        char path[64];
        unsigned n = 0;

        snprintf(path, sizeof(path), "%s/asked", dir);
        assert_int_equal(file_read(path, 1 << 20, &f, NULL), 0);
        for (size_t i = 0; i + strlen(what) <= f.size; i++)
                n += memcmp(f.bytes + i, what, strlen(what)) == 0;
        file_release(&f);
        return n;
}

/* Until then nothing is prepared a second time. */
static void waits_for_the_reboot(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = true;
        for (int i = 0; i < 3; i++) {
                assert_int_equal(i ? baseline_resume(&baseline, &e) : run_all(&e), BASELINE_REBOOTS);
                assert_non_null(strstr(e.text, "next reboot"));
                assert_string_equal(state_now(), "rebooting");
        }
        assert_int_equal(asked("rollback"), 1);
        start_anew();
        put_in_force();
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
        assert_int_equal(asked("rollback"), 2);
}

static int other_process(void *data, int64_t id, Error *e) {
        BaselineOps mine = ops;
        Baseline b = baseline;

        (void)data;
        mine.apart = NULL;
        b.ops = &mine;
        world->apart = true;
        put_in_force();
        return baseline_rollback(&b, id, "asked", e) == BASELINE_WENT_BACK ? 0 : -EIO;
}

static int other_process_that_needs_a_reboot(void *data, int64_t id, Error *e) {
        BaselineOps mine = ops;
        Baseline b = baseline;

        (void)data;
        mine.apart = NULL;
        b.ops = &mine;
        world->apart = true;
        return baseline_rollback(&b, id, "asked", e) == BASELINE_REBOOTS ? 0 : -EIO;
}

/* The other process prepares what a reboot brings into force; who has asked it reboots. */
static void reboots_after_another_process(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = true;
        ops.apart = other_process_that_needs_a_reboot;
        assert_int_equal(run_all(&e), BASELINE_REBOOTS);
        assert_true(world->apart);
        assert_string_equal(state_now(), "rebooting");
}

static int nobody(void *data, int64_t id, Error *e) {
        (void)data;
        (void)id;
        (void)e;
        return 0;
}

/* The other process is ended before it has begun: no reason to restart the machine. */
static void no_reboot_when_cut_off(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = true;
        ops.apart = nobody;
        assert_int_equal(run_all(&e), -EAGAIN);
        assert_string_equal(state_now(), "rolling-back");
        ops.apart = other_process;
        assert_int_equal(baseline_resume(&baseline, &e), BASELINE_WENT_BACK);
}

static void by_another_process(void **state) {
        Error e = { 0 };

        (void)state;
        world->bad = true;
        ops.apart = other_process;
        assert_int_equal(run_all(&e), BASELINE_WENT_BACK);
        assert_true(world->apart);
        assert_string_equal(state_now(), "rolled-back");
        assert_int_equal(world->restarts[0], 2); /* to the new version, and back */
        assert_int_equal(world->restarts[1], 2);
}

/* The machine's own: a file of /proc, which has no size. */
static void knows_the_boot(void **state) {
        char first[BASELINE_WORD] = "", again[BASELINE_WORD] = "";
        Error e = { 0 };

        (void)state;
        assert_int_equal(baseline_units.boot(NULL, first, &e), 0);
        assert_int_equal(baseline_units.boot(NULL, again, &e), 0);
        assert_int_equal(strlen(first), 36);
        assert_string_equal(first, again);
}

static void one_at_a_time(void **state) {
        Error e = { 0 };
        int64_t id = 0;
        char path[64];
        int fd;

        (void)state;
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), 0);
        assert_int_equal(baseline_begin(&baseline, all, 3, &id, &e), -EBUSY);
        snprintf(path, sizeof(path), "%s/baseline.lock", dir);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(lockf(fd, F_TEST, 0), 0);
        close(fd);
}

/* Killed at `name`, if it comes to that; then others go on until it is at its end. */
static bool killed_at(const char *name, bool bad, bool in_force) {
        Error e = { 0 };
        int status = 0, r = 0;
        pid_t pid;

        world->bad = bad;
        if (in_force)
                put_in_force();
        store = store_close(store);
        pid = fork();
        if (pid == 0) {
                baseline_fault_set(name);
                _exit(run_all(&e) < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(store_open(dir, &store, NULL), 0);
        for (int i = 0; i < 5; i++) {
                r = baseline_resume(&baseline, &e);
                if (r != BASELINE_REBOOTS)
                        break;
                start_anew();
                put_in_force();
        }
        if (r < 0)
                fail_msg("%s: %s", name, e.text);
        return WIFSIGNALED(status);
}

/* However it was cut off, it ends as one or the other, no unit is restarted twice for one direction, and
 * going on once more changes nothing. */
static void killed_at_every_step(void **state) {
        for (const char *const *name = baseline_fault_names; *name; name++) {
                bool hit = false;

                for (int way = 0; way < 3; way++) {
                        bool bad = way > 0, in_force = way == 2, killed;
                        const char *now;
                        Error e = { 0 };

                        tear_down(state);
                        set_up(state);
                        killed = killed_at(*name, bad, in_force);
                        hit |= killed;
                        now = state_now();
                        if (strcmp(now, "cancelled") == 0) {
                                assert_true(killed);
                                assert_int_equal(world->restarts[0] + world->restarts[1], 0);
                        } else if (strcmp(*name, "begun") == 0) {
                                /* Nothing was restarted, so there is nothing that could be bad. */
                                assert_string_equal(now, "done");
                        } else if (strcmp(now, bad ? "rolled-back" : "done") != 0) {
                                fail_msg("killed at %s: ended as %s", *name, now);
                        }
                        for (int u = 0; u < 2; u++)
                                if (world->restarts[u] > (in_force ? 2 : 1))
                                        fail_msg("killed at %s: %s was restarted %d times", *name, units[u],
                                                 world->restarts[u]);
                        if (strcmp(now, "rolled-back") == 0)
                                assert_int_equal(access(hold_file, F_OK), 0);
                        assert_int_equal(baseline_resume(&baseline, &e), 0);
                        assert_string_equal(state_now(), now);
                }
                if (!hit)
                        fail_msg("%s is no step that is gone through", *name);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(all_is_well, set_up, tear_down),
                cmocka_unit_test_setup_teardown(slow_to_become_well, set_up, tear_down),
                cmocka_unit_test_setup_teardown(runs_and_does_not_answer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(did_not_answer_before, set_up, tear_down),
                cmocka_unit_test_setup_teardown(one_did_not_answer_before, set_up, tear_down),
                cmocka_unit_test_setup_teardown(ends_while_it_settles, set_up, tear_down),
                cmocka_unit_test_setup_teardown(goes_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(held_until_newer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(stays_when_told_to, set_up, tear_down),
                cmocka_unit_test_setup_teardown(no_way_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(restart_that_failed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(not_for_ever, set_up, tear_down),
                cmocka_unit_test_setup_teardown(machine_goes_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(waits_for_the_reboot, set_up, tear_down),
                cmocka_unit_test_setup_teardown(reboots_after_another_process, set_up, tear_down),
                cmocka_unit_test_setup_teardown(no_reboot_when_cut_off, set_up, tear_down),
                cmocka_unit_test_setup_teardown(by_another_process, set_up, tear_down),
                cmocka_unit_test(knows_the_boot),
                cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
                cmocka_unit_test_setup_teardown(killed_at_every_step, set_up, tear_down),
        };
        int r;

        world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (world == MAP_FAILED || !mkdtemp(dir))
                return 1;
        snprintf(hold_file, sizeof(hold_file), "%s/held", dir);
        snprintf(events, sizeof(events), "%s/events.jsonl", dir);
        snprintf(hook, sizeof(hook), "%s/hook", dir);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        if (r == 0 && execl("/bin/rm", "rm", "-r", dir, NULL) < 0)
                return 1;
        return r;
}
