/* SPDX-License-Identifier: Apache-2.0 */
/* What apt says before it changes packages. */
#include "snapshot/dpkg.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
        DpkgChange *changes = NULL;
        Arena *a = arena_new();
        size_t n = 0;
        Error e;

        if (f && dpkg_read_changes(f, a, &changes, &n, &e) == 0)
                for (size_t i = 0; i < n; i++) {
                        const char *file =
                                dpkg_file_name(a, changes[i].name, changes[i].old_version, changes[i].arch);

                        /* It becomes a file's name and apt's argument. */
                        if (!dpkg_is_name(changes[i].name) || !dpkg_is_name(changes[i].arch) ||
                            strchr(file, '/') || (!changes[i].old_version[0] && !changes[i].new_version[0]) ||
                            (changes[i].file[0] && changes[i].file[0] != '/'))
                                __builtin_trap();
                }
        if (f)
                fclose(f);
        arena_free(a);
        return 0;
}
