/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same pair gives the same verdict and the same patch, bit by bit, with any number of threads. The pair
 * is this program, and a copy of it in which numbers within instructions differ.
 */
#include "base/macro.h"
#include "build/diff.h"
#include "elf/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Outcome {
        char *text;
        size_t text_size;
        uint8_t *patch;
        size_t patch_size;
        size_t changed;
} Outcome;

static FileBytes program(void) {
        FileBytes file = { 0 };
        Error e = { 0 };

        assert_int_equal(file_read("/proc/self/exe", IMAGE_MAX_SIZE, &file, &e), 0);
        return file;
}

static Image *parse(FileBytes *file) {
        Image *image = NULL;
        Error e = { 0 };

        assert_int_equal(image_parse("program", file, &image, &e), 0);
        return image;
}

/* Changes one number of each nth function: what a `mov` of 32 bits puts into a register. */
static size_t change(const Code *code, uint8_t *copy, unsigned nth) {
        const Image *image = code->image;
        size_t n = 0;

        for (uint32_t i = 0; i < code->n_functions; i += nth) {
                const Function *f = &code->functions[i];
                const CodePart *part = &code->parts[f->parts[0]];

                for (uint32_t k = 1; k < part->n_insns; k++) {
                        const Insn *insn = &code->insns[part->insn + k];
                        const uint8_t *b = image_bytes(image, insn_addr(code, insn), insn->length);

                        if (!b || insn->length != 5 || b[0] < 0xb8 || b[0] > 0xbf)
                                continue;
                        copy[b + 1 - image->file.bytes] ^= 0x10;
                        n++;
                        break;
                }
        }
        return n;
}

static Outcome compare(unsigned nth, unsigned threads) {
        _cleanup_(image_freep) Image *old = NULL, *new = NULL;
        _cleanup_(code_freep) Code *code = NULL;
        _cleanup_(diff_freep) Diff *d = NULL;
        _cleanup_(patch_freep) Patch *patch = NULL;
        FileBytes a = program(), b = { 0 };
        bool accepted[REFUSAL_N];
        DiffOptions options = { .threads = threads, .no_debug = true };
        Outcome o = { 0 };
        Error e = { 0 };
        uint8_t *copy, *id;
        FILE *out;

        old = parse(&a);
        copy = malloc(old->file.size);
        assert_non_null(copy);
        memcpy(copy, old->file.bytes, old->file.size);
        assert_int_equal(code_load(old, 1, &code, &e), 0);
        assert_true(change(code, copy, nth) > 0);
        assert_true(old->build_id.n > 0);
        id = memmem(copy, old->file.size, old->build_id.bytes, old->build_id.n);
        assert_non_null(id);
        id[0] ^= 1;
        assert_int_equal(file_dup(copy, old->file.size, &b, &e), 0);
        free(copy);
        new = parse(&b);
        assert_int_equal(diff_run(old, new, &options, &d, &e), 0);
        memset(accepted, true, sizeof(accepted));
        assert_int_equal(emit_patch(d, accepted, &patch, &e), 0);
        assert_int_equal(patch_write(patch, &o.patch, &o.patch_size, &e), 0);
        out = open_memstream(&o.text, &o.text_size);
        assert_non_null(out);
        fprintf(out, "%d %s\n", (int)d->verdict.grade, d->verdict.evidence);
        for (size_t i = 0; i < d->verdict.n; i++)
                fprintf(out, "%s %s %s\n", refusal_get(d->verdict.findings[i].code)->code,
                        d->verdict.findings[i].subject, d->verdict.findings[i].detail);
        for (size_t i = 0; i < d->n_matches; i++)
                fprintf(out, "%u %u %d %s\n", d->matches[i].old, d->matches[i].new, (int)d->matches[i].kind,
                        d->matches[i].why);
        for (size_t i = 0; i < d->n_map; i++)
                fprintf(out, "%llx %llx %u %d\n", (unsigned long long)d->map[i].new,
                        (unsigned long long)d->map[i].old, d->map[i].votes, (int)d->map[i].state);
        fclose(out);
        o.changed = d->n_changed;
        return o;
}

static void outcome_free(Outcome *o) {
        free(o->text);
        free(o->patch);
}

static void same_for(unsigned nth) {
        static const unsigned threads[] = { 2, 2, 3, 8 };
        Outcome one = compare(nth, 1);

        assert_true(one.changed > 0);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
                Outcome other = compare(nth, threads[i]);

                assert_string_equal(other.text, one.text);
                assert_int_equal(other.patch_size, one.patch_size);
                assert_memory_equal(other.patch, one.patch, one.patch_size);
                outcome_free(&other);
        }
        outcome_free(&one);
}

/* A few findings: those of both threads count; and too little to share it. */
static void test_few(void **state) {
        static const unsigned nth[] = { 3, 4, 5, 16 };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(nth); i++)
                same_for(nth[i]);
}

/* So many that what the other thread found is forgotten. */
static void test_many(void **state) {
        (void)state;
        same_for(1);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_few), cmocka_unit_test(test_many) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
