/* SPDX-License-Identifier: Apache-2.0 */
/* Two exception tables, in the halves of the input: of one function, in two builds. */
#include "build/code.h"
#include "build/diff.h"
#include "build/passes.h"
#include "build/unwind.h"
#include "elf/image-parse.h"

#include <elf.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TABLE = 0x1000, CODE = 0x10000, CODE_SIZE = 0x400 };

typedef struct Side {
        ImageSection section;
        ImageFde fde;
        SectionAddress by_addr[1];
        ImageInner inner;
        CodePart part;
        uint32_t parts[1];
        Function function;
        Code code;
} Side;

static void set_up(Side *s, const uint8_t *bytes, size_t size) {
        s->section = (ImageSection){
                .name = ".gcc_except_table", .addr = TABLE, .size = size, .bytes = bytes, .flags = SHF_ALLOC
        };
        s->fde = (ImageFde){ .addr = CODE, .size = CODE_SIZE, .lsda = TABLE };
        s->by_addr[0] = (SectionAddress){ TABLE, &s->section };
        s->inner = (ImageInner){
                .image = { .sections = &s->section, .n_sections = 1, .fdes = &s->fde, .n_fdes = 1 },
                .by_addr = s->by_addr,
                .n_by_addr = 1,
                .section_blocks = { .items = s->by_addr, .n = 1, .size = sizeof(SectionAddress) }
        };
        s->part = (CodePart){ .addr = CODE, .size = CODE_SIZE };
        s->function = (Function){ .name = "f",
                                  .has_lsda = true,
                                  .addr = CODE,
                                  .size = CODE_SIZE,
                                  .parts = s->parts,
                                  .n_parts = 1 };
        s->code = (Code){ .image = &s->inner.image,
                          .functions = &s->function,
                          .n_functions = 1,
                          .parts = &s->part,
                          .n_parts = 1 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Side a, b;
        const Diff there = { .old = &a.code, .new = &b.code }, back = { .old = &b.code, .new = &a.code };
        UnwindCells cells = { 0 };

        set_up(&a, data, size / 2);
        set_up(&b, data + size / 2, size / 2);
        if (exceptions_same(&there, &a.function, &b.function) !=
            exceptions_same(&back, &b.function, &a.function))
                __builtin_trap();
        unwind_cells(&a.inner.image, TABLE, &cells);
        vec_free(&cells);
        return 0;
}
