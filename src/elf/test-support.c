/* SPDX-License-Identifier: Apache-2.0 */
#include "test-support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static char **paths;

void fixtures_set(int argc, char **argv) {
        paths = argc ? argv + 1 : argv;
}

const char *fixture_path(const char *name) {
        for (char **p = paths; *p; p++) {
                const char *slash = strrchr(*p, '/');

                if (strcmp(slash ? slash + 1 : *p, name) == 0)
                        return *p;
        }
        return NULL;
}

Image *fixture_open(const char *name) {
        const char *path = fixture_path(name);
        Image *image = NULL;
        Error e = { 0 };

        if (!path)
                skip();
        if (image_open(path, &image, &e) != 0)
                fail_msg("%s", e.text);
        return image;
}

FileBytes file_copy(const uint8_t *bytes, size_t size) {
        uint8_t *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(copy != MAP_FAILED);
        memcpy(copy, bytes, size);
        return (FileBytes){ .bytes = copy, .size = size };
}

const ImageSymbol *find_symbol(const ImageSymbol *symbols, size_t n, const char *name, const char *version) {
        for (size_t i = 0; i < n; i++)
                if (symbols[i].defined && strcmp(symbols[i].name, name) == 0 &&
                    (!version || strcmp(symbols[i].version, version) == 0))
                        return &symbols[i];
        return NULL;
}
