/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

static char dir[64];

static void make(const char *name, unsigned kib, unsigned days) {
        static const char block[1024] = "x";
        time_t then = time(NULL) - (time_t)days * 86400;
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "w");
        assert_non_null(f);
        while (kib--)
                assert_int_equal(fwrite(block, sizeof(block), 1, f), 1);
        fclose(f);
        assert_int_equal(utime(path, &(struct utimbuf){ then, then }), 0);
}

static bool there(const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return access(path, F_OK) == 0;
}

/* The oldest go first, until the rest is small enough; of a small cache only what is too old. */
static void bounded(void **state) {
        char command[128];

        (void)state;
        strcpy(dir, "/tmp/test-cache-XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(command, sizeof(command), "mkdir %s/pairs %s/patches", dir, dir);
        assert_int_equal(system(command), 0);
        make("pairs/old", 4, 31);
        make("pairs/b", 4, 3);
        make("patches/c", 400, 2);
        make("patches/d", 400, 1);
        cache_prune(dir, 30, 4 << 20);
        assert_false(there("pairs/old"));
        assert_true(there("pairs/b") && there("patches/c") && there("patches/d"));
        cache_prune(dir, 30, 500 << 10);
        assert_true(!there("pairs/b") && !there("patches/c") && there("patches/d"));
        cache_prune(dir, 30, 0);
        assert_false(there("patches/d"));
        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        assert_int_equal(system(command), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(bounded) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
