/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <string.h>

/*
 * Bodies of coroutines: of C++20, and Rust's async functions (async.c). A coroutine that is suspended has no
 * frame on a stack: its locals lie in an object, and the function is called anew to go on. It is an
 * activation of the old function all the same, and new code would go on in the middle of it with locals that
 * may mean something else, which no safe point excludes.
 *
 * In C++ the object begins with the addresses of the functions that resume and destroy it, in this order (the
 * Itanium C++ ABI's coroutines, which gcc and clang share); the function that makes it puts them there. In
 * Rust the object lies in that of who awaits it, and the body is called by its name.
 */

/* Also where only what it refers to has: in another order, perhaps, and some of it was done already. */
static bool body_changed(const Diff *d, uint32_t old) {
        return d->matches[d->old_match[old]].kind == MATCH_CHANGED;
}

static bool ends_with(const char *s, const char *end) {
        size_t n = strlen(s), m = strlen(end);

        return n >= m && memcmp(s + n - m, end, m) == 0;
}

static bool named_body(const Function *f) {
        static const char *const ends[] = { ".actor", ".destroy", ".resume", ".cleanup" };

        for (size_t i = 0; f->named && strncmp(f->name, "_Z", 2) == 0 && i < ELEMENTSOF(ends); i++)
                if (ends_with(f->name, ends[i]))
                        return true;
        return false;
}

/* C++ objects are made with an operator new, which is a library's as a rule. */
static bool makes_objects(const Code *code) {
        const Image *image = code->image;

        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (strncmp(image->dynsyms[i].name, "_Znw", 4) == 0)
                        return true;
        for (uint32_t i = 0; i < code->n_functions; i++)
                if (code->functions[i].named && strncmp(code->functions[i].name, "_Znw", 4) == 0)
                        return true;
        return false;
}

/* Memory that another function made, or would have made had there been no room elsewhere. */
static bool is_object(const Values *w, uint32_t root) {
        const Node *n = root < ROOT_FIRST || root == (uint32_t)VALUE_UNSET ? NULL : values_node(w, root);
        bool any = n && (n->kind == NODE_FRESH || n->kind == NODE_RETURN);

        for (unsigned i = 0; n && n->kind == NODE_JOIN && i < n->n_members && !any; i++)
                any = is_object(w, n->members[i].root);
        return any;
}

/* A store of n bytes, `off` bytes behind the beginning of an object. */
static bool stores_at(const Values *w, const Access *a, unsigned n, int64_t off) {
        return (a->flags & ACCESS_WRITE) && a->width == n && a->at.stride == 0 && a->at.off == off &&
               is_object(w, a->at.root);
}

/* Two words become a vector: not those of a pointer to a member function, which are an address and, as a
 * rule, zero. */
static bool joins_words(const FnValues *f) {
        for (uint32_t i = 0; i < f->n_ops; i++)
                switch (f->ops[i].mnemonic) {
                case ZYDIS_MNEMONIC_PUNPCKLQDQ:
                case ZYDIS_MNEMONIC_VPUNPCKLQDQ:
                case ZYDIS_MNEMONIC_PINSRQ:
                case ZYDIS_MNEMONIC_VPINSRQ:
                case ZYDIS_MNEMONIC_MOVHPS:
                case ZYDIS_MNEMONIC_VMOVHPS:
                        return true;
                default:
                        break;
                }
        return false;
}

/* The function puts `body` into one of the two first words of an object, and something that is no number into
 * the other. */
static bool puts_in_pair(Values *w, const FnValues *f, uint32_t body) {
        uint32_t root = values_function_root(w, SIDE_OLD, body);

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];

                if (stores_at(w, a, 16, 0) && joins_words(f)) /* both at once, which values do not follow */
                        return true;
                if (!(stores_at(w, a, 8, 0) || stores_at(w, a, 8, 8)) || f->op_value[a->op].root != root)
                        continue;
                for (size_t k = 0; k < f->n_accesses; k++) {
                        const Access *b = &f->accesses[k];

                        /* Of two functions, perhaps: where the object need not be freed. */
                        if (stores_at(w, b, 8, 8 - a->at.off) && b->at.root == a->at.root &&
                            !value_is_const(f->op_value[b->op]))
                                return true;
                }
        }
        return false;
}

static void mark_cxx_bodies(Diff *d, bool *out) {
        const Code *code = d->old;
        Values *w;

        if (!makes_objects(code))
                return;
        w = values_new(d);
        for (uint32_t i = 0; i < code->n_functions; i++)
                out[i] |= body_changed(d, i) && named_body(&code->functions[i]);
        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                uint32_t body = takes_address(r) ? r->begins : NO_FUNCTION, maker = r->function;

                if (body == NO_FUNCTION || body == maker || out[body] || !body_changed(d, body))
                        continue;
                out[body] = puts_in_pair(w, values_of(w, SIDE_OLD, maker), body);
        }
        values_free(w);
}

void judge_coroutines(Diff *d) {
        const Code *code = d->old;
        bool *is_body = arena_newa(d->arena, bool, code->n_functions + 1);

        mark_async_bodies(d, code, is_body);
        mark_cxx_bodies(d, is_body);
        for (uint32_t i = 0; i < code->n_functions; i++)
                if (is_body[i] && body_changed(d, i))
                        verdict_add(&d->verdict, REFUSAL_CODE_COROUTINE_CHANGED, code->functions[i].name,
                                    "coroutines that wait in the old one would go on in the new one");
}
