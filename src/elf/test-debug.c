/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/debug.h"
#include "test-support.h"

#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state) {
        (void)state;
        unsetenv("DEBUGINFOD_URLS");
        strcpy(root, "/tmp/staunch-test-XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
        (void)st;
        (void)type;
        (void)at;
        return remove(path);
}

static int remove_root(void **state) {
        (void)state;
        return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Copies a fixture to a place under the root, with its directories. Returns the full path. */
static const char *place(const char *name, const char *at) {
        static char path[4096];
        FileBytes file = { 0 };
        Error e;

        assert_int_equal(file_read(fixture_path(name), IMAGE_MAX_SIZE, &file, &e), 0);
        snprintf(path, sizeof(path), "%s%s", root, at);
        for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = 0;
                if (mkdir(path, 0755) < 0)
                        assert_int_equal(errno, EEXIST);
                *slash = '/';
        }
        assert_int_equal(file_write_atomic(path, file.bytes, file.size, &e), 0);
        file_release(&file);
        return path;
}

static void expect(const char *image_at, const char *debug_at) {
        _cleanup_(image_freep) Image *image = NULL;
        _cleanup_(freep) char *path = NULL;
        char wanted[4096], full[4096];
        Error e;
        int r;

        snprintf(full, sizeof(full), "%s%s", root, image_at);
        assert_int_equal(image_open(full, &image, &e), 0);
        r = debug_find(image, NULL, root, &path, &e);
        if (!debug_at) {
                assert_int_equal(r, DEBUG_NONE);
                assert_null(path);
                return;
        }
        assert_int_equal(r, 0);
        snprintf(wanted, sizeof(wanted), "%s%s", root, debug_at);
        assert_string_equal(path, wanted);
}

static void searched_places(void **state) {
        _cleanup_(image_freep) Image *image = fixture_open("fixture-library");
        char hex[2 * BUILD_ID_MAX + 1], by_id[256];

        (void)state;
        place("fixture-stripped", "/usr/bin/program");
        expect("/usr/bin/program", NULL);
        place("fixture.debug", "/usr/lib/debug/usr/bin/fixture.debug");
        expect("/usr/bin/program", "/usr/lib/debug/usr/bin/fixture.debug");
        place("fixture.debug", "/usr/bin/.debug/fixture.debug");
        expect("/usr/bin/program", "/usr/bin/.debug/fixture.debug");
        place("fixture.debug", "/usr/bin/fixture.debug");
        expect("/usr/bin/program", "/usr/bin/fixture.debug");
        build_id_text(&image->build_id, hex);
        snprintf(by_id, sizeof(by_id), "/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
        place("fixture.debug", by_id);
        expect("/usr/bin/program", by_id);
}

static void another_builds_file_is_passed_over(void **state) {
        (void)state;
        place("fixture-stripped", "/usr/bin/program");
        place("fixture-pie", "/usr/bin/fixture.debug"); /* the right name, another build-id */
        expect("/usr/bin/program", NULL);
        place("fixture.debug", "/usr/lib/debug/usr/bin/fixture.debug");
        expect("/usr/bin/program", "/usr/lib/debug/usr/bin/fixture.debug");
}

static void an_image_is_not_its_own_debug_file(void **state) {
        (void)state;
        place("fixture-stripped", "/usr/bin/fixture.debug");
        expect("/usr/bin/fixture.debug", NULL);
}

static void debug_information_inside(void **state) {
        _cleanup_(image_freep) Image *elsewhere = NULL;
        _cleanup_(freep) char *path = NULL;
        FileBytes file = { 0 };
        Error e;

        (void)state;
        place("fixture-library", "/usr/lib/lib.so");
        expect("/usr/lib/lib.so", "/usr/lib/lib.so");

        /* The same bytes, with a path at which there is nothing. */
        assert_int_equal(file_read(fixture_path("fixture-library"), IMAGE_MAX_SIZE, &file, &e), 0);
        assert_int_equal(image_parse("/nonexistent/lib.so", &file, &elsewhere, &e), 0);
        assert_int_equal(debug_find(elsewhere, NULL, root, &path, &e), DEBUG_NONE);
}

static void explicit_file_must_match(void **state) {
        _cleanup_(image_freep) Image *image = fixture_open("fixture-stripped");
        _cleanup_(freep) char *path = NULL;
        Error e = { 0 };

        (void)state;
        assert_int_equal(debug_find(image, fixture_path("fixture-pie"), "", &path, &e), -EINVAL);
        assert_non_null(strstr(e.text, "build-ids differ"));
        assert_int_equal(debug_find(image, "/nonexistent", "", &path, &e), -ENOENT);
        assert_null(path);
        assert_int_equal(debug_find(image, fixture_path("fixture.debug"), "", &path, &e), 0);
        assert_string_equal(path, fixture_path("fixture.debug"));
}

/* Without a build-id the checksum beside the link decides. */
static void checksum_decides_without_build_id(void **state) {
        _cleanup_(image_freep) Image *image = NULL;
        _cleanup_(freep) char *path = NULL;
        char full[4096];
        Error e;

        (void)state;
        place("fixture.debug", "/usr/bin/fixture.debug");
        place("fixture-stripped", "/usr/bin/program");
        snprintf(full, sizeof(full), "%s/usr/bin/program", root);
        assert_int_equal(image_open(full, &image, &e), 0);
        image->build_id.n = 0;
        assert_int_equal(debug_find(image, NULL, root, &path, &e), 0);
        freep(&path);
        path = NULL;
        image->debug_link_crc ^= 1;
        assert_int_equal(debug_find(image, NULL, root, &path, &e), DEBUG_NONE);
}

static void link_may_not_lead_elsewhere(void **state) {
        _cleanup_(image_freep) Image *image = NULL;
        _cleanup_(freep) char *path = NULL;
        char full[4096];
        Error e;

        (void)state;
        place("fixture.debug", "/fixture.debug");
        place("fixture-stripped", "/usr/bin/program");
        snprintf(full, sizeof(full), "%s/usr/bin/program", root);
        assert_int_equal(image_open(full, &image, &e), 0);
        image->debug_link = "../../fixture.debug";
        assert_int_equal(debug_find(image, NULL, root, &path, &e), DEBUG_NONE);
}

/* How many connections came to a socket that nobody accepts from. */
static unsigned connections(int fd) {
        unsigned n = 0;
        int one;

        while ((one = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                close(one);
                n++;
        }
        return n;
}

static void silent_server_is_asked_once(void **state) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = sizeof(at);
        char url[64];

        (void)state;
        if (!HAVE_DEBUGINFOD)
                skip();
        assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
        assert_int_equal(listen(fd, 64), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(at.sin_port));
        setenv("DEBUGINFOD_URLS", url, 1);
        setenv("DEBUGINFOD_TIMEOUT", "1", 1);
        setenv("DEBUGINFOD_RETRY_LIMIT", "1", 1);
        setenv("DEBUGINFOD_CACHE_PATH", root, 1);
        place("fixture-stripped", "/usr/bin/program");
        expect("/usr/bin/program", NULL);
        assert_true(connections(fd) > 0);
        expect("/usr/bin/program", NULL);
        assert_int_equal(connections(fd), 0);
        unsetenv("DEBUGINFOD_URLS");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(searched_places),
                TEST(another_builds_file_is_passed_over),
                TEST(an_image_is_not_its_own_debug_file),
                TEST(debug_information_inside),
                TEST(explicit_file_must_match),
                TEST(checksum_decides_without_build_id),
                TEST(link_may_not_lead_elsewhere),
                TEST(silent_server_is_asked_once), /* none is asked after it */
        };

        fixtures_set(argc, argv);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
