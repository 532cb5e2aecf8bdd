/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/deb.h"
#include "test-support.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void members_are_the_elf_files(void **state) {
        static const char *const packages[] = { "fixture-none.deb", "fixture-gz.deb", "fixture-xz.deb",
                                                "fixture-lzma.deb", "fixture-bz2.deb" };
        _cleanup_(image_freep) Image *wanted = fixture_open("fixture-library");

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(packages); i++) {
                _cleanup_(deb_freep) Deb *d = NULL;
                _cleanup_(image_freep) Image *image = NULL;
                Error e = { 0 };

                assert_true(deb_is(fixture_path(packages[i])));
                if (deb_open(fixture_path(packages[i]), &d, &e) != 0)
                        fail_msg("%s", e.text);
                assert_string_equal(d->package, "fixture");
                assert_string_equal(d->version, "1:2.3-4");
                assert_string_equal(d->architecture, "amd64");
                assert_int_equal(d->n, 2);
                assert_string_equal(d->members[0].path, "/usr/bin/program");
                assert_string_equal(d->members[1].path, "/usr/lib/library.so");
                assert_int_equal(d->members[1].file.size, wanted->file.size);
                assert_memory_equal(d->members[1].file.bytes, wanted->file.bytes, wanted->file.size);
                assert_int_equal(image_parse(d->members[1].path, &d->members[1].file, &image, &e), 0);
                assert_null(d->members[1].file.bytes); /* taken; deb_free leaves it alone */
        }
}

static void packages_are_told_by_content(void **state) {
        (void)state;
        assert_false(deb_is(fixture_path("fixture-library")));
        assert_false(deb_is("/nonexistent"));
        assert_false(deb_is("/"));
}

static void expect_refused(const char *name, int code, const char *text) {
        _cleanup_(deb_freep) Deb *d = NULL;
        Error e = { 0 };

        assert_int_equal(deb_open(fixture_path(name), &d, &e), code);
        assert_null(d);
        if (!strstr(e.text, text))
                fail_msg("%s: %s", name, e.text);
}

static void impossible_packages(void **state) {
        (void)state;
        expect_refused("fixture-twice.deb", -EBADMSG, "holds /usr/bin/program twice");
        expect_refused("fixture-climbs.deb", -EBADMSG, "impossible name");
        expect_refused("fixture-library", -EBADMSG, "package");
}

static void no_prefix_is_a_package(void **state) {
        char path[] = "/tmp/staunch-test-XXXXXX";
        _cleanup_(closep) int fd = mkstemp(path);
        FileBytes file = { 0 };
        Error e;

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(file_read(fixture_path("fixture-xz.deb"), 1 << 24, &file, &e), 0);
        for (size_t size = 0; size < file.size - 64; size += 97) {
                _cleanup_(deb_freep) Deb *d = NULL;

                assert_int_equal(ftruncate(fd, 0), 0);
                assert_int_equal(pwrite(fd, file.bytes, size, 0), size);
                e.text[0] = 0;
                assert_true(deb_open(path, &d, &e) < 0);
                assert_null(d);
                assert_int_not_equal(e.text[0], 0);
        }
        file_release(&file);
        unlink(path);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(members_are_the_elf_files),
                cmocka_unit_test(packages_are_told_by_content),
                cmocka_unit_test(impossible_packages),
                cmocka_unit_test(no_prefix_is_a_package),
        };

        fixtures_set(argc, argv);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
