/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "build/passes.h"

/* What the files of the emitter share. Internal to src/build/emit*.c. */

typedef struct Emitter {
        Diff *d;
        Patch *p;
        bool *carried;       /* by new function */
        VEC(uint32_t) queue; /* carried functions whose references are to be followed */
        bool *whole;         /* by new section: carried as it is (constants) */
        VEC(uint32_t) slots; /* relocations of the old image's GOT */
        uint32_t *plts;      /* the old image's PLT entries with a symbol, sorted by it; NULL: not yet */
        size_t n_plts;
        VEC(PatchSection) sections;
        VEC(PatchReloc) relocs;
        VEC(PatchSite) sites;
        VEC(PatchRange) ranges;
        VEC(PatchImport) imports;
        VEC(PatchWord) words;
        VEC(ConstTable) added; /* ranges of variables that only the new image has */
        VEC(PatchVariable) variables;
        VEC(PatchTestimony) testimonies;
        VEC(PatchUser) users;
} Emitter;

/* Where the process has a thing of the new image: base and value for a relocation. */
typedef struct Home {
        PatchBase base;
        uint64_t value;
} Home;

/* emit-home.c: where carried code finds what it refers to. False: refused, with a finding. */
bool emit_code_home(Emitter *m, const Function *user, uint64_t target, bool call, Home *out);
bool emit_data_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out);
/* Carries [from, to) of the new image's data as a section of its own, its words relocated. */
bool emit_carry_data(Emitter *m, const Function *user, uint64_t from, uint64_t to);
/* Constants of an image that is not position independent: relocates a jump table's words. */
bool emit_absolute_const(Emitter *m, const Function *user, uint64_t target);
void emit_carry(Emitter *m, uint32_t function);
void emit_reloc(Emitter *m, uint64_t where, uint32_t type, PatchBase base, uint64_t value, int64_t addend);
bool emit_has_section(const Emitter *m, uint64_t addr);
void emit_refuse(Emitter *m, RefusalCode code, const Function *user, uint64_t target, const char *what);
static inline bool emit_absolute(const Emitter *m) {
        return m->d->new_image->type == 2 /* ET_EXEC */;
}

/* emit-sites.c: where old code is left, and what must be free of threads; sorted. */
void emit_sites(Emitter *m);

/* emit-variables.c: which variables the patch adds, for the next patch to find them. After the sections and
 * relocations are sorted. */
void emit_variables(Emitter *m);
void emit_variable_range(Emitter *m, uint64_t from, uint64_t to);
bool emit_is_variable(const Emitter *m, uint64_t addr);

/* emit-unset.c: refuses added variables that nothing may set in a process that runs. */
void emit_unset(Emitter *m);

/* emit-words.c: pointers of constant tables that are rewritten in place; carries what they lead to. */
void emit_words(Emitter *m);

/* emit-unwind.c: unwind tables, and the cells that they refer to. */
void emit_unwind(Emitter *m);
