/* SPDX-License-Identifier: Apache-2.0 */
#include "base/command.h"
#include "base/file.h"
#include "base/macro.h"
#include "snapshot/snapshot.h"
#include "store/baseline.h"

#include <btrfsutil.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

/* On a file system of its own, on a loop device, in a mount namespace of its own. */

static char dir[] = "/tmp/test-btrfs-XXXXXX", device[64], root[64], state_dir[128];
static SnapshotPolicy policy = { .kind = SNAPSHOT_AUTO };
static SnapshotContext context = { .policy = &policy, .root = root, .state = state_dir };

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...) {
        char text[1024];
        CommandResult out;
        Error e = { 0 };
        va_list ap;
        int r;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        r = command_must(&(Command){ .argv = (const char *const[]){ "sh", "-ec", text, NULL } }, &out, &e);
        if (r < 0)
                printf("%s: %s\n", text, e.text);
        else if (out.n)
                snprintf(device, sizeof(device), "%.*s", (int)strcspn(out.output, "\n"), out.output);
        command_result_free(&out);
        return r;
}

/* 0; 77 and the reason when this machine can't. */
static int prepare(void) {
        if (geteuid() != 0) {
                puts("needs root");
                return 77;
        }
        if (shell("command -v mkfs.btrfs >&2 && command -v losetup >&2") < 0 ||
            access("/dev/loop-control", R_OK) < 0) {
                puts("needs btrfs-progs and loop devices");
                return 77;
        }
        if (!mkdtemp(dir) || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                puts("needs a mount namespace");
                return 77;
        }
        snprintf(root, sizeof(root), "%s/root", dir);
        snprintf(state_dir, sizeof(state_dir), "%s/var/staunch", root);
        if (shell("truncate -s 256M %s/image && mkfs.btrfs -q %s/image >&2 && mkdir %s %s/top && losetup "
                  "--show "
                  "-f %s/image",
                  dir, dir, root, dir, dir) < 0 ||
            !device[0]) {
                puts("no loop device can be had");
                return 77;
        }
        if (mount(device, root, "btrfs", 0, NULL) < 0) {
                puts("this kernel has no btrfs");
                return 77;
        }
        if (shell("btrfs subvolume create %s/@ >&2 && umount %s && mount -o subvol=@ %s %s && mkdir -p %s",
                  root, root, device, root, state_dir) < 0)
                return 1;
        return 0;
}

static void put(const char *name, const char *text) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", root, name);
        assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
}

static bool says(const char *name, const char *text) {
        char path[PATH_MAX];
        FileBytes f = { 0 };
        bool same;

        snprintf(path, sizeof(path), "%s/%s", root, name);
        same = file_read(path, 4096, &f, NULL) == 0 && f.size == strlen(text) &&
               memcmp(f.bytes, text, f.size) == 0;
        file_release(&f);
        return same;
}

static void count(void *data, const SnapshotMade *m) {
        (void)m;
        (*(unsigned *)data)++;
}

static unsigned number(void) {
        unsigned n = 0;

        assert_int_equal(snapshot_btrfs.list(&context, count, &n, NULL), 0);
        return n;
}

static void taken_and_dropped(void **state) {
        SnapshotMade m = { 0 }, other;
        SnapshotSpace space;
        char path[PATH_MAX];
        Error e = { 0 };

        (void)state;
        put("file", "before");
        assert_int_equal(snapshot_btrfs.take(&context, "staunch-1-1", &m, &e), 0);
        put("file", "after");
        snprintf(path, sizeof(path), ".staunch-snapshots/%s/file", m.handle);
        assert_true(says(path, "before"));
        assert_int_equal(number(), 1);
        assert_int_equal(snapshot_btrfs.space(&context, &space, &e), 0);
        assert_true(space.free > 0 && space.free <= space.total);
        /* What took its name is not it. */
        other = m;
        other.mark[0] ^= 1;
        assert_int_equal(snapshot_btrfs.drop(&context, &other, &e), -ESTALE);
        assert_int_equal(snapshot_btrfs.rollback(&context, &other, "staunch-2", &e), -ESTALE);
        strcpy(other.handle, "../../x");
        assert_int_equal(snapshot_btrfs.drop(&context, &other, &e), -EINVAL);
        assert_int_equal(number(), 1);
        assert_int_equal(snapshot_btrfs.drop(&context, &m, &e), 0);
        assert_int_equal(snapshot_btrfs.drop(&context, &m, &e), -ENOENT);
        assert_int_equal(number(), 0);
}

static void note_state(void *data, const StoreBaseline *b) {
        snprintf(data, 64, "%s", b->state);
}

/* As a reboot does: the root is mounted anew, by its name. */
static void mount_anew(void) {
        assert_int_equal(umount2(root, 0), 0);
        assert_int_equal(mount(device, root, "btrfs", 0, "subvol=@"), 0);
}

static void root_comes_back(void **state) {
        static const char *const units[] = { "a.service" };
        SnapshotMade m = { 0 };
        Store *store = NULL;
        int64_t id = 0;
        char text[64] = "";
        Error e = { 0 };

        (void)state;
        put("file", "before");
        assert_int_equal(snapshot_btrfs.take(&context, "staunch-1-2", &m, &e), 0);
        put("file", "after");
        put("new", "new");
        assert_int_equal(store_open(state_dir, &store, &e), 0);
        assert_int_equal(store_add_baseline(store, 1, units, 1, &id, &e), 0);
        assert_int_equal(store_set_baseline(store, id, "rebooting", "it failed", 2, &e), 0);
        /* Twice, as when the power is cut before it is written down that it was done. */
        for (int i = 0; i < 2; i++)
                if (snapshot_btrfs.rollback(&context, &m, "staunch-before-2", &e) != SNAPSHOT_REBOOT)
                        fail_msg("%s", e.text);
        assert_true(says("file", "after")); /* not yet */
        store = store_close(store);
        mount_anew();
        assert_true(says("file", "before"));
        assert_false(says("new", "new"));
        assert_int_equal(store_open(state_dir, &store, &e), 0);
        assert_int_equal(store_each_baseline(store, note_state, text, &e), 0);
        assert_string_equal(text, "rebooting");
        store = store_close(store);
        put("file", "writable");
        assert_int_equal(snapshot_btrfs.rollback(&context, &m, "staunch-before-2", &e),
                         0); /* it is in force */
        /* What was the root is kept. */
        assert_int_equal(shell("mount -o subvolid=5 %s %s/top && test after = $(cat "
                               "%s/top/staunch-before-2/file) && umount %s/top",
                               device, dir, dir, dir),
                         0);
}

/* Cut off after the copy was made and before it took the place: begun anew. */
static void half_a_copy_is_made_anew(void **state) {
        SnapshotMade m = { 0 };
        Error e = { 0 };

        (void)state;
        put("file", "before");
        assert_int_equal(snapshot_btrfs.take(&context, "staunch-1-3", &m, &e), 0);
        put("file", "after");
        assert_int_equal(shell("mount -o subvolid=5 %s %s/top && btrfs -q subvolume create "
                               "%s/top/staunch-before-3 >&2 && umount %s/top",
                               device, dir, dir, dir),
                         0);
        if (snapshot_btrfs.rollback(&context, &m, "staunch-before-3", &e) != SNAPSHOT_REBOOT)
                fail_msg("%s", e.text);
        mount_anew();
        assert_true(says("file", "before"));
}

static void mounted_by_number(void **state) {
        SnapshotMade m = { 0 };
        char etc[128];
        Error e = { 0 };

        (void)state;
        assert_int_equal(snapshot_btrfs.take(&context, "staunch-1-4", &m, &e), 0);
        snprintf(etc, sizeof(etc), "%s/etc", root);
        mkdir(etc, 0755);
        put("etc/fstab", "# subvolid=3\nUUID=x / btrfs subvolid=256 0 0\n");
        assert_int_equal(snapshot_btrfs.rollback(&context, &m, "staunch-before-4", &e), -ENOTSUP);
        put("etc/fstab", "# subvolid=3\n");
        assert_int_equal(snapshot_btrfs.rollback(&context, &m, "staunch-before-4", &e), SNAPSHOT_REBOOT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(taken_and_dropped),
                cmocka_unit_test(root_comes_back),
                cmocka_unit_test(half_a_copy_is_made_anew),
                cmocka_unit_test(mounted_by_number),
        };
        int r = prepare();

        if (r == 0)
                r = cmocka_run_group_tests(tests, NULL, NULL);
        umount2(root, MNT_DETACH);
        if (device[0] == '/')
                shell("losetup -d %s", device);
        if (strchr(dir, 'X') == NULL)
                shell("rm -r --one-file-system %s", dir);
        return r;
}
