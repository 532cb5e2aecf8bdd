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

/* The address that instruction `insn` loads becomes half of a vector. */
static bool joins_words(const FnValues *f, uint64_t insn) {
        enum { REACH = 24 };
        uint32_t at = values_op_at(f, insn);
        int8_t reg = at < f->n_ops ? f->ops[at].dst : -1;

        for (uint32_t i = at + 1; reg >= 0 && i < f->n_ops && i < at + REACH; i++) {
                switch (f->ops[i].mnemonic) {
                case ZYDIS_MNEMONIC_MOVQ:
                case ZYDIS_MNEMONIC_VMOVQ:
                case ZYDIS_MNEMONIC_PINSRQ:
                case ZYDIS_MNEMONIC_VPINSRQ:
                        if (f->ops[i].reads & (1u << reg))
                                return true;
                        break;
                default:
                        break;
                }
                if (f->ops[i].writes & (1u << reg))
                        break;
        }
        return false;
}

/* A function, or one of several. */
static bool is_function(const Values *w, Value v) {
        const Node *n = v.root < ROOT_FIRST || v.root == (uint32_t)VALUE_UNSET || v.off || v.stride
                                ? NULL
                                : values_node(w, v.root);
        bool all = n && n->kind == NODE_JOIN;

        for (unsigned i = 0; all && i < n->n_members; i++)
                all = is_function(w, n->members[i]);
        return all || (n && n->kind == NODE_FUNCTION);
}

/* The function puts the address that the reference takes into one of the two first words of an object, and
 * another function's into the other. */
static bool puts_in_pair(Values *w, const FnValues *f, const Ref *r) {
        uint32_t root = values_function_root(w, SIDE_OLD, r->begins);

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];

                if (stores_at(w, a, 16, 0) &&
                    joins_words(f, r->insn)) /* both at once, which values do not follow */
                        return true;
                if (!(stores_at(w, a, 8, 0) || stores_at(w, a, 8, 8)) || f->op_value[a->op].root != root)
                        continue;
                for (size_t k = 0; k < f->n_accesses; k++) {
                        const Access *b = &f->accesses[k];

                        /* Of two functions, perhaps: where the object need not be freed. */
                        if (stores_at(w, b, 8, 8 - a->at.off) && b->at.root == a->at.root &&
                            is_function(w, f->op_value[b->op]))
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
                out[body] = puts_in_pair(w, values_of(w, SIDE_OLD, maker), r);
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
