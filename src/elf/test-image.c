/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader says of an image is held against what the loader made of it. */
#include "base/macro.h"
#include "test-support.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int first_object(struct dl_phdr_info *info, size_t size, void *data) {
        (void)size;
        *(struct dl_phdr_info *)data = *info;
        return 1;
}

static uint64_t word_at(const void *p) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

/* Every slot of a loaded image holds what its relocation, as read, asks for. */
static void check_slots(const Image *image, uint64_t base, void *handle) {
        size_t relative = 0, symbolic = 0;

        for (size_t i = 0; i < image->n_relocs; i++) {
                const ImageReloc *r = &image->relocs[i];
                const ImageSymbol *symbol = &image->dynsyms[r->symbol];
                const void *slot = (const void *)(uintptr_t)(base + r->addr);

                if (i)
                        assert_true(image->relocs[i - 1].addr <= r->addr);
                if (r->type == R_X86_64_RELATIVE && r->addr - image->relro_addr < image->relro_size) {
                        assert_int_equal(word_at(slot), base + (uint64_t)r->addend);
                        relative++;
                }
                if ((r->type == R_X86_64_JUMP_SLOT || r->type == R_X86_64_GLOB_DAT) &&
                    r->addr - image->relro_addr < image->relro_size && symbol->type == STT_FUNC) {
                        void *f = *symbol->version ? dlvsym(handle, symbol->name, symbol->version)
                                                   : dlsym(handle, symbol->name);

                        if (!f)
                                continue;
                        assert_int_equal(word_at(slot), (uintptr_t)f);
                        symbolic++;
                }
        }
        assert_true(relative > 0);
        assert_true(symbolic > 5);
}

static void own_image_is_what_was_loaded(void **state) {
        _cleanup_(image_freep) Image *image = NULL;
        struct dl_phdr_info info;
        const ImageSymbol *symbol;
        const ImageFde *fde;
        uint64_t base, here;
        size_t loads = 0;
        Error e;

        (void)state;
        assert_int_equal(image_open("/proc/self/exe", &image, &e), 0);
        dl_iterate_phdr(first_object, &info);
        base = info.dlpi_addr;
        for (size_t i = 0; i < info.dlpi_phnum; i++) {
                const ElfW(Phdr) *h = &info.dlpi_phdr[i];

                if (h->p_type == PT_LOAD) {
                        assert_int_equal(image->segments[loads].addr, h->p_vaddr);
                        assert_int_equal(image->segments[loads].size, h->p_memsz);
                        loads++;
                }
                if (h->p_type == PT_INTERP)
                        assert_string_equal(image->interp, (const char *)(uintptr_t)(base + h->p_vaddr));
        }
        assert_int_equal(loads, image->n_segments);
        assert_true(image->executable);
        assert_true(image->dynamic);
        check_slots(image, base, RTLD_DEFAULT);

        here = (uint64_t)(uintptr_t)own_image_is_what_was_loaded - base;
        symbol = find_symbol(image->syms, image->n_syms, "own_image_is_what_was_loaded", NULL);
        assert_non_null(symbol);
        assert_int_equal(symbol->addr, here);
        fde = image_fde_at(image, here);
        assert_non_null(fde);
        assert_int_equal(fde->addr, here);
        assert_int_equal(fde->size, symbol->size);
        assert_ptr_equal(image_fde_at(image, here + fde->size - 1), fde);
        assert_ptr_not_equal(image_fde_at(image, here + fde->size), fde);
        assert_memory_equal(image_bytes(image, here, fde->size), (const void *)(uintptr_t)(base + here),
                            fde->size);
        assert_string_equal(image_section_at(image, here)->name, ".text");
        assert_true(image_segment_at(image, here)->flags & PF_X);
}

/* Each stub jumps to where the loader resolved its symbol. */
static void stubs_lead_to_their_symbols(void **state) {
        static const char *const ways[] = { "fixture-library", "fixture-pie", "fixture-lazy", "fixture-ibt",
                                            "fixture-nopie" };

        (void)state;
        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                _cleanup_(image_freep) Image *image = fixture_open(ways[k]);
                bool puts_found = false, malloc_found = false;

                for (size_t i = 0; i < image->n_plts; i++) {
                        const ImagePlt *plt = &image->plts[i];
                        const char *name = image->dynsyms[plt->symbol].name;

                        assert_ptr_equal(image_plt_at(image, plt->addr), plt);
                        assert_ptr_equal(image_plt_at(image, plt->addr + plt->size - 1), plt);
                        assert_int_equal(image_reloc_at(image, plt->got)->symbol, plt->symbol);
                        puts_found |= strcmp(name, "puts") == 0;
                        malloc_found |= strcmp(name, "malloc") == 0;
                }
                if (!malloc_found || !(puts_found || strcmp(ways[k], "fixture-nopie") == 0))
                        fail_msg("%s: stubs of malloc and puts were not found", ways[k]);
        }
}

static void library_is_what_was_loaded(void **state) {
        _cleanup_(image_freep) Image *image = fixture_open("fixture-library");
        const ImageSymbol *v1, *v2;
        bool libc_needed = false;
        struct link_map *map;
        void *handle;

        (void)state;
        handle = dlopen(image->path, RTLD_NOW | RTLD_LOCAL);
        assert_non_null(handle);
        assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
        v1 = find_symbol(image->dynsyms, image->n_dynsyms, "versioned", "FIXTURE_1");
        v2 = find_symbol(image->dynsyms, image->n_dynsyms, "versioned", "FIXTURE_2");
        assert_non_null(v1);
        assert_non_null(v2);
        assert_true(v1->hidden_version);
        assert_false(v2->hidden_version);
        assert_ptr_equal(dlvsym(handle, "versioned", "FIXTURE_1"),
                         (void *)(uintptr_t)(map->l_addr + v1->addr));
        assert_ptr_equal(dlvsym(handle, "versioned", "FIXTURE_2"),
                         (void *)(uintptr_t)(map->l_addr + v2->addr));
        assert_ptr_not_equal(dlvsym(handle, "versioned", "FIXTURE_1"),
                             dlvsym(handle, "versioned", "FIXTURE_2"));
        assert_string_equal(image->soname, "libfixture.so.1");
        assert_string_equal(image->interp, "/lib64/ld-linux-x86-64.so.2");
        assert_false(image->executable);
        for (size_t i = 0; i < image->n_needed; i++)
                libc_needed |= strcmp(image->needed[i], "libc.so.6") == 0;
        assert_true(libc_needed);
        assert_int_equal(image->init_array_size % 8, 0);
        assert_true(image->init_array_size >= 16); /* frame_dummy and the fixture's own */
        assert_non_null(image_reloc_at(image, image->init_array));
        assert_true(image->has_debug_info);
        dlclose(handle);
}

static void unwind_ranges_say_who_cleans_up(void **state) {
        static const char *const ways[] = { "fixture-library", "fixture-nopie", "fixture-static-pie" };

        (void)state;
        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                _cleanup_(image_freep) Image *image = NULL;
                const ImageSymbol *with, *plain;
                const ImageFde *fde;

                if (!fixture_path(ways[k]))
                        continue;
                image = fixture_open(ways[k]);
                with = find_symbol(image->syms, image->n_syms, "fixture_with_lsda", NULL);
                plain = find_symbol(image->syms, image->n_syms, "fixture_plain", NULL);
                fde = image_fde_at(image, with->addr);
                assert_int_equal(fde->addr, with->addr);
                assert_int_equal(fde->size, with->size);
                assert_string_equal(image_section_at(image, fde->lsda)->name, ".gcc_except_table");
                assert_int_not_equal(fde->personality, 0);
                fde = image_fde_at(image, plain->addr);
                assert_int_equal(fde->size, plain->size);
                assert_int_equal(fde->lsda, 0);
                assert_int_equal(fde->personality, 0);
        }
}

/* Relative relocations of the table, however they are encoded. */
static void check_table(const char *way) {
        _cleanup_(image_freep) Image *image = fixture_open(way);
        const ImageSymbol *table = find_symbol(image->syms, image->n_syms, "fixture_table", NULL);
        const ImageSymbol *counter = find_symbol(image->syms, image->n_syms, "fixture_counter", NULL);

        for (uint64_t i = 0; i < 64; i++) {
                const ImageReloc *r = image_reloc_at(image, table->addr + 8 * i);

                if (i % 4 == 2) {
                        assert_null(r);
                        continue;
                }
                assert_non_null(r);
                assert_int_equal(r->type, R_X86_64_RELATIVE);
                assert_int_equal(r->addend, counter->addr);
        }
        assert_int_equal(image_reloc_from(image, table->addr + 1), image_reloc_from(image, table->addr + 8));
        assert_int_equal(image->relocs[image_reloc_from(image, table->addr + 17)].addr, table->addr + 24);
        assert_int_equal(image_reloc_from(image, UINT64_MAX), image->n_relocs);
        assert_int_equal(image_reloc_from(image, 0), 0);
}

static void relative_relocations(void **state) {
        (void)state;
        check_table("fixture-pie");
}

static void packed_relative_relocations(void **state) {
        (void)state;
        check_table("fixture-relr");
}

static void check_static(const char *way, uint16_t type, bool dynamic) {
        _cleanup_(image_freep) Image *image = fixture_open(way);
        size_t selected = 0, stubs = 0;

        assert_int_equal(image->type, type);
        assert_int_equal(image->dynamic, dynamic);
        assert_true(image->executable);
        assert_null(image->interp);
        assert_int_equal(image->n_needed, 0);
        for (size_t i = 0; i < image->n_relocs; i++)
                selected += image->relocs[i].type == R_X86_64_IRELATIVE;
        for (size_t i = 0; i < image->n_plts; i++)
                stubs += image_reloc_at(image, image->plts[i].got)->type == R_X86_64_IRELATIVE &&
                         image->plts[i].symbol == 0;
        assert_true(selected > 1);
        assert_int_equal(stubs, selected);
        assert_true(image->n_fdes > 100);
}

static void static_program(void **state) {
        (void)state;
        check_static("fixture-static", ET_EXEC, false);
}

static void static_pie_program(void **state) {
        (void)state;
        check_static("fixture-static-pie", ET_DYN, true);
}

static void thread_storage_is_not_memory(void **state) {
        _cleanup_(image_freep) Image *image = fixture_open("fixture-pie");
        const ImageSection *tbss = image_section(image, ".tbss"), *tdata = image_section(image, ".tdata"),
                           *found;

        (void)state;
        assert_non_null(tbss);
        assert_true(tbss->size >= 64);
        for (uint64_t i = 0; i < tbss->size; i++) {
                found = image_section_at(image, tbss->addr + i);
                assert_ptr_not_equal(found, tbss);
                if (found)
                        assert_true(tbss->addr + i - found->addr < found->size);
        }
        assert_ptr_equal(image_section_at(image, tdata->addr), tdata);
        assert_true(image->has_tls);
        assert_int_equal(image->tls_addr, tdata->addr);
        assert_int_equal(image->tls_file_size, tdata->size);
        assert_true(image->tls_size >= tdata->size + tbss->size);
}

static void bytes_end_with_the_file_part(void **state) {
        _cleanup_(image_freep) Image *image = fixture_open("fixture-pie");
        const ImageSection *bss = image_section(image, ".bss");
        const ImageSegment *last = &image->segments[image->n_segments - 1];

        (void)state;
        assert_true(last->size > last->file_size);
        assert_null(image_bytes(image, bss->addr + bss->size - 1, 1));
        assert_non_null(image_bytes(image, last->addr + last->file_size - 1, 1));
        assert_null(image_bytes(image, last->addr + last->file_size - 1, 2));
        assert_null(image_bytes(image, last->addr, UINT64_MAX));
        assert_null(image_bytes(image, UINT64_MAX, 1));
        assert_null(image_segment_at(image, image->hi));
        assert_null(image_section_at(image, UINT64_MAX));
}

static void build_id_is_cheap_and_the_same(void **state) {
        static const char *const ways[] = { "fixture-library", "fixture-stripped", "fixture.debug",
                                            "fixture-nopie" };
        BuildId first = { 0 };

        (void)state;
        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                _cleanup_(image_freep) Image *image = fixture_open(ways[k]);
                _cleanup_(closep) int fd = open(image->path, O_RDONLY | O_CLOEXEC);
                char text[2 * BUILD_ID_MAX + 1];
                BuildId id = { 0 };
                Error e;

                assert_int_equal(image_build_id_fd(fd, image->path, &id, &e), 0);
                assert_int_equal(id.n, 20);
                assert_true(build_id_equal(&id, &image->build_id));
                assert_int_equal(strlen(build_id_text(&id, text)), 40);
                if (k == 0)
                        first = id;
                assert_int_equal(build_id_equal(&id, &first), k < 3);
        }
        assert_false(build_id_equal(&(BuildId){ 0 }, &(BuildId){ 0 }));
}

static void symbols_come_from_the_debug_file(void **state) {
        _cleanup_(image_freep) Image *full = fixture_open("fixture-library"),
                                     *other = fixture_open("fixture-pie"),
                                     *stripped = fixture_open("fixture-stripped"),
                                     *debug = fixture_open("fixture.debug");
        Error e = { 0 };

        (void)state;
        assert_int_equal(stripped->n_syms, 0);
        assert_false(stripped->has_debug_info);
        assert_true(debug->has_debug_info);
        assert_int_equal(debug->n_fdes + debug->n_relocs + debug->n_plts, 0);
        assert_null(image_bytes(debug, full->entry, 1));
        assert_string_equal(stripped->debug_link, "fixture.debug");

        assert_int_equal(image_add_symbols(stripped, other, &e), -EINVAL);
        assert_int_equal(stripped->n_syms, 0);
        assert_int_equal(image_add_symbols(stripped, debug, &e), 0);
        debug = image_free(debug); /* nothing of it is referred to any more */
        assert_true(stripped->n_syms > 10);
        assert_int_equal(find_symbol(stripped->syms, stripped->n_syms, "select_one", NULL)->addr,
                         find_symbol(full->syms, full->n_syms, "select_one", NULL)->addr);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(own_image_is_what_was_loaded),
                cmocka_unit_test(stubs_lead_to_their_symbols),
                cmocka_unit_test(library_is_what_was_loaded),
                cmocka_unit_test(unwind_ranges_say_who_cleans_up),
                cmocka_unit_test(relative_relocations),
                cmocka_unit_test(packed_relative_relocations),
                cmocka_unit_test(static_program),
                cmocka_unit_test(static_pie_program),
                cmocka_unit_test(thread_storage_is_not_memory),
                cmocka_unit_test(bytes_end_with_the_file_part),
                cmocka_unit_test(build_id_is_cheap_and_the_same),
                cmocka_unit_test(symbols_come_from_the_debug_file),
        };

        fixtures_set(argc, argv);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
