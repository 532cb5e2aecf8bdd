/* SPDX-License-Identifier: Apache-2.0 */
#include "build/passes.h"
#include "build/unwind.h"

#include <elf.h>
#include <string.h>

/*
 * What a function catches is told by its exception table alone: two functions of the same instructions whose
 * tables name other types are two functions.
 */

enum { TYPE_NAME = 8 }; /* in std::type_info: the name's address */

/* One of the two functions. */
typedef struct Handler {
        const Code *code;
        const CodePart *part;
        UnwindTable table;
} Handler;

/* The instruction of the part at that offset, counted; its own number for one that is no instruction's. */
static uint64_t insn_of(const Handler *h, uint64_t offset) {
        uint32_t at = code_insn_at(h->code, h->part, h->part->addr + offset);

        return at == UINT32_MAX ? h->part->n_insns + (offset - h->part->size) : at - h->part->insn;
}

/* The name of a type that is thrown: of its symbol, or as its type_info has it. NULL: it can't be told. */
static const char *name_of_type(const Image *image, uint64_t type) {
        const ImageReloc *r = image_reloc_at(image, type);
        const uint8_t *b, *end;
        uint64_t name = 0, left;

        if (r && r->symbol && r->type == R_X86_64_COPY)
                return image->dynsyms[r->symbol].name;
        r = image_reloc_at(image, type + TYPE_NAME);
        b = image_bytes(image, type + TYPE_NAME, 8);
        if (r && r->symbol == 0)
                name = (uint64_t)r->addend;
        else if (b && !r)
                memcpy(&name, b, 8);
        b = name ? image_bytes_from(image, name, &left) : NULL;
        end = b ? memchr(b, 0, left) : NULL;
        return end ? (const char *)b : NULL;
}

/* The same of the type at this place of the table. */
static const char *type_at(const Handler *h, uint64_t index, UnwindType *kind) {
        const Image *image = h->code->image;
        uint64_t addr = 0, type = 0;
        const ImageReloc *r;
        const uint8_t *b;

        *kind = unwind_type(&h->table, index, &addr);
        if (*kind == UNWIND_DIRECT)
                return name_of_type(image, addr);
        if (*kind != UNWIND_CELL)
                return NULL;
        r = image_reloc_at(image, addr);
        if (r && r->symbol)
                return image->dynsyms[r->symbol].name;
        b = image_bytes(image, addr, 8);
        if (r)
                type = (uint64_t)r->addend;
        else if (b)
                memcpy(&type, b, 8);
        return type ? name_of_type(image, type) : NULL;
}

static bool same_type(const Handler *x, uint64_t i, const Handler *y, uint64_t k) {
        UnwindType p, q;
        const char *a = type_at(x, i, &p), *b = type_at(y, k, &q);

        return p != UNWIND_BAD && p == q && (a && b ? strcmp(a, b) == 0 : !a && !b);
}

/* Lists of types that may be thrown. */
static bool same_list(const Handler *x, int64_t list, const Handler *y, int64_t other) {
        uint64_t at = 0, to = 0, i, k;

        for (unsigned step = 0; step < UNWIND_STEPS; step++) {
                if (!unwind_listed(&x->table, list, &at, &i) || !unwind_listed(&y->table, other, &to, &k) ||
                    !i != !k)
                        return false;
                if (!i)
                        return true;
                if (!same_type(x, i, y, k))
                        return false;
        }
        return false;
}

static bool same_actions(const Handler *x, uint64_t first, const Handler *y, uint64_t second) {
        UnwindAction a = { .next = first }, b = { .next = second };

        for (unsigned step = 0; step < UNWIND_STEPS && a.next && b.next; step++) {
                if (!unwind_action(&x->table, a.next, &a) || !unwind_action(&y->table, b.next, &b) ||
                    (a.filter > 0) != (b.filter > 0) || (a.filter < 0) != (b.filter < 0))
                        return false;
                if (a.filter > 0 && !same_type(x, (uint64_t)a.filter, y, (uint64_t)b.filter))
                        return false;
                if (a.filter < 0 && !same_list(x, a.filter, y, b.filter))
                        return false;
        }
        return !a.next && !b.next;
}

static bool same_site(const Handler *x, const UnwindSite *s, const Handler *y, const UnwindSite *z) {
        if (insn_of(x, s->start) != insn_of(y, z->start) ||
            insn_of(x, s->start + s->size) != insn_of(y, z->start + z->size) || !s->pad != !z->pad ||
            !s->action != !z->action || (s->pad && insn_of(x, s->pad) != insn_of(y, z->pad)))
                return false;
        return !s->action || same_actions(x, s->action, y, z->action);
}

static bool same_part(Handler *x, Handler *y) {
        const ImageFde *a = image_fde_at(x->code->image, x->part->addr),
                       *b = image_fde_at(y->code->image, y->part->addr);
        UnwindSite s, z;
        bool more;

        if (!a || !b || !a->lsda || !b->lsda)
                return (a && a->lsda) == (b && b->lsda);
        if (a->addr != x->part->addr || b->addr != y->part->addr)
                return a->addr != x->part->addr && b->addr != y->part->addr;
        if (!unwind_table(x->code->image, a->lsda, &x->table) ||
            !unwind_table(y->code->image, b->lsda, &y->table))
                return false;
        do {
                more = unwind_site(&x->table, &s);
                if (more != unwind_site(&y->table, &z) || (more && !same_site(x, &s, y, &z)))
                        return false;
        } while (more);
        return !x->table.c.failed && !y->table.c.failed;
}

bool exceptions_same(const Diff *d, const Function *old, const Function *new) {
        if (old->has_lsda != new->has_lsda || old->n_parts != new->n_parts)
                return old->has_lsda == new->has_lsda;
        for (uint32_t i = 0; old->has_lsda && i < old->n_parts; i++)
                if (!same_part(&(Handler){ .code = d->old, .part = &d->old->parts[old->parts[i]] },
                               &(Handler){ .code = d->new, .part = &d->new->parts[new->parts[i]] }))
                        return false;
        return true;
}
