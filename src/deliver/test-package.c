/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "deliver/package.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[] = "/tmp/test-package-XXXXXX";

static void put(const char *name, const char *text) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
}

static void owners(void **state) {
        char name[64];

        (void)state;
        put("nginx.list", "/.\n/usr\n/usr/sbin\n/usr/sbin/nginx\n");
        put("libc6:amd64.list", "/.\n/lib/x86_64-linux-gnu/libc.so.6");
        put("nginx.md5sums", "/usr/sbin/other\n");
        assert_true(package_of(dir, "/usr/sbin/nginx", name, sizeof(name)));
        assert_string_equal(name, "nginx");
        assert_true(package_of(dir, "/usr/lib/x86_64-linux-gnu/libc.so.6", name, sizeof(name)));
        assert_string_equal(name, "libc6");
        assert_true(package_of(dir, "/sbin/nginx", name, sizeof(name)));
        assert_false(package_of(dir, "/usr/sbin/ngin", name, sizeof(name)));
        assert_false(package_of(dir, "/usr/sbin/nginx2", name, sizeof(name)));
        assert_false(package_of(dir, "usr/sbin/nginx", name, sizeof(name)));
        assert_false(package_of(dir, "/usr/sbin/other", name, sizeof(name)));
        assert_false(package_of("/nonexistent", "/usr/sbin/nginx", name, sizeof(name)));
        assert_false(package_of(dir, "/usr/sbin/nginx", name, 5));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(owners) };
        char command[128];
        int r;

        if (!mkdtemp(dir))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        return system(command) || r;
}
