/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/macro.h"
#include "deliver/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test-policy-XXXXXX", file[64], drop_ins[64];

static void put(const char *path, const char *text) {
        assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
}

/* The whole configuration is `text`; the first mistake must hold `part`. */
static void wrong(const char *text, const char *part) {
        Error e = { 0 };
        Policy p;

        put(file, text);
        if (policy_load(file, &p, &e) == 0)
                fail_msg("accepted: %s", text);
        if (!strstr(e.text, part))
                fail_msg("'%s' is not in '%s'", part, e.text);
}

static void mistakes(void **state) {
        (void)state;
        wrong("patch_mode = \"sometimes\"\n", "staunch.toml:1: patch_mode: must be one of \"automatic\"");
        wrong("\n\npatch_mod = \"manual\"\n",
              "staunch.toml:3: patch_mod: no such key; did you mean 'patch_mode'?");
        wrong("colour = 1\n", "no such key here");
        wrong("patch_mode = 3\n", "must be one of");
        wrong("scan_interval = \"1\"\n", "not a duration");
        wrong("scan_interval = \"1s\"\n", "out of range; from 5s to 86400s");
        wrong("package_restarts = true\n", "package_restarts");
        wrong("scan_interval = -5\n", "not a duration");
        wrong("a = \n", "staunch.toml:1:");
        wrong("[exclude]\nunit = [\"\"]\n[!]\n", "staunch.toml:3: not TOML");
        wrong("[[accept]]\npackage = \"nginx\"\ncode = \"layout-unprovd\"\n", "3: code: no such code");
        wrong("[[accept]]\npackage = \"nginx\"\ncode = \"process-busy\"\n", "cannot be accepted");
        wrong("[[accept]]\npackage = \"nginx\"\n", "'code' is missing");
        wrong("[accept]\npackage = \"nginx\"\n", "write [[accept]]");
        wrong("[[exclude]]\nunit = []\n", "write [exclude]");
        wrong("[exclude]\nunit = [1]\n", "every item must be a string, and one is an integer");
        wrong("[exclude]\nunit = \"x\"\n", "must be an array");
        wrong("[exclude]\nunit = [\n\"x\",\n\"\"]\n", "4: is empty");
        wrong("[exclude]\npath = [\"opt/x\"]\n", "2: begins with '/' or a wildcard");
        wrong("[exclude]\ncgroup = [\"system.slice/*\"]\n", "2: begins with '/' or a wildcard");
        wrong("[baseline]\nhook = [\"snap\"]\n", "2: hook: begins with the absolute path");
        wrong("[[hook]]\nevents = [\"*\"]\n", "'command' is missing");
        wrong("[[hook]]\nevents = []\ncommand = [\"/bin/true\"]\n", "2: events: must be a list");
        wrong("[[hook]]\nevents = [19, true]\ncommand = [\"/bin/true\"]\n", "must be a name or a number");
        wrong("[[hook]]\nevents = [\"patch-instaled\"]\ncommand = [\"/bin/true\"]\n",
              "no event 'patch-instaled'");
        wrong("[[hook]]\nevents = [1070]\ncommand = [\"/bin/true\"]\n", "given to none");
        wrong("[[hook]]\nevents = [19]\ncommand = [\"true\"]\n", "3: command: begins with the absolute path");
        wrong("[[hook]]\nevents = [19]\ncommand = [\"/bin/true\"]\ntimeout = \"1h\"\n", "out of range");
        wrong("[health]\nautomatic_rollback = 1\n", "must be true or false");
        wrong("[baseline]\nsnapshot = \"zfs\"\n", "2: snapshot: must be one of \"auto\"");
        wrong("[baseline]\nsnapshot = \"hook\"\n", "needs hook =");
        wrong("[baseline]\nkeep = 0\n", "out of range; from 1 to 1000");
        wrong("[baseline]\nkeep = \"3\"\n", "must be an integer");
        wrong("[baseline]\nmin_free = \"2 apples\"\n", "not a size");
        wrong("[baseline]\nmax_size = -1\n", "not a size");
}

/* One key of a window is not as it should be. */
static void wrong_window(const char *key, const char *value, const char *part) {
        static const char *const good[][2] = { { "name", "w" },
                                               { "start", "2026-12-01 22:00" },
                                               { "duration", "3h" },
                                               { "time_zone", "UTC" },
                                               { "recur", "Day" } };
        char text[512] = "[[window]]\n";
        size_t n = strlen(text);

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (strcmp(good[i][0], key) != 0)
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s = \"%s\"\n", good[i][0],
                                              good[i][1]);
        if (value)
                snprintf(text + n, sizeof(text) - n, "%s = \"%s\"\n", key, value);
        wrong(text, part);
}

static void windows(void **state) {
        Policy p;
        Error e = { 0 };

        (void)state;
        wrong_window("name", NULL, "'name' is missing");
        wrong_window("name", "", "1 to 64 characters");
        wrong_window("start", "2026-12-32 22:00", ":6: start: not a date and time");
        wrong_window("duration", "9min", "from 10min to 24h");
        wrong_window("duration", "25h", "from 10min to 24h");
        wrong_window("duration", "03:60", "from 10min to 24h");
        wrong_window("time_zone", "Europe/Atlantis", ":6: time_zone: no such time zone");
        wrong_window("recur", "Month Fifth Sunday", ":6: recur: ");
        wrong_window("expiration", "2026-11-30 00:00", "is before the start");
        wrong_window("recurr", "Day", "did you mean 'recur'?");
        wrong("[[window]]\nname = \"w\"\nstart = 2026-12-01T22:00:00\nduration = \"3h\"\n",
              ":3: start: write it in quotes");
        wrong("[restart]\nreboot = \"sometimes\"\n", "must be one of \"IfRequired\"");
        wrong("[restart]\ntimeout = \"0s\"\n", "out of range");
        wrong("[restart]\nreboot_required = \"x\"\n", "absolute path");
        wrong("[[drain]]\nunit = \"x\"\n", "says nothing");
        wrong("[[drain]]\nunit = \"x\"\nhaproxy = \"/s\"\n", "go together");
        wrong("[[drain]]\nunit = \"x\"\nhaproxy = \"s\"\nserver = [\"a/b\"]\n", "absolute path");
        wrong("[[drain]]\nunit = \"x\"\nhaproxy = \"/s\"\nserver = [\"a\"]\n", "write BACKEND/SERVER");
        wrong("[[drain]]\nunit = \"x\"\nhaproxy = \"/s\"\nserver = [\"a/b; shutdown\"]\n",
              "write BACKEND/SERVER");

        put(file, "[restart]\nreboot = \"ifrequired\"\nnever = [\"a\"]\n"
                  "[[window]]\nname = \"a\"\nstart = \"2026-12-01T22:00\"\nduration = \"03:30\"\nunit = "
                  "[\"web*\"]\n"
                  "recur = \"1Month Second Tuesday Offset4\"\ntime_zone = \"Europe/Berlin\"\n"
                  "[[window]]\nname = \"b\"\nstart = \"2026-12-01 00:00\"\nduration = \"1h\"\n"
                  "[[drain]]\nunit = \"web*\"\nhaproxy = \"/run/h\"\nserver = [\"a/b\", \"c/d\"]\n");
        if (policy_load(file, &p, &e) < 0)
                fail_msg("%s", e.text);
        assert_int_equal(p.n_window, 2);
        assert_int_equal(p.window[0].duration_sec, 12600);
        assert_int_equal(p.window[0].recur.offset, 4);
        assert_string_equal(p.window[1].zone, "");
        assert_int_equal(p.window[1].recur.unit, RECUR_ONCE);
        assert_int_equal(p.restart.reboot, REBOOT_IF_REQUIRED);
        assert_int_equal(p.restart.n_never, 1);
        assert_true(p.restart.stop_at_failure);
        assert_int_equal(p.n_drain, 1);
        assert_int_equal(p.drain[0].n_servers, 2);
        policy_free(&p);
}

static void defaults(void **state) {
        Policy p;

        (void)state;
        remove(file);
        assert_int_equal(policy_load(file, &p, NULL), 0);
        assert_int_equal(p.mode, PATCH_AUTOMATIC);
        assert_int_equal(p.deadline_usec, 5000000);
        assert_true(p.automatic_rollback);
        assert_int_equal(p.baseline.snapshot.kind, SNAPSHOT_AUTO);
        assert_int_equal(p.baseline.snapshot.max_size, UINT64_C(2) << 30);
        assert_true(p.baseline.automatic_rollback);
        assert_false(p.baseline.require_snapshot);
        policy_free(&p);
        put(file, "[baseline]\nsnapshot = \"hook\"\nhook = [\"/x\", \"y\"]\nmin_free = \"512 MiB\"\nkeep = "
                  "7\nsettle = 0\n");
        assert_int_equal(policy_load(file, &p, NULL), 0);
        assert_int_equal(p.baseline.snapshot.n_hook, 2);
        assert_string_equal(p.baseline.snapshot.hook[1], "y");
        assert_int_equal(p.baseline.snapshot.min_free, 512 << 20);
        assert_int_equal(p.baseline.snapshot.keep, 7);
        assert_int_equal(p.baseline.settle_usec, 0);
        policy_free(&p);
        remove(file);
}

static void everything(void **state) {
        bool accepted[REFUSAL_N] = { 0 };
        char path[128];
        Policy p;
        Error e = { 0 };

        (void)state;
        put(file, "patch_mode = \"automaticbyplatform\"\nsafe_point_deadline = "
                  "\"1min30s\"\nunresponsive_after = \"2min\"\nscan_interval = 90\n"
                  "[exclude]\nunit = [\"postgresql*.service\"]\npath = [\"/opt/*\", \"/srv/x\"]\n"
                  "[[accept]]\npackage = \"lib*\"\ncode = \"layout-unproved\"\n");
        snprintf(path, sizeof(path), "%s/20-later.toml", drop_ins);
        put(path, "scan_interval = \"2min\"\npackage_restarts = \"hold\"\n[[accept]]\npackage = \"x\"\ncode "
                  "= \"data-const\"\n");
        snprintf(path, sizeof(path), "%s/10-earlier.toml", drop_ins);
        put(path, "scan_interval = \"1h\"\npackage_wait = \"3min\"\n");
        if (policy_load(file, &p, &e) < 0)
                fail_msg("%s", e.text);
        assert_int_equal(p.deadline_usec, 90000000);
        assert_int_equal(p.unresponsive_usec, 120000000);
        assert_int_equal(p.scan_sec, 120);
        assert_int_equal(p.package_wait_sec, 180);
        assert_int_equal(p.hold_restarts, 1);
        assert_int_equal(p.n_accept, 2);
        assert_true(policy_excludes(&p, MATCH_UNIT, "postgresql@15-main.service"));
        assert_false(policy_excludes(&p, MATCH_PATH, "postgresql@15-main.service"));
        assert_true(policy_excludes(&p, MATCH_PATH, "/opt/a/b"));
        policy_accepted(&p, "nginx", accepted);
        assert_false(accepted[REFUSAL_CODE_LAYOUT_UNPROVED]);
        policy_accepted(&p, "libssl3", accepted);
        assert_true(accepted[REFUSAL_CODE_LAYOUT_UNPROVED]);
        policy_free(&p);

        /* A mistake in a drop-in names the drop-in. */
        put(path, "scan_interval = \"soon\"\n");
        assert_true(policy_load(file, &p, &e) < 0);
        assert_non_null(strstr(e.text, "10-earlier.toml:1: scan_interval"));
        remove(path);
}

static void count(void *data, const char *text) {
        (void)text;
        ++*(size_t *)data;
}

static void hooks(void **state) {
        Policy p;

        (void)state;
        put(file,
            "[[hook]]\nevents = [19, \"restart-pending\"]\ncommand = [\"/bin/mail\", \"root\"]\n"
            "[[hook]]\nevents = [\"*\"]\ncommand = [\"/bin/true\"]\nuser = \"daemon\"\ntimeout = \"2min\"\n");
        assert_int_equal(policy_load(file, &p, NULL), 0);
        assert_int_equal(p.n_hook, 2);
        assert_true(p.hook[0].events[EVENT_PATCH_INSTALLED] && p.hook[0].events[EVENT_RESTART_PENDING]);
        assert_false(p.hook[0].events[EVENT_PATCH_FAILED]);
        assert_string_equal(p.hook[0].command[1], "root");
        assert_null(p.hook[0].command[2]);
        assert_string_equal(p.hook[0].user, "nobody");
        assert_int_equal(p.hook[0].timeout_usec, 30000000);
        assert_true(p.hook[1].events[EVENT_PATCH_FAILED]);
        assert_false(p.hook[1].events[EVENT_HOOK_FAILED] || p.hook[1].events[EVENT_HOOK_DROPPED]);
        assert_string_equal(p.hook[1].user, "daemon");
        assert_int_equal(p.hook[1].timeout_usec, 120000000);
        policy_free(&p);
}

static void keep(void *data, const char *text) {
        snprintf(data, 256, "%s", text);
}

/* One who is named in vain is told before the first event is lost, and yet puts no policy out of force. */
static void users_are_known(void **state) {
        char told[256] = "";
        Policy p;

        (void)state;
        put(file, "[[hook]]\nevents = [19]\ncommand = [\"/bin/true\"]\nuser = \"no-such-user\"\n");
        assert_int_equal(policy_check(file, true, keep, told, NULL), 1);
        assert_non_null(strstr(told, ":4: user: there is no user 'no-such-user'"));
        assert_int_equal(policy_load(file, &p, NULL), 0);
        policy_free(&p);
        put(file, "[[probe]]\nunit = \"a.service\"\ncommand = [\"/bin/true\"]\nuser = \"no-such-user\"\n");
        assert_int_equal(policy_check(file, true, keep, told, NULL), 1);
        assert_non_null(strstr(told, ":4: user: there is no user 'no-such-user'"));
        put(file, "[[hook]]\nevents = [19]\ncommand = [\"/bin/true\"]\nuser = \"root\"\n");
        assert_int_equal(policy_check(file, true, keep, told, NULL), 0);
}

#define BEFORE_HOOK "[[hook]]\nevents = [19]\n"
/* The same of programs, with the line of the value that names them. */
static void programs_are_there(void **state) {
        static const struct {
                const char *head, *tail, *told; /* the program stands between the two */
                unsigned mode;                  /* of the program; 0: there is none */
        } cases[] = {
                { BEFORE_HOOK "command = [\"", "\", \"x\"]\n", ":3: command: there is no program", 0 },
                { BEFORE_HOOK "command = [\"", "\"]\n", ":3: command: '", 0644 },
                { BEFORE_HOOK "command = [\"", "\"]\n", "user 'nobody' may not execute", 0700 },
                { BEFORE_HOOK "command = [\"", "\"]\nuser = \"root\"\n", NULL, 0700 },
                { BEFORE_HOOK "command = [\"", "\"]\n", NULL, 0755 },
                { "[[probe]]\nunit = \"a.service\"\ncommand = [\"", "\"]\n",
                  ":3: command: there is no program", 0 },
                { "[[probe]]\nunit = \"a.service\"\ncommand = [\"", "\"]\n", NULL, 0755 },
                { "[baseline]\nhook = [\"", "\"]\n", ":2: hook: there is no program", 0 },
                { "[baseline]\nhook = [\"", "\"]\n", NULL, 0700 },
                { "[[drain]]\nunit = \"a.service\"\nbefore = \"", " now\"\n",
                  ":3: before: there is no program", 0 },
                { "[[drain]]\nunit = \"a.service\"\nbefore = \"true\"\nafter = \"", "\"\n",
                  ":4: after: there is no", 0 },
                { "[[drain]]\nunit = \"a.service\"\nbefore = \"", "$X now\"\n", NULL, 0 }, /* the shell's */
                { "[restart]\nreboot_command = \"", "\"\n", ":2: reboot_command: there is no program", 0 },
        };
        char program[80], text[512], told[256];
        Policy p;

        (void)state;
        assert_int_equal(chmod(dir, 0755), 0);
        snprintf(program, sizeof(program), "%s/program", dir);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                *told = 0;
                if (cases[i].mode) {
                        put(program, "#!/bin/sh\n");
                        assert_int_equal(chmod(program, cases[i].mode), 0);
                }
                snprintf(text, sizeof(text), "%s%s%s", cases[i].head, program, cases[i].tail);
                put(file, text);
                assert_int_equal(policy_check(file, true, keep, told, NULL), cases[i].told != NULL);
                if (cases[i].told && !strstr(told, cases[i].told))
                        fail_msg("'%s' is not in '%s'", cases[i].told, told);
                assert_int_equal(policy_check(file, false, NULL, NULL, NULL), 0);
                assert_int_equal(policy_load(file, &p, NULL), 0);
                policy_free(&p);
                unlink(program);
        }
        /* A way that is closed to others. */
        put(program, "#!/bin/sh\n");
        assert_int_equal(chmod(program, 0755), 0);
        assert_int_equal(chmod(dir, 0700), 0);
        snprintf(text, sizeof(text), BEFORE_HOOK "command = [\"%s\"]\n", program);
        put(file, text);
        assert_int_equal(policy_check(file, true, keep, told, NULL), 1);
        assert_non_null(strstr(told, "is closed to others"));
        unlink(program);
}

static void all_mistakes_are_told(void **state) {
        size_t told = 0;

        (void)state;
        put(file, "a = 1\nb = 2\n[health]\nautomatic_rollback = \"x\"\n");
        assert_int_equal(policy_check(file, true, count, &told, NULL), 3);
        assert_int_equal(told, 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mistakes),        cmocka_unit_test(windows),
                cmocka_unit_test(defaults),        cmocka_unit_test(everything),
                cmocka_unit_test(hooks),           cmocka_unit_test(all_mistakes_are_told),
                cmocka_unit_test(users_are_known), cmocka_unit_test(programs_are_there),
        };
        char command[128];
        int r;

        if (!mkdtemp(dir))
                return 1;
        snprintf(file, sizeof(file), "%s/staunch.toml", dir);
        snprintf(drop_ins, sizeof(drop_ins), "%s.d", file);
        mkdir(drop_ins, 0700);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        return system(command) || r;
}
