/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/emit.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <string.h>

/*
 * A variable that the patch adds begins with its initial value. Where one function sets it and another one
 * reads it, the first may have run in the process already, and never again: what a program reads from its
 * configuration, what a library makes when it is opened. Then new code reads nothing. Such a function runs
 * before main waits for events, or is called by the words for it, or makes objects that old variables hold,
 * or sets it together with an old variable that says that all has been made (then one function alone is
 * enough). Any other one runs again like all of the code. A variable that is only ever counted up, or set to
 * what it was and more (a maximum, say), begins in a new process as it does in this one.
 */

/* The variable is held against something there: what decides whether all is made that goes with it. */
static bool asks(const Code *code, const Ref *r) {
        Op op, next;

        if (values_decode_one(code, r->insn, &op) < 0)
                return false;
        if (op.mnemonic == ZYDIS_MNEMONIC_CMP || op.mnemonic == ZYDIS_MNEMONIC_TEST)
                return true;
        return op.kind == OP_MOV && !op.mem_first &&
               values_decode_one(code, r->insn + op.length, &next) == 0 &&
               (next.mnemonic == ZYDIS_MNEMONIC_TEST || next.mnemonic == ZYDIS_MNEMONIC_CMP) &&
               next.dst == op.dst;
}

/* An old variable that the function asks and sets. */
static bool has_guard(Emitter *m, const Function *f) {
        const Code *code = m->d->new;

        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &code->refs[f->ref + i];

                if (place_of(code, r->target).kind != PLACE_DATA || emit_is_variable(m, r->target) ||
                    variable_use(code, r) != USE_SET)
                        continue;
                for (uint32_t k = 0; k < f->n_refs; k++) {
                        const Ref *x = &code->refs[f->ref + k];

                        if (x->target == r->target && variable_use(code, x) == USE_READ && asks(code, x))
                                return true;
                }
        }
        return false;
}

/* By the words that functions are called by which make something once, and others use later. */
static bool makes_by_name(const char *name) {
        static const char *const words[] = { "init", "open", "create",  "setup",   "start",
                                             "load", "conf", "connect", "install", "register" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasestr(name, words[i]))
                        return true;
        return false;
}

/* It makes objects, and uses old variables, which may hold them. */
static bool makes_objects(const Emitter *m, const Function *f) {
        const Code *code = m->d->new;
        bool makes = false, holds = false;

        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &code->refs[f->ref + i];
                Place p = place_of(code, r->target);
                const Known *known = p.kind == PLACE_IMPORT ? known_find(p.name) : NULL;

                makes = makes || (known && (known->flags & KNOWN_FRESH)) ||
                        (p.kind == PLACE_IMPORT && makes_by_name(p.name));
                holds = holds || (p.kind == PLACE_DATA && !emit_is_variable(m, r->target) &&
                                  (variable_use(code, r) == USE_SET || variable_use(code, r) == USE_ADDRESS));
        }
        return makes && holds;
}

static bool has_run_once(const Emitter *m, uint32_t function) {
        const Match *match = &m->d->matches[m->d->new_match[function]];

        return m->d->once && match->old != NO_FUNCTION && m->d->once[match->old];
}

/* It may have run already, and never again. */
static bool may_be_over(Emitter *m, uint32_t function) {
        const Function *f = &m->d->new->functions[function];

        return has_run_once(m, function) || (f->named && makes_by_name(f->name)) || makes_objects(m, f) ||
               has_guard(m, f);
}

static bool begins_empty(const Emitter *m, uint64_t from, uint64_t size) {
        const uint8_t *b = image_bytes(m->d->new_image, from, size);

        return unrelocated(m->d->new_image, from, size) && (!b || all_zero(b, size));
}

/* The functions that refer to an added variable. */
static void look_at(Emitter *m, uint64_t at, uint64_t size) {
        const Code *code = m->d->new;
        uint32_t setter = NO_FUNCTION, reader = NO_FUNCTION, user = NO_FUNCTION;
        bool several = false, read = false, over = false,
             begins_with_it = false; /* the user: with what it was before */
        size_t n;
        const uint32_t *refs = code_refs_to(code, at, &n);

        for (size_t i = 0; i < n; i++) {
                const Ref *r = &code->refs[refs[i]];
                VariableUse use = variable_use(code, r);

                if (r->function != user) {
                        user = r->function;
                        begins_with_it = use == USE_READ || use == USE_COUNT;
                }
                if (!over && r->function != setter &&
                    ((use == USE_SET && !begins_with_it) ||
                     (use == USE_ADDRESS && begins_empty(m, at, size)))) {
                        setter = r->function;
                        over = may_be_over(m, setter);
                }
                if (use != USE_SET) {
                        several = several || (read && r->function != reader);
                        reader = r->function;
                        read = true;
                }
        }
        if (setter == NO_FUNCTION || !read)
                return;
        if ((several || reader != setter) && over)
                verdict_add(&m->d->verdict, REFUSAL_CODE_VARIABLE_UNSET, code->functions[reader].name,
                            "reads a variable that is new and that %s sets, which may have run already",
                            code->functions[setter].name);
        else if (!several && reader == setter &&
                 m->d->matches[m->d->new_match[setter]].kind == MATCH_CHANGED &&
                 has_guard(m, &code->functions[setter]))
                verdict_add(&m->d->verdict, REFUSAL_CODE_VARIABLE_UNSET, code->functions[setter].name,
                            "sets a variable that is new together with one that says whether all is made");
}

void emit_unset(Emitter *m) {
        const Code *code = m->d->new;

        for (size_t i = 0; i < m->added.n; i++) {
                uint64_t at = m->added.items[i].new, end = at + m->added.items[i].size;

                while (at < end) {
                        uint64_t next = MIN(code_next_target(code, at), end);

                        look_at(m, at, next - at);
                        at = next;
                }
        }
}
