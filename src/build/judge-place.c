/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <elf.h>
#include <string.h>

/* When one access says that another one touches a known place in a known way. */

const Access *places_of_root(const FnValues *f, uint32_t root, size_t *n) {
        size_t lo = 0, hi = f->n_places, end;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (f->places[mid].at.root < root)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (end = lo; end < f->n_places && f->places[end].at.root == root; end++)
                ;
        *n = end - lo;
        return &f->places[lo];
}

const Access *accesses_of_op(const FnValues *f, uint32_t op, size_t *n) {
        size_t lo = 0, hi = f->n_accesses, end;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (f->accesses[mid].op < op)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (end = lo; end < f->n_accesses && f->accesses[end].op == op; end++)
                ;
        *n = end - lo;
        return &f->accesses[lo];
}

bool has_place(const FnValues *f, const Access *like) {
        size_t n;
        const Access *p = places_of_root(f, like->at.root, &n);

        for (size_t i = 0; i < n; i++)
                if (p[i].at.off == like->at.off && p[i].at.stride == like->at.stride &&
                    p[i].width == like->width)
                        return true;
        return false;
}

/* Several accesses of the same stride that lie side by side cover a wider one without a gap. As for one
 * alone, what is walked through in steps counts where the walk begins. */
static bool tiled(const Access *p, size_t n, const Need *need) {
        int64_t at = need->at.off, end = at + need->width;

        for (unsigned guard = 0; at < end && guard < 64; guard++) {
                int64_t next = at;

                for (size_t i = 0; i < n; i++)
                        if ((p[i].at.stride == need->at.stride || !need->at.stride) && p[i].at.off == at &&
                            p[i].width < need->width)
                                next = MAX(next, at + p[i].width);
                if (next == at)
                        return false;
                at = next;
        }
        return at == end;
}

static bool covers(const Access *p, const Need *need) {
        bool same_stride = p->at.stride == need->at.stride && !value_other_rows(p->at, need->at);

        /* bytes before the ones that the old code walks through: the walk began further on */
        if (need->width == 1 && p->width == 1 && need->at.stride == 1 && p->at.stride == 1 &&
            need->at.off < 0 && need->at.off >= -4 && p->at.off >= -4 && p->at.off <= 4)
                return true;
        /* the same bytes from the second one on: an array that is walked over has two at least */
        if (need->width == 1 && p->width == 1 && need->class == CLASS_INT && p->class == CLASS_INT &&
            need->at.stride == 1 && p->at.stride == 1 && need->at.off == p->at.off + 1 &&
            (!need->written || (p->flags & ACCESS_WRITE)))
                return true;

        /* one element that the old code touched among others */
        if (!same_stride && !(need->at.stride == 0 && p->at.stride && p->at.off == need->at.off))
                return false;
        if (p->at.off == need->at.off && p->width == need->width && p->class == need->class)
                return !need->written || (p->flags & ACCESS_WRITE);
        if (p->class != CLASS_INT || need->class != CLASS_INT || p->width > 8 || (p->flags & ACCESS_CONST))
                return false;
        /* a part of a word: its low end, or some of its bits */
        if (need->narrow && p->at.off == need->at.off && p->width > need->width)
                return true;
        return (need->flags & ACCESS_BITS) && p->at.off <= need->at.off &&
               need->at.off + need->width <= p->at.off + p->width;
}

/*
 * The byte before or after the one where a walk over bytes begins: `s[1]`, `s[-1]`. Where all that the
 * function does with the object is to walk over its bytes, it is an array of them, and of two at least.
 */
static bool byte_beside(const Access *p, size_t n, const Need *need) {
        bool walked = false;

        if (need->width != 1 || need->class != CLASS_INT || need->at.stride ||
            value_distance(need->at.off, 0) != 1)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (p[i].width != 1 || p[i].class != CLASS_INT)
                        return false;
                walked = walked || (p[i].at.stride == 1 && p[i].at.off == 0 &&
                                    ((p[i].flags & ACCESS_WRITE) || !(need->flags & ACCESS_WRITE)));
        }
        return walked;
}

static bool root_testified(const FnValues *f, const Need *need) {
        size_t n;
        const Access *p = places_of_root(f, need->at.root, &n);

        if (byte_beside(p, n, need))
                return true;

        for (size_t i = 0; i < n; i++)
                if (covers(&p[i], need))
                        return true;
        return (need->class == CLASS_VECTOR || (need->flags & ACCESS_CONST)) && n > 1 && tiled(p, n, need);
}

Need need_of(const FnValues *new, const Access *a) {
        Need need = { a->at, a->width, a->class, a->flags, false, false };
        size_t n;
        const Access *p = places_of_root(new, a->at.root, &n);

        for (size_t i = 0; i < n && !need.narrow; i++)
                need.narrow = p[i].at.off == a->at.off && p[i].at.stride == a->at.stride &&
                              p[i].width > a->width && p[i].width <= 8;
        return need;
}

bool place_testified(const FnValues *f, const Need *need) {
        return !f->incomplete && root_testified(f, need);
}

/* What the call leaves in a local variable is named so. */
static bool names(const Judge *j, const CallSite *c, const Node *out) {
        return c->callee == out->a && values_asked(j->w, c->args, (unsigned)out->off) == out->stride;
}

/* One local variable is given to both calls that these two roots are named by. */
static bool same_local(const Judge *j, const FnValues *f, uint32_t a, uint32_t b) {
        const Node *x = values_node(j->w, a), *y = values_node(j->w, b);

        for (size_t i = 0; i < f->n_calls; i++)
                for (size_t k = 0; names(j, &f->calls[i], x) && k < f->n_calls; k++)
                        if (names(j, &f->calls[k], y) && f->calls[i].args[x->off].root == ROOT_STACK &&
                            value_equal(f->calls[i].args[x->off], f->calls[k].args[y->off]))
                                return true;
        return false;
}

/* What a call left in a local variable is named by the call; when another call comes first it has
 * another name. So a variable that is given to both will do, when it is stepped on in the same way. */
bool place_testified_local(Judge *j, const PairView *p, const Need *need) {
        const FnValues *f = p->old;
        uint32_t out = need->at.root, last = ROOT_NONE;

        while (out >= ROOT_FIRST && values_node(j->w, out)->kind == NODE_LOAD)
                out = values_node(j->w, out)->a;
        if (out < ROOT_FIRST || values_node(j->w, out)->kind != NODE_OUT)
                return false;
        for (size_t i = 0; i < f->n_places; i++) {
                uint32_t root = f->places[i].at.root;
                Need other = *need;

                if (root == last)
                        continue;
                last = root;
                while (root >= ROOT_FIRST && values_node(j->w, root)->kind == NODE_LOAD)
                        root = values_node(j->w, root)->a;
                if (root >= ROOT_FIRST && values_node(j->w, root)->kind == NODE_OUT &&
                    (same_local(j, f, root, out) || same_local(j, p->new, root, out)) &&
                    values_substitute(j->w, need->at, out, (Value){ root, 0, 0, 0 }, &other.at) &&
                    place_testified(f, &other))
                        return true;
        }
        return false;
}

static bool section_read_only(const Image *image, uint64_t addr) {
        const ImageSection *s = image_section_at(image, addr);

        if (!s)
                return false;
        return !(s->flags & SHF_WRITE) || (image->relro_size && addr >= image->relro_addr &&
                                           addr - image->relro_addr < image->relro_size);
}

bool value_read_only(const Judge *j, Value v) {
        const Node *n = values_node(j->w, v.root);

        if (v.root == ROOT_IMAGE)
                return section_read_only(j->d->old_image, (uint64_t)v.off);
        return v.root >= ROOT_FIRST && n->kind == NODE_FRESH_GLOBAL &&
               section_read_only(j->d->new_image, (uint64_t)n->off);
}

/* What a function returned that hands out raw memory: it comes from an allocator, and the function
 * itself writes nothing into it. */
static bool raw_memory(const Judge *j, uint32_t root) {
        const Node *n = values_node(j->w, root), *callee;
        const FnValues *f;
        const Access *p;
        size_t count;

        if (root < ROOT_FIRST || n->kind != NODE_RETURN)
                return false;
        callee = values_node(j->w, n->a);
        if (n->a < ROOT_FIRST || callee->kind != NODE_FUNCTION ||
            (callee->off & (SYMBOL_FUNCTION | ADDED_FUNCTION)) ||
            j->d->old->functions[callee->off].n_insns > 2000)
                return false;
        f = values_of(j->w, SIDE_OLD, (uint32_t)callee->off);
        if (f->incomplete || f->result.root < ROOT_FIRST || f->result.stride)
                return false;
        p = places_of_root(f, f->result.root, &count);
        for (size_t i = 0; i < count; i++)
                if (p[i].at.stride || p[i].at.off >= f->result.off)
                        return false;
        return values_node(j->w, f->result.root)->kind == NODE_FRESH || raw_memory(j, f->result.root);
}

/* What a known function returned: bytes, a type of the C library, or, from another image, one of its own
 * with what hangs on it. */
static bool foreign(const Judge *j, uint32_t root) {
        bool deep = false;

        for (; root >= ROOT_FIRST; deep = true) {
                const Node *n = values_node(j->w, root), *callee;

                if (n->kind == NODE_LOAD) {
                        root = n->a;
                        continue;
                }
                if (n->kind != NODE_RETURN || n->a < ROOT_FIRST)
                        return false;
                callee = values_node(j->w, n->a);
                if (callee->kind != NODE_FUNCTION || !callee->known ||
                    !(callee->known->flags & KNOWN_FOREIGN))
                        return false;
                return callee->known->flags & KNOWN_DEEP ? (callee->off & SYMBOL_FUNCTION) != 0 : !deep;
        }
        return false;
}

static const Known *known_function(const Judge *j, uint32_t callee) {
        const Node *n = values_node(j->w, callee);

        return callee >= ROOT_FIRST && n->kind == NODE_FUNCTION ? n->known : NULL;
}

bool value_is_count(const Judge *j, uint32_t root) {
        const Node *n = values_node(j->w, root);
        const Known *known = root >= ROOT_FIRST && n->kind == NODE_RETURN ? known_function(j, n->a) : NULL;

        return known && known->dest >= 0 && !(known->flags & (KNOWN_FRESH | KNOWN_SAME | KNOWN_FOREIGN));
}

/* A text that is one of several: what a known function returned is an array of pointers to such. */
static bool one_of_texts(const Judge *j, const Need *need) {
        const Node *n = values_node(j->w, need->at.root), *from;

        if (need->at.root < ROOT_FIRST || n->kind != NODE_LOAD || n->off % 8 || n->stride % 8 ||
            n->a < ROOT_FIRST || need->width != 1)
                return false;
        from = values_node(j->w, n->a);
        if (from->kind != NODE_RETURN && from->kind != NODE_FRESH)
                return false;
        from = values_node(j->w, from->a);
        return from->kind == NODE_FUNCTION && from->known && (from->known->flags & KNOWN_TEXTS);
}

/* Read-only tables of the C library and GLib, and the text that number parsers leave a pointer into. */
static bool foreign_text(const Judge *j, const Need *need) {
        const Node *n = values_node(j->w, need->at.root), *from;
        const Known *known;

        if (need->at.root < ROOT_FIRST || n->kind != NODE_LOAD || n->off || n->stride || n->b ||
            (need->flags & ACCESS_WRITE))
                return false;
        from = values_node(j->w, n->a);
        if (n->a >= ROOT_FIRST && from->kind == NODE_SYMBOL && strcmp(from->name, "g_ascii_table") == 0)
                return true;
        if (n->a < ROOT_FIRST || (from->kind != NODE_RETURN && from->kind != NODE_OUT))
                return false;
        known = known_function(j, from->a);
        if (!known)
                return false;
        if (from->kind == NODE_RETURN)
                return (known->flags & KNOWN_TABLE) != 0;
        return (known->flags & KNOWN_ENDPTR) && from->off == 1 && need->width == 1;
}

/* A pointer or number that the C library or GLib defines: its own variables, as they have always been. */
static bool foreign_variable(const Judge *j, const Need *need) {
        static const char *const names[] = { "__environ",
                                             "__progname",
                                             "environ",
                                             "g_ascii_table",
                                             "optarg",
                                             "opterr",
                                             "optind",
                                             "optopt",
                                             "program_invocation_name",
                                             "program_invocation_short_name",
                                             "stderr",
                                             "stdin",
                                             "stdout" };
        const Node *n = values_node(j->w, need->at.root);
        const char *name = NULL;

        if (need->at.stride || (need->flags & ACCESS_WRITE))
                return false;
        if (need->at.root >= ROOT_FIRST && n->kind == NODE_SYMBOL && need->at.off == 0) {
                name = n->name;
        } else if (need->at.root == ROOT_IMAGE) {
                const ImageReloc *r = image_reloc_at(j->d->old_image, (uint64_t)need->at.off);

                if (r && r->type == R_X86_64_COPY && r->symbol && r->symbol < j->d->old_image->n_dynsyms)
                        name = j->d->old_image->dynsyms[r->symbol].name;
        }
        for (size_t i = 0; name && i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], name) == 0)
                        return need->width ==
                               (strncmp(name, "opt", 3) == 0 && strcmp(name, "optarg") != 0 ? 4 : 8);
        return false;
}

bool place_free(const Judge *j, const Need *need) {
        const Node *n;

        if (values_is_own(j->w, need->at.root) || value_read_only(j, need->at) ||
            raw_memory(j, need->at.root) || foreign(j, need->at.root) || foreign_text(j, need) ||
            one_of_texts(j, need) || foreign_variable(j, need) || place_of_stream(j, need))
                return true;
        n = values_node(j->w, need->at.root);
        return need->at.root >= ROOT_FIRST &&
               (n->kind == NODE_TABLE || n->kind == NODE_TARGET || n->kind == NODE_FUNCTION);
}
