/* SPDX-License-Identifier: Apache-2.0 */
#include "base/command.h"
#include "base/file.h"
#include "base/macro.h"
#include "snapshot/snapshot.h"
#include "snapshot/test-folder.h"
#include "store/baseline.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The provider lvm against programs of the test's in the place of LVM's, which say what lvs of LVM 2.03.16
 * prints; what they call a snapshot is a file system on a loop device. With LVM itself: tests/vm, case
 * rollback. */

static char root[64], state_dir[128];
static SnapshotPolicy policy = { .kind = SNAPSHOT_AUTO };
static SnapshotContext context;

static int begin(void **state) {
        (void)state;
        context = (SnapshotContext){ .policy = &policy, .root = root, .state = state_dir };
        return 0;
}

static void count(void *data, const SnapshotMade *m) {
        (void)m;
        (*(unsigned *)data)++;
}

static const char fake_lvm[] =
        "#!/bin/sh\n"
        "cd %s || exit 1\n"
        "echo \"${0##*/} $*\" >>said\n"
        "case ${0##*/} in\n"
        "lvs) cat report.json ;;\n"
        "lvcreate) sed 's|\"lv_full_name\":\"vg0/other\"|\"lv_full_name\":\"vg0/staunch-7-1\"|; "
        "s|\"lv_tags\":\"\"|\"lv_tags\":\"a,staunch\"|' report.json >r && mv r report.json ;;\n"
        "esac\n";

/* The root lies on `source`; the snapshot is at `snapshot`. */
static void use_lvm(const char *source, const char *snapshot) {
        static const char *const names[] = { "lvs", "lvcreate", "lvremove", "lvconvert", "lvchange" };
        char text[2048], report[4096], search[PATH_MAX + 200];

        snprintf(
                report, sizeof(report),
                "  {\n      \"report\": [\n          {\n              \"lv\": [\n"
                "{\"lv_full_name\":\"vg0/root\", \"lv_name\":\"root\", \"lv_uuid\":\"R\", "
                "\"lv_dm_path\":\"%s\", "
                "\"lv_path\":\"/dev/vg0/root\", \"segtype\":\"thin\", \"pool_lv\":\"pool\", \"origin\":\"\", "
                "\"lv_tags\":\"\", \"lv_attr\":\"Vwi-aotz--\", \"lv_size\":\"8589934592\", "
                "\"data_percent\":\"20.00\", "
                "\"vg_name\":\"vg0\"},\n"
                "{\"lv_full_name\":\"vg0/pool\", \"lv_name\":\"pool\", \"lv_uuid\":\"P\", "
                "\"lv_dm_path\":\"/dev/mapper/vg0-pool\", "
                "\"lv_path\":\"\", \"segtype\":\"thin-pool\", \"pool_lv\":\"\", \"origin\":\"\", "
                "\"lv_tags\":\"\", "
                "\"lv_attr\":\"twi-aotz--\", \"lv_size\":\"1000000\", \"data_percent\":\"25.00\", "
                "\"vg_name\":\"vg0\"},\n"
                "{\"lv_full_name\":\"vg0/other\", \"lv_name\":\"other\", \"lv_uuid\":\"S\", "
                "\"lv_dm_path\":\"%s\", "
                "\"lv_path\":\"\", \"segtype\":\"thin\", \"pool_lv\":\"pool\", \"origin\":\"root\", "
                "\"lv_tags\":\"\", "
                "\"lv_attr\":\"Vwi---tz-k\", \"lv_size\":\"8589934592\", \"data_percent\":\"\", "
                "\"vg_name\":\"vg0\"}\n"
                "              ]\n          }\n      ]\n  }\n",
                source, snapshot);
        put("report.json", report, 0600);
        snprintf(text, sizeof(text), fake_lvm, dir);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                put(names[i], text, 0755);
        snprintf(search, sizeof(search), "%s:/usr/bin:/bin", dir);
        setenv("PATH", search, 1);
        unlink(in("said"));
}

/* What the root of this machine lies on, as the report is to name it. */
static bool root_source(char out[256]) {
        FILE *f = popen("findmnt -n -o SOURCE -T / | sed 's/\\[.*//'", "r");
        bool good = f && fgets(out, 256, f);

        if (f)
                pclose(f);
        out[strcspn(out, "\n")] = 0;
        return good && strncmp(out, "/dev/", 5) == 0;
}

static void lvm_is_driven(void **state) {
        char source[256];
        SnapshotSpace space;
        SnapshotMade m = { 0 };
        unsigned n = 0;
        Error e = { 0 };

        (void)state;
        if (!root_source(source)) {
                print_message("the root is on no block device\n");
                skip();
        }
        use_lvm(source, "/dev/nowhere");
        assert_int_equal(snapshot_lvm.available(&context, &e), 0);
        assert_int_equal(snapshot_lvm.space(&context, &space, &e), 0);
        assert_int_equal(space.free, 750000);
        assert_int_equal(snapshot_lvm.take(&context, "staunch-7-1", &m, &e), 0);
        assert_string_equal(m.handle, "vg0/staunch-7-1");
        assert_string_equal(m.mark, "S");
        assert_non_null(strstr(get("said"),
                               "\nlvcreate --yes --snapshot --name staunch-7-1 --addtag staunch vg0/root\n"));
        assert_int_equal(snapshot_lvm.list(&context, count, &n, &e), 0);
        /* With a state that lies elsewhere there is nothing to be carried. */
        context.state = dir;
        assert_int_equal(snapshot_lvm.rollback(&context, &m, "x", &e), SNAPSHOT_REBOOT);
        assert_null(strstr(get("said"), "lvchange"));
        assert_non_null(strstr(get("said"), "\nlvconvert --yes --merge vg0/staunch-7-1\n"));
        /* One of the same name that has another UUID is somebody else's. */
        strcpy(m.mark, "T");
        assert_int_equal(snapshot_lvm.drop(&context, &m, &e), -ESTALE);
        assert_int_equal(snapshot_lvm.rollback(&context, &m, "x", &e), -ESTALE);
        strcpy(m.mark, "S");
        assert_null(strstr(get("said"), "lvremove"));
        assert_int_equal(snapshot_lvm.drop(&context, &m, &e), 0);
        assert_non_null(strstr(get("said"), "\nlvremove --yes vg0/staunch-7-1\n"));
        strcpy(m.handle, "vg0/staunch-8-1");
        assert_int_equal(snapshot_lvm.drop(&context, &m, &e), -ENOENT);
}

static void lvm_is_not_here(void **state) {
        Error e = { 0 };

        (void)state;
        use_lvm("/dev/elsewhere", "/dev/nowhere");
        assert_int_equal(snapshot_lvm.available(&context, &e), SNAPSHOT_ABSENT);
        put("report.json", "{\"report\": [{}]}", 0600);
        assert_true(snapshot_lvm.available(&context, &e) != 0);
        put("report.json", "{", 0600);
        assert_true(snapshot_lvm.available(&context, &e) != 0);
}

/* Its first line of output, in `out`. */
static int shell(char *out, size_t size, const char *text) {
        CommandResult result;
        Error e = { 0 };
        int r = command_must(&(Command){ .argv = (const char *const[]){ "sh", "-ec", text, NULL } }, &result,
                             &e);

        if (r < 0) {
                print_message("%s: %s\n", text, e.text);
                return r;
        }
        snprintf(out, size, "%.*s", (int)strcspn(result.output, "\n"), result.output);
        command_result_free(&result);
        return 0;
}

static void note_state(void *data, const StoreBaseline *b) {
        snprintf(data, 64, "%s", b->state);
}

/* What a baseline knew when its rollback began is in the root that comes back, which is older than that. */
static void state_is_carried(void **state) {
        char source[256], type[64], device[64] = "", text[1024], known[64] = "", there[PATH_MAX];
        SnapshotMade m = { .handle = "vg0/staunch-7-1", .mark = "S" };
        static const char *const units[] = { "a.service" };
        Store *store = NULL;
        Error e = { 0 };
        int64_t id;

        (void)state;
        if (geteuid() != 0 || access("/dev/loop-control", R_OK) < 0 || !root_source(source)) {
                print_message("needs root, a loop device, and the root on a block device\n");
                skip();
        }
        assert_int_equal(shell(type, sizeof(type), "findmnt -n -o FSTYPE -T /tmp"), 0);
        snprintf(text, sizeof(text),
                 "PATH=$PATH:/usr/sbin:/sbin; truncate -s 512M %s/image && mkfs.%s %s/image >/dev/null 2>&1 "
                 "&& "
                 "losetup --show -f %s/image",
                 dir, type, dir, dir);
        if (shell(device, sizeof(device), text) < 0 || device[0] != '/') {
                print_message("no %s on a loop device can be had\n", type);
                skip();
        }
        /* The snapshot: with a state from before the baseline. */
        assert_int_equal(mkdir(in("snapshot"), 0700), 0);
        snprintf(there, sizeof(there), "%s/snapshot", dir);
        assert_int_equal(mount(device, there, type, 0, NULL), 0);
        snprintf(text, sizeof(text), "mkdir -p %s/var/lib/staunch", there);
        assert_int_equal(shell(known, sizeof(known), text), 0);
        assert_int_equal(umount2(there, 0), 0);

        assert_int_equal(store_open(state_dir, &store, &e), 0);
        assert_int_equal(store_add_baseline(store, 1, units, 1, &id, &e), 0);
        assert_int_equal(store_set_baseline(store, id, "rebooting", "not well", 2, &e), 0);
        store = store_close(store);
        use_lvm(source, device);
        assert_int_equal(snapshot_lvm.take(&context, "staunch-7-1", &m, &e), 0);
        assert_int_equal(snapshot_lvm.rollback(&context, &m, "x", &e), SNAPSHOT_REBOOT);
        assert_non_null(strstr(get("said"), "\nlvchange --activate y --ignoreactivationskip vg0/staunch-7-1\n"
                                            "lvconvert --yes --merge vg0/staunch-7-1\n"));

        assert_int_equal(mount(device, there, type, 0, NULL), 0);
        snprintf(text, sizeof(text), "%s/var/lib/staunch", there);
        assert_int_equal(store_open(text, &store, &e), 0);
        assert_int_equal(store_each_baseline(store, note_state, known, &e), 0);
        store_close(store);
        assert_string_equal(known, "rebooting");
        assert_int_equal(umount2(there, 0), 0);

        /* A snapshot that can't be mounted becomes no root: the machine would not know why it went back. */
        use_lvm(source, "/dev/nowhere");
        assert_int_equal(snapshot_lvm.take(&context, "staunch-7-1", &m, &e), 0);
        assert_int_equal(snapshot_lvm.rollback(&context, &m, "x", &e), -ENOENT);
        assert_null(strstr(get("said"), "lvconvert"));
        snprintf(text, sizeof(text), "PATH=$PATH:/usr/sbin:/sbin; losetup -d %s", device);
        assert_int_equal(shell(known, sizeof(known), text), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(lvm_is_driven, begin),
                cmocka_unit_test_setup(lvm_is_not_here, begin),
                cmocka_unit_test_setup(state_is_carried, begin),
        };
        char text[256];
        int r;

        if (!mkdtemp(dir))
                return 1;
        snprintf(root, sizeof(root), "%s/root", dir);
        snprintf(state_dir, sizeof(state_dir), "%s/var/lib/staunch", root);
        snprintf(text, sizeof(text), "mkdir -p %s", state_dir);
        if (shell(text, sizeof(text), text) < 0)
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        if (r == 0 && execl("/bin/rm", "rm", "-r", "--one-file-system", dir, NULL) < 0)
                return 1;
        return r;
}
