/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/deb.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Members are sorted, absolute and whole. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        _cleanup_(closep) int fd = memfd_create("input", MFD_CLOEXEC);
        _cleanup_(deb_freep) Deb *d = NULL;
        char path[32];
        Error e = { 0 };
        int r;

        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
                return 0;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = deb_open(path, &d, &e);
        if (r != 0) {
                if (r > 0 || d || !e.text[0])
                        __builtin_trap();
                return 0;
        }
        for (size_t i = 0; i < d->n; i++) {
                const DebMember *m = &d->members[i];

                if (m->path[0] != '/' || strstr(m->path, "/../") || m->file.size < 4 ||
                    memcmp(m->file.bytes,
                           "\x7f"
                           "ELF",
                           4) != 0 ||
                    (i && strcmp(m[-1].path, m->path) >= 0))
                        __builtin_trap();
        }
        return 0;
}
