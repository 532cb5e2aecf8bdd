/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/file.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Files in a folder of the test's own, once mkdtemp() has made it. */
static char dir[] = "/tmp/test-snapshot-XXXXXX", path[PATH_MAX];

static const char *in(const char *name) {
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static void put(const char *name, const char *text, mode_t mode) {
        assert_int_equal(file_write_atomic(in(name), text, strlen(text), NULL), 0);
        assert_int_equal(chmod(in(name), mode), 0);
}

static char *get(const char *name) {
        static char text[8192];
        FileBytes f = { 0 };

        assert_int_equal(file_read(in(name), sizeof(text) - 1, &f, NULL), 0);
        memcpy(text, f.bytes, f.size);
        text[f.size] = 0;
        file_release(&f);
        return text;
}
