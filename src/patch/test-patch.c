/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "patch/digest.h"
#include "patch/patch.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static const uint8_t code[64] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xc3 };
static const uint8_t table[32] = { 1, 2, 3 };

/* A patch that uses every feature of the format. Fresh arrays each time, so that tests may spoil it. */
static Patch *sample(void) {
        Arena *a = arena_new();
        Patch *p = arena_new0(a, Patch);

        p->arena = a;
        p->old_id = (BuildId){ .bytes = { 1, 2, 3 }, .n = 20 };
        p->new_id = (BuildId){ .bytes = { 1, 2, 4 }, .n = 20 };
        p->name = "libsample.so.1";
        p->old_path = "old/libsample.so.1";
        p->new_path = "new/libsample.so.1";
        p->old_version = "1.0-1";
        p->new_version = "1.0-2";
        p->low_addresses = true;
        p->old_lo = 0x1000;
        p->old_hi = 0x9000;
        p->lo = 0x2000;
        p->hi = 0x8000;

        p->n_sections = 5;
        p->sections = arena_newa(a, PatchSection, 5);
        p->sections[0] = (PatchSection){ ".text.first", 0x2010, 64,  SHF_ALLOC | SHF_EXECINSTR,
                                         SHT_PROGBITS,  16,     code };
        p->sections[1] = (PatchSection){ ".text.extra", 0x2050, 16,  SHF_ALLOC | SHF_EXECINSTR,
                                         SHT_PROGBITS,  16,     code };
        p->sections[2] = (PatchSection){ ".rodata", 0x3000, 32, SHF_ALLOC, SHT_PROGBITS, 0, table };
        p->sections[3] = (PatchSection){ ".eh_frame", 0x3020, 32, SHF_ALLOC, SHT_PROGBITS, 8, table };
        p->sections[4] = (PatchSection){ ".bss", 0x6008, 0x1000, SHF_ALLOC | SHF_WRITE, SHT_NOBITS, 8, NULL };
        p->eh_frame = 0x3028;
        p->eh_frame_size = 24;

        p->n_imports = 2;
        p->imports = arena_newa(a, PatchImport, 2);
        p->imports[0] = (PatchImport){ "memcpy", "GLIBC_2.14", false, true };
        p->imports[1] = (PatchImport){ "optional", "", true, false };

        p->n_relocs = 5;
        p->relocs = arena_newa(a, PatchReloc, 5);
        p->relocs[0] = (PatchReloc){ 0x2015, R_X86_64_PC32, PATCH_BASE_OLD, 0x4567, -4 };
        p->relocs[1] = (PatchReloc){ 0x2020, R_X86_64_32S, PATCH_BASE_SHADOW, 0x3000, 8 };
        p->relocs[2] = (PatchReloc){ 0x2024, R_X86_64_PC32, PATCH_BASE_IMPORT, 0, -4 };
        p->relocs[3] = (PatchReloc){ 0x3000, R_X86_64_64, PATCH_BASE_IMPORT, 1, 0 };
        p->relocs[4] = (PatchReloc){ 0x3018, R_X86_64_64, PATCH_BASE_OLD, 0x9000, -0x10 };

        p->n_sites = 3;
        p->sites = arena_newa(a, PatchSite, 3);
        /* The jump at the entry; behind endbr64; and in the padding behind a short jump. */
        p->sites[0] = (PatchSite){ "first", 0x1100, 0x2010, 0x1100, 0x1100, { 0x55, 1, 2, 3, 4 }, 5, 0xff };
        p->sites[1] = (PatchSite){ "second", 0x1200, 0x2020,
                                   0x1204,   0x1200, { 0xf3, 0x0f, 0x1e, 0xfa, 5, 6, 7, 8, 9 },
                                   9,        0xff };
        p->sites[2] =
                (PatchSite){ "tiny", 0x1300, 0x2030, 0x1303, 0x1300, { 0x31, 0xc0, 0xc3, 0x66, 0x90 }, 8, 0 };

        p->n_ranges = 4;
        p->ranges = arena_newa(a, PatchRange, 4);
        p->ranges[0] = (PatchRange){ 0x1100, 0x40, 0 };
        p->ranges[1] = (PatchRange){ 0x1200, 0x40, 1 };
        p->ranges[2] = (PatchRange){ 0x1300, 3, 2 };
        p->ranges[3] = (PatchRange){ 0x1800, 0x10, 0 };

        p->n_variables = 2;
        p->variables = arena_newa(a, PatchVariable, 2);
        p->variables[0] = (PatchVariable){ 0x6008, 8, 0, 8, "counter" };
        p->variables[1] = (PatchVariable){ 0x6040, 0x100, 0x1234, 32, "" };
        p->n_testimonies = 3;
        p->testimonies = arena_newa(a, PatchTestimony, 3);
        p->testimonies[0] = (PatchTestimony){ 5, 0 };
        p->testimonies[1] = (PatchTestimony){ 5, 1 };
        p->testimonies[2] = (PatchTestimony){ UINT64_MAX, 0 };
        p->n_users = 2;
        p->users = arena_newa(a, PatchUser, 2);
        p->users[0] = (PatchUser){ 0, 7, 8 };
        p->users[1] = (PatchUser){ 0x1100, 1, 2 };

        p->n_words = 2;
        p->words = arena_newa(a, PatchWord, 2);
        p->words[0] = (PatchWord){ 0x1310, 0x1100, PATCH_BASE_SHADOW, 0x2020 };
        p->words[1] = (PatchWord){ 0x8ff8, 0x9000, PATCH_BASE_OLD, 0x1000 };

        verdict_init(&p->verdict, a);
        verdict_add(&p->verdict, REFUSAL_CODE_STARTUP_ONLY, "main", "called once");
        verdict_add(&p->verdict, REFUSAL_CODE_LAYOUT_UNPROVED, "second", "%s", "");
        p->verdict.grade = GRADE_CONSISTENT;
        p->verdict.evidence = "3 functions aligned";
        return p;
}

static int parse_bytes(const uint8_t *bytes, size_t size, Patch **out, Error *e) {
        FileBytes f = { .size = size };
        void *m = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;

        assert_true(m != MAP_FAILED);
        if (size)
                memcpy(m, bytes, size);
        f.bytes = m;
        return patch_parse("sample", &f, out, e);
}

static void assert_same(const Patch *a, const Patch *b) {
        assert_memory_equal(&a->old_id, &b->old_id, sizeof(a->old_id));
        assert_memory_equal(&a->new_id, &b->new_id, sizeof(a->new_id));
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->old_path, b->old_path);
        assert_string_equal(a->new_path, b->new_path);
        assert_string_equal(a->old_version, b->old_version);
        assert_string_equal(a->new_version, b->new_version);
        assert_int_equal(a->executable, b->executable);
        assert_int_equal(a->low_addresses, b->low_addresses);
        assert_int_equal(a->old_lo, b->old_lo);
        assert_int_equal(a->old_hi, b->old_hi);
        assert_int_equal(a->lo, b->lo);
        assert_int_equal(a->hi, b->hi);
        assert_int_equal(a->eh_frame, b->eh_frame);
        assert_int_equal(a->eh_frame_size, b->eh_frame_size);
        assert_int_equal(a->n_sections, b->n_sections);
        for (size_t i = 0; i < a->n_sections; i++) {
                const PatchSection *x = &a->sections[i], *y = &b->sections[i];

                assert_string_equal(x->name, y->name);
                assert_int_equal(x->addr, y->addr);
                assert_int_equal(x->size, y->size);
                assert_int_equal(x->flags, y->flags);
                assert_int_equal(x->type, y->type);
                assert_int_equal(x->align, y->align);
                assert_int_equal(!x->bytes, !y->bytes);
                if (x->bytes)
                        assert_memory_equal(x->bytes, y->bytes, x->size);
        }
        assert_int_equal(a->n_relocs, b->n_relocs);
        for (size_t i = 0; i < a->n_relocs; i++) {
                assert_int_equal(a->relocs[i].where, b->relocs[i].where);
                assert_int_equal(a->relocs[i].type, b->relocs[i].type);
                assert_int_equal(a->relocs[i].base, b->relocs[i].base);
                assert_int_equal(a->relocs[i].value, b->relocs[i].value);
                assert_int_equal(a->relocs[i].addend, b->relocs[i].addend);
        }
        assert_int_equal(a->n_imports, b->n_imports);
        for (size_t i = 0; i < a->n_imports; i++) {
                assert_string_equal(a->imports[i].name, b->imports[i].name);
                assert_string_equal(a->imports[i].version, b->imports[i].version);
                assert_int_equal(a->imports[i].weak, b->imports[i].weak);
                assert_int_equal(a->imports[i].function, b->imports[i].function);
        }
        assert_int_equal(a->n_sites, b->n_sites);
        for (size_t i = 0; i < a->n_sites; i++) {
                const PatchSite *x = &a->sites[i], *y = &b->sites[i];

                assert_string_equal(x->name, y->name);
                assert_int_equal(x->old_addr, y->old_addr);
                assert_int_equal(x->new_addr, y->new_addr);
                assert_int_equal(x->jump_addr, y->jump_addr);
                assert_int_equal(x->patch_addr, y->patch_addr);
                assert_memory_equal(x->expect, y->expect, sizeof(x->expect));
                assert_int_equal(x->n_expect, y->n_expect);
                assert_int_equal(x->short_at, y->short_at);
        }
        assert_int_equal(a->n_ranges, b->n_ranges);
        for (size_t i = 0; i < a->n_ranges; i++) {
                assert_int_equal(a->ranges[i].addr, b->ranges[i].addr);
                assert_int_equal(a->ranges[i].size, b->ranges[i].size);
                assert_int_equal(a->ranges[i].site, b->ranges[i].site);
        }
        assert_int_equal(a->n_variables, b->n_variables);
        for (size_t i = 0; i < a->n_variables; i++) {
                assert_int_equal(a->variables[i].addr, b->variables[i].addr);
                assert_int_equal(a->variables[i].size, b->variables[i].size);
                assert_int_equal(a->variables[i].initial, b->variables[i].initial);
                assert_int_equal(a->variables[i].align, b->variables[i].align);
                assert_string_equal(a->variables[i].name, b->variables[i].name);
        }
        assert_int_equal(a->n_testimonies, b->n_testimonies);
        for (size_t i = 0; i < a->n_testimonies; i++) {
                assert_int_equal(a->testimonies[i].key, b->testimonies[i].key);
                assert_int_equal(a->testimonies[i].variable, b->testimonies[i].variable);
        }
        assert_int_equal(a->n_users, b->n_users);
        if (a->n_users)
                assert_memory_equal(a->users, b->users, a->n_users * sizeof(*a->users));
        assert_int_equal(a->n_words, b->n_words);
        for (size_t i = 0; i < a->n_words; i++) {
                assert_int_equal(a->words[i].where, b->words[i].where);
                assert_int_equal(a->words[i].old_value, b->words[i].old_value);
                assert_int_equal(a->words[i].base, b->words[i].base);
                assert_int_equal(a->words[i].value, b->words[i].value);
        }
        assert_int_equal(a->verdict.grade, b->verdict.grade);
        assert_string_equal(a->verdict.evidence, b->verdict.evidence);
        assert_int_equal(a->verdict.n, b->verdict.n);
        for (size_t i = 0; i < a->verdict.n; i++) {
                assert_int_equal(a->verdict.findings[i].code, b->verdict.findings[i].code);
                assert_string_equal(a->verdict.findings[i].subject, b->verdict.findings[i].subject);
                assert_string_equal(a->verdict.findings[i].detail, b->verdict.findings[i].detail);
        }
        assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
}

static void survives_the_round_trip(void **state) {
        _cleanup_(patch_freep) Patch *p = sample(), *q = NULL;
        _cleanup_(freep) uint8_t *bytes = NULL, *again = NULL;
        size_t size, n;
        uint8_t sum[DIGEST_SIZE];
        Error e = { 0 };

        (void)state;
        assert_int_equal(patch_write(p, &bytes, &size, &e), 0);
        assert_int_equal(patch_write(p, &again, &n, &e), 0);
        assert_int_equal(size, n);
        assert_memory_equal(bytes, again, n);
        assert_int_equal(digest_sha256(bytes, size, sum, &e), 0);
        assert_memory_equal(sum, p->digest, sizeof(sum));
        if (parse_bytes(bytes, size, &q, &e) != 0)
                fail_msg("%s", e.text);
        assert_same(p, q);
}

static void smallest_patch(void **state) {
        _cleanup_(patch_freep) Patch *p = sample(), *q = NULL;
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size;
        Error e = { 0 };

        (void)state;
        p->n_sections = p->n_sites = p->n_ranges = 1;
        p->n_relocs = p->n_imports = p->n_variables = p->n_testimonies = p->n_users = p->n_words =
                p->verdict.n = 0;
        p->eh_frame = p->eh_frame_size = 0;
        p->executable = true;
        p->low_addresses = false;
        p->old_path = p->new_path = p->old_version = p->new_version = p->verdict.evidence = "";
        assert_int_equal(patch_write(p, &bytes, &size, &e), 0);
        assert_int_equal(parse_bytes(bytes, size, &q, &e), 0);
        assert_same(p, q);
}

static void finds_sections(void **state) {
        _cleanup_(patch_freep) Patch *p = sample();

        (void)state;
        assert_null(patch_section_at(p, 0x200f));
        assert_ptr_equal(patch_section_at(p, 0x2010), &p->sections[0]);
        assert_ptr_equal(patch_section_at(p, 0x204f), &p->sections[0]);
        assert_ptr_equal(patch_section_at(p, 0x2050), &p->sections[1]);
        assert_null(patch_section_at(p, 0x2060));
        assert_ptr_equal(patch_section_at(p, 0x7007), &p->sections[4]);
        assert_null(patch_section_at(p, 0x7008));
        assert_null(patch_section_at(p, UINT64_MAX));
        assert_ptr_equal(patch_variable_at(p, 0x600f), &p->variables[0]);
        assert_null(patch_variable_at(p, 0x6010));
        assert_ptr_equal(patch_variable_at(p, 0x613f), &p->variables[1]);
        assert_null(patch_variable_at(p, 0x6140));
}

/* Each line spoils one field of the sample; the validator must say where. */
#define SPOIL(name, text, ...)               \
        static void spoil_##name(Patch *p) { \
                __VA_ARGS__;                 \
        }
#include "patch/test-spoil.h"
#undef SPOIL

static const struct {
        const char *name, *text;
        void (*spoil)(Patch *p);
} spoils[] = {
#define SPOIL(name, text, ...) { #name, text, spoil_##name },
#include "patch/test-spoil.h"
#undef SPOIL
};

static void spoiled_patches_are_refused(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(spoils); i++) {
                _cleanup_(patch_freep) Patch *p = sample();
                uint8_t *bytes = NULL;
                size_t size = 0;
                Error e = { 0 };

                assert_int_equal(patch_validate(p, &e), 0);
                spoils[i].spoil(p);
                if (patch_validate(p, &e) != -EBADMSG || !strstr(e.text, spoils[i].text))
                        fail_msg("%s: expected '%s', got '%s'", spoils[i].name, spoils[i].text, e.text);
                assert_int_equal(patch_write(p, &bytes, &size, NULL), -EBADMSG);
                assert_null(bytes);
        }
}

static void every_truncation_is_refused(void **state) {
        _cleanup_(patch_freep) Patch *p = sample();
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size;

        (void)state;
        assert_int_equal(patch_write(p, &bytes, &size, NULL), 0);
        for (size_t n = 0; n < size; n++) {
                Patch *q = NULL;
                Error e = { 0 };

                if (parse_bytes(bytes, n, &q, &e) != -EBADMSG)
                        fail_msg("accepted %zu of %zu bytes", n, size);
                assert_null(q);
                assert_true(strncmp(e.text, "sample: ", 8) == 0);
        }
}

/* A patch has one file only. So a changed byte is refused, or is another patch with another digest;
 * never the same patch, and never a crash. */
static void every_byte_counts(void **state) {
        static const uint8_t masks[] = { 0x01, 0x80, 0xff };
        _cleanup_(patch_freep) Patch *p = sample();
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size, accepted = 0;

        (void)state;
        assert_int_equal(patch_write(p, &bytes, &size, NULL), 0);
        for (size_t i = 0; i < size; i++)
                for (size_t m = 0; m < ELEMENTSOF(masks); m++) {
                        _cleanup_(patch_freep) Patch *q = NULL;
                        int r;

                        bytes[i] ^= masks[m];
                        r = parse_bytes(bytes, size, &q, NULL);
                        if (r == 0) {
                                assert_memory_not_equal(q->digest, p->digest, sizeof(p->digest));
                                accepted++;
                        } else {
                                assert_int_equal(r, -EBADMSG);
                        }
                        bytes[i] ^= masks[m];
                }
        /* The content of sections, names and addresses inside the spans may differ freely. */
        assert_in_range(accepted, 200, 3 * size / 2);
}

static void other_files_are_named(void **state) {
        static const struct {
                const char *bytes;
                size_t size;
                const char *text;
        } files[] = {
                { "", 0, "not an ELF file" },
                { "#!/bin/sh\necho this is a script, not a patch\n", 46, "not an ELF file" },
                { "\x7f"
                  "ELF\1\1\1\0\0\0\0\0\0\0\0\0",
                  16, "64-bit" },
        };
        Patch *p = NULL;
        Error e = { 0 };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                assert_int_equal(parse_bytes((const uint8_t *)files[i].bytes, files[i].size, &p, &e),
                                 -EBADMSG);
                assert_non_null(strstr(e.text, files[i].text));
        }
        assert_int_equal(patch_open("/proc/self/exe", &p, &e), -EBADMSG);
        assert_non_null(strstr(e.text, "not a Staunch patch"));
        assert_int_equal(patch_open("/nonexistent/patch", &p, &e), -ENOENT);
        assert_null(p);
}

static void digests_are_sha256(void **state) {
        uint8_t sum[DIGEST_SIZE];
        char text[2 * DIGEST_SIZE + 1];

        (void)state;
        assert_int_equal(digest_sha256("abc", 3, sum, NULL), 0);
        assert_string_equal(digest_text(sum, text),
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Writes the sample to a file, for the tests that show it to readelf and gdb. */
static int write_sample(const char *path) {
        _cleanup_(patch_freep) Patch *p = sample();
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size;
        Error e = { 0 };

        if (patch_write(p, &bytes, &size, &e) < 0 || file_write_atomic(path, bytes, size, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                return 1;
        }
        return 0;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(survives_the_round_trip),
                cmocka_unit_test(smallest_patch),
                cmocka_unit_test(finds_sections),
                cmocka_unit_test(spoiled_patches_are_refused),
                cmocka_unit_test(every_truncation_is_refused),
                cmocka_unit_test(every_byte_counts),
                cmocka_unit_test(other_files_are_named),
                cmocka_unit_test(digests_are_sha256),
        };

        if (argc == 2)
                return write_sample(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
