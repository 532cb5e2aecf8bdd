/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/open.h"

#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"

#include <gelf.h>
#include <string.h>

static const size_t max_size = (size_t)4 << 30;

static bool holds_strings(const char *section) {
        static const char *const names[] = { "debug_info", "debug_types", "debug_str", "debug_line_str",
                                             "gnu_debugaltlink" };

        section += *section == '.';
        section += *section == 'z';
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(section, names[i]) == 0)
                        return true;
        return false;
}

/* Sections lie in `bytes`, which end in a NUL; libelf makes a copy of those that it decompresses or
 * converts, and those must have their own. A unit ends in one, and so does a table of strings. */
static bool strings_end(const DebugFile *f) {
        Elf_Scn *section = NULL;
        size_t names;

        if (elf_getshdrstrndx(f->elf, &names) != 0)
                return false;
        while ((section = elf_nextscn(f->elf, section))) {
                GElf_Shdr header;
                const char *name, *at;
                Elf_Data *data;

                if (!gelf_getshdr(section, &header) || !(name = elf_strptr(f->elf, names, header.sh_name)))
                        return false;
                if (!holds_strings(name))
                        continue;
                data = elf_getdata(section, NULL);
                if (!data || !data->d_buf || !data->d_size)
                        continue;
                at = data->d_buf;
                if ((at < f->bytes || at >= f->bytes + f->size) && at[data->d_size - 1] != 0)
                        return false;
        }
        return true;
}

int debug_file_open(const char *path, DebugFile *out, Error *e) {
        DebugFile f = { 0 };
        FileBytes file;
        int r = file_read(path, max_size, &file, e);

        if (r < 0)
                return r;
        f.size = file.size;
        f.bytes = vec_grow(NULL, file.size + 1, 1);
        memcpy(f.bytes, file.bytes, file.size);
        f.bytes[file.size] = 0;
        file_release(&file);
        elf_version(EV_CURRENT);
        f.elf = elf_memory(f.bytes, f.size);
        f.dwarf = f.elf ? dwarf_begin_elf(f.elf, DWARF_C_READ, NULL) : NULL;
        if (!f.dwarf || !strings_end(&f)) {
                debug_file_close(&f);
                return DEBUG_FILE_NONE;
        }
        *out = f;
        return 0;
}

void debug_file_close(DebugFile *f) {
        if (f->dwarf)
                dwarf_end(f->dwarf);
        if (f->elf)
                elf_end(f->elf);
        free(f->bytes);
        *f = (DebugFile){ 0 };
}
