/* SPDX-License-Identifier: Apache-2.0 */
/* A good image with one thing wrong: refused, with a text that names the place. */
#include "base/macro.h"
#include "test-support.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A copy of the library fixture to damage. */
typedef struct Victim {
        uint8_t *bytes;
        size_t size;
        Image *good;
} Victim;

static Victim victim_open(const char *name) {
        Victim v = { .good = fixture_open(name) };

        v.size = v.good->file.size;
        v.bytes = malloc(v.size);
        assert_non_null(v.bytes);
        memcpy(v.bytes, v.good->file.bytes, v.size);
        return v;
}

static void victim_close(Victim *v) {
        free(v->bytes);
        image_free(v->good);
}

static int parse(const Victim *v, size_t size, Error *e) {
        FileBytes file = file_copy(v->bytes, size);
        Image *image = NULL;
        int r = image_parse("victim", &file, &image, e);

        assert_null(file.bytes); /* taken over, whatever the outcome */
        if (r != 0)
                assert_null(image);
        image_free(image);
        return r;
}

static void put(const Victim *v, size_t at, uint64_t value, size_t size) {
        assert_true(at + size <= v->size);
        memcpy(v->bytes + at, &value, size);
}

static uint64_t get(const Victim *v, size_t at, size_t size) {
        uint64_t value = 0;

        memcpy(&value, v->bytes + at, size);
        return value;
}

/* Offset in the file of the nth program header of a type, of a section's header, of a dynamic entry. */
static size_t segment(const Victim *v, uint32_t type, size_t nth) {
        size_t at = get(v, offsetof(Elf64_Ehdr, e_phoff), 8), n = get(v, offsetof(Elf64_Ehdr, e_phnum), 2);

        for (size_t i = 0; i < n; i++, at += sizeof(Elf64_Phdr))
                if (get(v, at, 4) == type && nth-- == 0)
                        return at;
        fail_msg("no segment of type %u", type);
        return 0;
}

static size_t section(const Victim *v, const char *name) {
        size_t at = get(v, offsetof(Elf64_Ehdr, e_shoff), 8);

        for (size_t i = 0; i < v->good->n_sections; i++)
                if (strcmp(v->good->sections[i].name, name) == 0)
                        return at + i * sizeof(Elf64_Shdr);
        fail_msg("no section %s", name);
        return 0;
}

static size_t content(const Victim *v, const char *name) {
        return get(v, section(v, name) + offsetof(Elf64_Shdr, sh_offset), 8);
}

static size_t dynamic(const Victim *v, int64_t tag) {
        size_t at = get(v, segment(v, PT_DYNAMIC, 0) + offsetof(Elf64_Phdr, p_offset), 8);

        while ((int64_t)get(v, at, 8) != tag) {
                assert_int_not_equal(get(v, at, 8), DT_NULL);
                at += sizeof(Elf64_Dyn);
        }
        return at + 8;
}

#define PH(type, nth, field) segment(v, type, nth) + offsetof(Elf64_Phdr, field)
#define SH(name, field) section(v, name) + offsetof(Elf64_Shdr, field)

static void segment_beyond_file(const Victim *v) {
        put(v, PH(PT_LOAD, 0, p_memsz), UINT32_MAX, 8);
        put(v, PH(PT_LOAD, 0, p_filesz), UINT32_MAX, 8);
}
static void segment_larger_in_file(const Victim *v) {
        put(v, PH(PT_LOAD, 1, p_memsz), 1, 8);
}
static void segment_wraps(const Victim *v) {
        put(v, PH(PT_LOAD, 3, p_memsz), UINT64_MAX - 1, 8);
}
static void segments_overlap(const Victim *v) {
        put(v, PH(PT_LOAD, 1, p_vaddr), get(v, PH(PT_LOAD, 0, p_vaddr), 8), 8);
}
static void segment_not_congruent(const Victim *v) {
        put(v, PH(PT_LOAD, 1, p_offset), get(v, PH(PT_LOAD, 1, p_offset), 8) + 1, 8);
}
static void no_segments(const Victim *v) {
        put(v, offsetof(Elf64_Ehdr, e_phoff), 0, 8);
}
static void segments_outside(const Victim *v) {
        put(v, offsetof(Elf64_Ehdr, e_phoff), v->size, 8);
}
static void sections_outside(const Victim *v) {
        put(v, offsetof(Elf64_Ehdr, e_shoff), v->size - 8, 8);
}
static void section_names_outside(const Victim *v) {
        put(v, offsetof(Elf64_Ehdr, e_shstrndx), 0xfff0, 2);
}
static void section_beyond_file(const Victim *v) {
        put(v, SH(".comment", sh_size), v->size, 8);
}
static void section_name_outside(const Victim *v) {
        put(v, SH(".text", sh_name), UINT32_MAX, 4);
}
static void section_outside_segments(const Victim *v) {
        put(v, SH(".text", sh_size), get(v, SH(".text", sh_size), 8) + 0x1000, 8);
}
static void section_elsewhere_in_file(const Victim *v) {
        put(v, SH(".rodata", sh_offset), get(v, SH(".rodata", sh_offset), 8) + 1, 8);
}
static void sections_overlap(const Victim *v) {
        put(v, SH(".init", sh_size), 64, 8);
}
static void tls_outside(const Victim *v) {
        put(v, PH(PT_TLS, 0, p_vaddr), UINT64_C(1) << 40, 8);
}
static void relro_outside(const Victim *v) {
        put(v, PH(PT_GNU_RELRO, 0, p_memsz), UINT64_C(1) << 40, 8);
}
static void dynamic_outside(const Victim *v) {
        put(v, PH(PT_DYNAMIC, 0, p_vaddr), UINT64_C(1) << 40, 8);
}
static void build_id_too_long(const Victim *v) {
        put(v, content(v, ".note.gnu.build-id") + 4, BUILD_ID_MAX + 4, 4);
        put(v, PH(PT_NOTE, 0, p_filesz), 512, 8);
}
static void notes_cut_short(const Victim *v) {
        put(v, content(v, ".note.gnu.build-id") + 4, UINT32_MAX, 4);
}
static void strings_outside(const Victim *v) {
        put(v, dynamic(v, DT_STRTAB), UINT64_C(1) << 40, 8);
}
static void needed_outside(const Victim *v) {
        put(v, dynamic(v, DT_NEEDED), UINT32_MAX, 8);
}
static void symbols_disagree(const Victim *v) {
        put(v, dynamic(v, DT_SYMTAB), get(v, dynamic(v, DT_SYMTAB), 8) + 24, 8);
}
static void symbols_not_whole(const Victim *v) {
        put(v, SH(".dynsym", sh_size), get(v, SH(".dynsym", sh_size), 8) - 1, 8);
}
static void symbol_name_outside(const Victim *v) {
        put(v, content(v, ".dynsym") + sizeof(Elf64_Sym), UINT32_MAX, 4);
}
static void version_missing(const Victim *v) {
        put(v, content(v, ".gnu.version") + 2, 77, 2);
}
static void versions_not_one_each(const Victim *v) {
        put(v, SH(".gnu.version", sh_size), 4, 8);
}
static void version_chain_leaves(const Victim *v) {
        put(v, content(v, ".gnu.version_d") + offsetof(Elf64_Verdef, vd_next), UINT32_MAX, 4);
}
static void version_need_leaves(const Victim *v) {
        put(v, content(v, ".gnu.version_r") + offsetof(Elf64_Verneed, vn_aux), UINT32_MAX, 4);
}
static void reloc_symbol_outside(const Victim *v) {
        put(v, content(v, ".rela.plt") + offsetof(Elf64_Rela, r_info) + 4, UINT32_MAX, 4);
}
static void reloc_outside(const Victim *v) {
        put(v, content(v, ".rela.dyn"), UINT64_C(1) << 40, 8);
}
static void relocs_outside(const Victim *v) {
        put(v, dynamic(v, DT_RELASZ), UINT64_C(24) << 30, 8);
}
static void relocs_of_unknown_form(const Victim *v) {
        put(v, dynamic(v, DT_RELAENT), 16, 8);
}
static void frame_beyond_section(const Victim *v) {
        put(v, content(v, ".eh_frame"), 0x7ffffff0, 4);
}
static void frame_without_cie(const Victim *v) {
        size_t at = content(v, ".eh_frame");

        put(v, at + 4 + get(v, at, 4) + 4, 1, 4);
}
static void frame_augmentation_unknown(const Victim *v) {
        put(v, content(v, ".eh_frame") + 10, 'Q', 1);
}
static void frame_for_code_outside(const Victim *v) {
        size_t at = content(v, ".eh_frame");

        put(v, at + 4 + get(v, at, 4) + 8, 0x40000000, 4);
}

static const struct {
        void (*damage)(const Victim *);
        const char *text;
} damages[] = {
        { segment_beyond_file, "segment" },
        { segment_larger_in_file, "larger in the file than in memory" },
        { segment_wraps, "addresses out of range" },
        { segments_overlap, "overlaps or precedes" },
        { segment_not_congruent, "differ within the page" },
        { no_segments, "no program headers" },
        { segments_outside, "program header" },
        { sections_outside, "section header table" },
        { section_names_outside, "section header table" },
        { section_beyond_file, "beyond the end of the file" },
        { section_name_outside, "its name lies outside the name table" },
        { section_outside_segments, "section .text: not inside one loaded segment" },
        { section_elsewhere_in_file, "section .rodata: its place in the file" },
        { sections_overlap, "overlap" },
        { tls_outside, "PT_TLS" },
        { relro_outside, "PT_GNU_RELRO" },
        { dynamic_outside, "PT_DYNAMIC" },
        { build_id_too_long, "build-id of 68 bytes" },
        { notes_cut_short, "notes: cut short" },
        { strings_outside, "string table outside the image" },
        { needed_outside, "dynamic section: string" },
        { symbols_disagree, "section .dynsym: is not the dynamic section's" },
        { symbols_not_whole, "section .dynsym: not a whole number" },
        { symbol_name_outside, "section .dynsym: symbol 1" },
        { version_missing, "version 77 is not described" },
        { versions_not_one_each, "section .gnu.version: not one version a symbol" },
        { version_chain_leaves, "section .gnu.version_d: cut short" },
        { version_need_leaves, "section .gnu.version_r: cut short" },
        { reloc_symbol_outside, "its symbol is outside" },
        { reloc_outside, "relocation at 0x10000000000: outside the image" },
        { relocs_outside, "relocation table: outside the image" },
        { relocs_of_unknown_form, "relocations of an unknown form" },
        { frame_beyond_section, ".eh_frame: offset 0: record beyond" },
        { frame_without_cie, "FDE without a CIE" },
        { frame_augmentation_unknown, ".eh_frame: offset 0: unknown augmentation" },
        { frame_for_code_outside, "FDE for code outside the image" },
};

static void damage_is_named(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(damages); i++) {
                Victim v = victim_open("fixture-library");
                Error e = { 0 };
                int r;

                damages[i].damage(&v);
                r = parse(&v, v.size, &e);
                if (r != -EBADMSG || e.code != r || !strstr(e.text, damages[i].text) ||
                    strncmp(e.text, "victim: ", 8) != 0)
                        fail_msg("damage %zu (%s): %d: %s", i, damages[i].text, r, e.text);
                victim_close(&v);
        }
}

static void other_kinds_are_unsupported(void **state) {
        static const struct {
                size_t at, size;
                uint64_t value;
                int outcome;
                const char *text;
        } kinds[] = {
                { EI_CLASS, 1, ELFCLASS32, IMAGE_UNSUPPORTED, "32-bit" },
                { EI_DATA, 1, ELFDATA2MSB, IMAGE_UNSUPPORTED, "not little-endian" },
                { offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64, IMAGE_UNSUPPORTED, "machine 183" },
                { offsetof(Elf64_Ehdr, e_type), 2, ET_REL, IMAGE_UNSUPPORTED, "relocatable object" },
                { offsetof(Elf64_Ehdr, e_type), 2, ET_CORE, IMAGE_UNSUPPORTED, "core dump" },
                { offsetof(Elf64_Ehdr, e_shoff), 8, 0, IMAGE_UNSUPPORTED, "section headers are stripped" },
                { EI_MAG0, 1, '#', IMAGE_NOT_ELF, "not an ELF file" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                Victim v = victim_open("fixture-library");
                Error e = { 0 };

                put(&v, kinds[i].at, kinds[i].value, kinds[i].size);
                assert_int_equal(parse(&v, v.size, &e), kinds[i].outcome);
                if (!strstr(e.text, kinds[i].text))
                        fail_msg("%s: %s", kinds[i].text, e.text);
                victim_close(&v);
        }
}

/* The section headers stand at the end, so no shorter file is whole. */
static void no_prefix_is_an_image(void **state) {
        Victim v = victim_open("fixture-library");

        (void)state;
        for (size_t size = 1; size < v.size; size += size < 4096 ? 1 : 61) {
                Error e = { 0 };
                int r = parse(&v, size, &e);

                if (size < SELFMAG)
                        assert_int_equal(r, IMAGE_NOT_ELF);
                else
                        assert_int_equal(r, -EBADMSG);
                assert_int_not_equal(e.text[0], 0);
        }
        victim_close(&v);
}

static void files_that_are_no_images(void **state) {
        _cleanup_(closep) int fd = -1;
        char path[] = "/tmp/staunch-test-XXXXXX";
        Image *image = NULL;
        BuildId id;
        Error e;

        (void)state;
        fd = mkstemp(path);
        assert_true(fd >= 0);
        unlink(path);
        assert_int_equal(image_open_fd(fd, "empty", &image, &e), IMAGE_NOT_ELF);
        assert_int_equal(image_build_id_fd(fd, "empty", &id, &e), IMAGE_NOT_ELF);
        assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
        assert_int_equal(image_open_fd(fd, "script", &image, &e), IMAGE_NOT_ELF);
        assert_int_equal(image_build_id_fd(fd, "script", &id, &e), IMAGE_NOT_ELF);
        assert_int_equal(image_open("/nonexistent/file", &image, &e), -ENOENT);
        assert_int_equal(image_open("/", &image, &e), -EISDIR);
        assert_null(image);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(damage_is_named),
                cmocka_unit_test(other_kinds_are_unsupported),
                cmocka_unit_test(no_prefix_is_an_image),
                cmocka_unit_test(files_that_are_no_images),
        };

        fixtures_set(argc, argv);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
