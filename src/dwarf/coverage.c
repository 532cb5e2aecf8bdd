/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "dwarf/side.h"

#include <gelf.h>
#include <string.h>

/*
 * An object that was compiled without -g leaves no trace in .debug_info. Its functions do, in the
 * symbol table: code that no unit describes means that some types were never seen.
 */

/* Start-up files and stubs of the C library and the compiler. They hold no state of the program. */
static const char *const runtime[] = {
        "_start",
        "_init",
        "_fini",
        "_dl_relocate_static_pie",
        "deregister_tm_clones",
        "register_tm_clones",
        "__do_global_dtors_aux",
        "frame_dummy",
        "__libc_csu_init",
        "__libc_csu_fini",
        "atexit",
        "at_quick_exit",
        "__stack_chk_fail_local",
        "stat",
        "fstat",
        "lstat",
        "fstatat",
        "stat64",
        "fstat64",
        "lstat64",
        "fstatat64",
        "mknod",
        "mknodat",
        "pthread_atfork",
        "__pthread_atfork",
        "__clang_call_terminate",
        "__on_dlclose",
        "__on_dlclose_late",
        "__asan_init",
        /* libgcc: arithmetic, no state */
        "__udivti3",
        "__umodti3",
        "__divti3",
        "__modti3",
        "__udivmodti4",
        "__divmodti4",
        "__popcountdi2",
        "__mulvdi3",
        "__muldc3",
        "__mulsc3",
        "__mulxc3",
        "__divdc3",
        "__divsc3",
        "__divxc3",
        "__powidf2",
        "__powisf2",
        "__powixf2",
        "__floattidf",
        "__floatuntidf",
        "__floattisf",
        "__floatuntisf",
        "__fixdfti",
        "__fixunsdfti",
        "__cpu_indicator_init",
};

static bool is_runtime(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(runtime); i++)
                if (strcmp(runtime[i], name) == 0)
                        return true;
        return strncmp(name, "__x86.", 6) == 0 || strncmp(name, "__x86_", 6) == 0 ||
               strncmp(name, "__llvm_retpoline", 16) == 0;
}

static int by_start(const void *a, const void *b) {
        const UnitRange *x = a, *y = b;

        return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static bool covered(const Side *side, uint64_t addr) {
        size_t lo = 0, hi = side->ranges.n;

        while (lo < hi) {
                size_t middle = lo + (hi - lo) / 2;

                if (side->ranges.items[middle].lo <= addr)
                        lo = middle + 1;
                else
                        hi = middle;
        }
        return lo > 0 && addr < side->ranges.items[lo - 1].hi;
}

/* Sorted, and overlapping ranges joined, so that the last one that starts before an address decides. */
static void sort_ranges(Side *side) {
        size_t n = 0;

        if (!side->ranges.n)
                return;
        qsort(side->ranges.items, side->ranges.n, sizeof(UnitRange), by_start);
        for (size_t i = 1; i < side->ranges.n; i++) {
                UnitRange *last = &side->ranges.items[n], r = side->ranges.items[i];

                if (r.lo <= last->hi)
                        last->hi = MAX(last->hi, r.hi);
                else
                        side->ranges.items[++n] = r;
        }
        side->ranges.n = n + 1;
}

void side_coverage(Side *side) {
        size_t bare = 0, functions = 0;
        const char *first = NULL;
        Elf_Scn *section = NULL;

        sort_ranges(side);
        while ((section = elf_nextscn(side->file.elf, section))) {
                GElf_Shdr header;
                Elf_Data *data;
                size_t n;

                if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB || header.sh_entsize == 0)
                        continue;
                data = elf_getdata(section, NULL);
                n = data ? data->d_size / sizeof(Elf64_Sym) : 0;
                for (size_t i = 0; i < n; i++) {
                        GElf_Sym sym;
                        const char *name;

                        if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF || sym.st_size == 0)
                                continue;
                        if (GELF_ST_TYPE(sym.st_info) != STT_FUNC &&
                            GELF_ST_TYPE(sym.st_info) != STT_GNU_IFUNC)
                                continue;
                        functions++;
                        if (covered(side, sym.st_value))
                                continue;
                        name = elf_strptr(side->file.elf, header.sh_link, sym.st_name);
                        if (!name || is_runtime(name))
                                continue;
                        if (bare++ == 0)
                                first = name;
                }
        }
        if (bare)
                side_incomplete(side, "%s: no debug information for %zu of %zu functions, among them %s",
                                side->path, bare, functions, first);
        else if (!functions && side->ranges.n)
                side_incomplete(side, "%s: no symbol table to check the debug information against",
                                side->path);
}
