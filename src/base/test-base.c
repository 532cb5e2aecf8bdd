/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/blocks.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void cursor_stops_at_end(void **state) {
        static const uint8_t bytes[] = { 1, 2, 3, 4, 5 };
        Cursor c = cursor_make(bytes, sizeof(bytes));

        (void)state;
        assert_int_equal(cursor_u32(&c), 0x04030201);
        assert_int_equal(cursor_u16(&c), 0);
        assert_true(c.failed);
        assert_int_equal(cursor_u8(&c), 0); /* stays failed, although one byte is left */
        assert_int_equal(cursor_left(&c), 0);
}

static void cursor_slice_is_inside(void **state) {
        static const uint8_t bytes[8];
        Cursor c = cursor_make(bytes, sizeof(bytes));

        (void)state;
        assert_false(cursor_slice(&c, 8, 0).failed);
        assert_true(cursor_slice(&c, 8, 1).failed);
        assert_true(cursor_slice(&c, 9, 0).failed);
        assert_true(cursor_slice(&c, 1, SIZE_MAX).failed);
}

static void cursor_leb(void **state) {
        static const uint8_t good[] = { 0xe5, 0x8e, 0x26, 0x7f };
        static const uint8_t endless[] = {
                0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1
        };
        Cursor c = cursor_make(good, sizeof(good));

        (void)state;
        assert_int_equal(cursor_uleb(&c), 624485);
        assert_int_equal(cursor_sleb(&c), -1);
        assert_false(c.failed);
        c = cursor_make(endless, sizeof(endless));
        cursor_uleb(&c);
        assert_true(c.failed);
}

static void cursor_strings_end(void **state) {
        Cursor c = cursor_make("ab\0cd", 5);

        (void)state;
        assert_string_equal(cursor_string(&c), "ab");
        assert_null(cursor_string(&c)); /* "cd" has no NUL inside the buffer */
        assert_true(c.failed);
}

static void refusal_codes_are_found(void **state) {
        (void)state;
        for (int i = 0; i < REFUSAL_N; i++)
                assert_int_equal(refusal_find(refusal_get((RefusalCode)i)->code), i);
        assert_int_equal(refusal_find("no-such-code"), REFUSAL_N);
        assert_null(refusal_get(REFUSAL_N));
}

static void verdict_counts(void **state) {
        Arena *a = arena_new();
        bool accepted[REFUSAL_N] = { false };
        Verdict v;

        (void)state;
        verdict_init(&v, a);
        assert_true(verdict_hotpatchable(&v, NULL));
        verdict_add(&v, REFUSAL_CODE_STARTUP_ONLY, "main", " ");
        assert_true(verdict_hotpatchable(&v, NULL));
        for (int i = 0; i < 100; i++)
                verdict_add(&v, REFUSAL_CODE_LAYOUT_UNPROVED, "f", "%d", i);
        assert_int_equal(v.n, 1 + VERDICT_MAX_PER_CODE);
        assert_false(verdict_hotpatchable(&v, NULL));
        accepted[REFUSAL_CODE_LAYOUT_UNPROVED] = true;
        assert_true(verdict_hotpatchable(&v, accepted));
        arena_free(a);
}

static void arena_keeps_large_and_small(void **state) {
        Arena *a = arena_new();
        char *small = arena_strdup(a, "kept");
        unsigned char *large = arena_alloc(a, 3 << 20);

        (void)state;
        for (int i = 0; i < (3 << 20); i++)
                assert_int_equal(large[i], 0);
        memset(large, 0xff, 3 << 20);
        assert_string_equal(small, "kept");
        assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
        arena_free(a);
}

/* What the table says is what counting says, wherever the items lie and whatever it spans. */
static void blocks_count(void **state) {
        static const uint64_t spans[][2] = { { 0x1000, 0x9000 },
                                             { 0, UINT64_MAX },
                                             { 0x4000, 0x4000 },
                                             { 0x7000, 0x100000 },
                                             { 0x5000, 0x5001 } };
        _cleanup_(arena_freep) Arena *a = arena_new();
        uint64_t items[300][2], at = 0;
        uint32_t random = 1;

        (void)state;
        for (size_t n = 0; n <= ELEMENTSOF(items); n += n < 4 ? 1 : 74) {
                at = 0;
                for (size_t i = 0; i < n; i++) {
                        random = random * 1103515245 + 12345;
                        at = i == 1 ? 0x1000 : i + 2 == n ? UINT64_MAX - 7 : at + (random >> 16) % 200;
                        items[i][0] = at < (i ? items[i - 1][0] : 0) ? items[i - 1][0] : at;
                        items[i][1] = 0;
                }
                for (size_t k = 0; k < ELEMENTSOF(spans); k++) {
                        Blocks b = blocks_make(a, items, n, sizeof(items[0]), spans[k][0], spans[k][1]);

                        for (size_t i = 0; i <= n; i++)
                                for (int off = -1; off <= 1; off++) {
                                        uint64_t addr =
                                                (i < n ? items[i][0] : 0x8000) + (uint64_t)(int64_t)off;
                                        size_t above = 0;

                                        while (above < n && items[above][0] <= addr)
                                                above++;
                                        assert_int_equal(blocks_above(&b, addr), above);
                                }
                }
        }
}

static void error_texts(void **state) {
        Error e = { 0 };

        (void)state;
        assert_int_equal(error_set(&e, -EINVAL, "line %d", 3), -EINVAL);
        assert_int_equal(error_prefix(&e, "file %s", "a"), -EINVAL);
        assert_string_equal(e.text, "file a: line 3");
        assert_int_equal(error_set(NULL, -EIO, "no place for it"), -EIO);
}

/* Whoever waits to write into a FIFO goes on when somebody opens it for reading. */
static void only_regular_files_are_opened(void **state) {
        char dir[] = "/tmp/test-base-XXXXXX", path[64], link[64];
        static const char *const others[] = { "/dev/null", "/", "/proc/version" };
        pid_t writer;
        int fd, status = 0;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/fifo", dir);
        snprintf(link, sizeof(link), "%s/link", dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(symlink("fifo", link), 0);
        writer = fork();
        if (writer == 0)
                _exit(open(path, O_WRONLY) < 0);
        assert_true(writer > 0);
        assert_int_equal(file_open_regular(AT_FDCWD, link, 0), -EINVAL);
        assert_int_equal(waitpid(writer, &status, WNOHANG), 0);
        fd = open(path, O_RDONLY | O_NONBLOCK); /* this is what it would have been let go by */
        assert_int_equal(waitpid(writer, &status, 0), writer);
        close(fd);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                assert_int_equal(file_open_regular(AT_FDCWD, others[i], 0), i == 2 ? -ENODATA : -EINVAL);
        assert_int_equal(file_open_regular(AT_FDCWD, "/tmp/../etc/passwd", RESOLVE_BENEATH), -EXDEV);
        fd = file_open_regular(AT_FDCWD, "/proc/self/exe", 0);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cursor_stops_at_end),
                cmocka_unit_test(cursor_slice_is_inside),
                cmocka_unit_test(cursor_leb),
                cmocka_unit_test(cursor_strings_end),
                cmocka_unit_test(refusal_codes_are_found),
                cmocka_unit_test(verdict_counts),
                cmocka_unit_test(arena_keeps_large_and_small),
                cmocka_unit_test(blocks_count),
                cmocka_unit_test(error_texts),
                cmocka_unit_test(only_regular_files_are_opened),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
