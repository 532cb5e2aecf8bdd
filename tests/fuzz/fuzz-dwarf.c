/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "dwarf/types.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/*
 * The first input of a run is kept as the other side, so that damaged files meet a whole one as well
 * as themselves.
 */
static int first_fd = -1;

static void compare(int old, int new, bool same_file) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        char old_path[64], new_path[64];
        bool complete = false;
        Error e = { 0 };
        Verdict v;
        int r;

        verdict_init(&v, arena);
        snprintf(old_path, sizeof(old_path), "/proc/self/fd/%d", old);
        snprintf(new_path, sizeof(new_path), "/proc/self/fd/%d", new);
        r = dwarf_compare_types(old_path, new_path, &v, &complete, &e);
        CHECK(r <= 0);
        if (r < 0) {
                CHECK(e.text[0]);
                return;
        }
        CHECK(v.evidence && v.evidence[0]);
        /* However damaged, a file that could be read to its end is the same as itself. */
        if (same_file && complete)
                CHECK(v.n == 0);
        for (size_t i = 0; i < v.n; i++)
                CHECK(v.findings[i].code == REFUSAL_CODE_LAYOUT_CHANGED && v.findings[i].subject[0]);
}

static void places(int fd) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        DwarfPlaces p = { 0 };
        char path[64];
        Error e = { 0 };

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (dwarf_places(path, arena, &p, &e) != 0)
                return;
        for (size_t i = 0; i < p.n_variables; i++)
                CHECK(p.variables[i].name && p.variables[i].unit);
        for (size_t i = 1; i < p.n_functions; i++)
                CHECK(p.functions[i - 1].addr <= p.functions[i].addr && p.functions[i].size > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        int fd = memfd_create("input", MFD_CLOEXEC);

        if (fd < 0)
                return 0;
        if (write(fd, bytes, size) != (ssize_t)size) {
                close(fd);
                return 0;
        }
        if (first_fd < 0)
                first_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        compare(fd, fd, true);
        compare(first_fd, fd, false);
        places(fd);
        close(fd);
        return 0;
}
