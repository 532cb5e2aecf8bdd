/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "dwarf/side.h"

#include <elfutils/libdwelf.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

/*
 * dwz moves what several debug files of a package share to one more file, named by
 * .gnu_debugaltlink with its build-id. The name is absolute or relative to the debug file; when the
 * debug file lies in an unpacked package or another root, an absolute name is looked for there first.
 */
static bool try_alt(Side *side, const char *path, const void *id, size_t id_size) {
        DebugFile alt = { 0 };
        const void *found;

        if (debug_file_open(path, &alt, NULL) != 0)
                return false;
        if (dwelf_elf_gnu_build_id(alt.elf, &found) != (ssize_t)id_size || memcmp(found, id, id_size) != 0) {
                debug_file_close(&alt);
                return false;
        }
        side->alt = alt;
        dwarf_setalt(side->file.dwarf, side->alt.dwarf);
        return true;
}

void side_open_alt(Side *side) {
        static const char debug_directory[] = "/usr/lib/debug/";
        _cleanup_(freep) char *self = realpath(side->path, NULL), *copy = self ? strdup(self) : NULL;
        _cleanup_(freep) char *path = NULL, *root = NULL;
        const char *name, *at;
        const void *id;
        ssize_t id_size = dwelf_dwarf_gnu_debugaltlink(side->file.dwarf, &name, &id);

        if (id_size <= 0)
                return;
        at = self ? strstr(self, debug_directory) : NULL;
        if (name[0] == '/') {
                if (at && asprintf(&root, "%.*s%s", (int)(at - self), self, name) >= 0 &&
                    try_alt(side, root, id, (size_t)id_size))
                        return;
                if (try_alt(side, name, id, (size_t)id_size))
                        return;
        } else if (copy && asprintf(&path, "%s/%s", dirname(copy), name) >= 0 &&
                   try_alt(side, path, id, (size_t)id_size)) {
                return;
        }
        side_incomplete(side, "%s: its common part %s was not found", side->path, name);
}
