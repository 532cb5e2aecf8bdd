/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"
#include "build/passes.h"
#include "build/unwind.h"

#include <elf.h>
#include <string.h>

/*
 * What a function catches is told by its exception table alone: two functions of the same instructions whose
 * tables name other types are two functions.
 */

enum {
        EH_UDATA4 = 0x03, /* DW_EH_PE_*, of the Linux Standard Base, "Exception Frames" */
        EH_PCREL_INDIRECT_SDATA4 = 0x9b,
        ACTION_MAX = 4096, /* steps of one chain */
        TYPE_NAME = 8,     /* in std::type_info: the name's address */
};

/* One of the two functions. */
typedef struct Handler {
        const Code *code;
        const CodePart *part;
        UnwindTable table;
} Handler;

/* The instruction of the part at that offset, counted; its own number for one that is no instruction's. */
static uint64_t insn_of(const Handler *h, uint64_t offset) {
        uint64_t addr = h->part->addr + offset;
        uint32_t lo = h->part->insn, hi = lo + h->part->n_insns;

        while (lo < hi) {
                uint32_t mid = lo + (hi - lo) / 2;

                if (insn_addr(h->code, &h->code->insns[mid]) < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (lo < h->part->insn + h->part->n_insns && insn_addr(h->code, &h->code->insns[lo]) == addr)
                return lo - h->part->insn;
        return h->part->n_insns + (offset - h->part->size);
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

/* The same of the type at this place of the table. `*all`: whatever is thrown. */
static const char *type_at(const Handler *h, uint64_t index, bool *all) {
        const UnwindTable *t = &h->table;
        const Image *image = h->code->image;
        uint64_t at = t->types - index * 4, cell, type = 0;
        const ImageReloc *r;
        const uint8_t *b;
        Cursor c = t->c;
        uint32_t v;

        *all = false;
        if (index > t->types / 4)
                return NULL;
        cursor_seek(&c, at);
        v = cursor_u32(&c);
        *all = !c.failed && !v;
        if (c.failed || !v)
                return NULL;
        if (t->type_encoding == EH_UDATA4)
                return name_of_type(image, v);
        if (t->type_encoding != EH_PCREL_INDIRECT_SDATA4)
                return NULL;
        cell = t->addr + at + (uint64_t)(int64_t)(int32_t)v;
        r = image_reloc_at(image, cell);
        if (r && r->symbol)
                return image->dynsyms[r->symbol].name;
        b = image_bytes(image, cell, 8);
        if (r)
                type = (uint64_t)r->addend;
        else if (b)
                memcpy(&type, b, 8);
        return type ? name_of_type(image, type) : NULL;
}

static bool same_type(const Handler *x, uint64_t i, const Handler *y, uint64_t k) {
        bool all_x, all_y;
        const char *a = type_at(x, i, &all_x), *b = type_at(y, k, &all_y);

        return all_x == all_y && (a && b ? strcmp(a, b) == 0 : !a && !b);
}

/* Lists of types that may be thrown, by offsets behind the types. */
static bool same_list(const Handler *x, uint64_t at, const Handler *y, uint64_t to) {
        Cursor a = x->table.c, b = y->table.c;

        cursor_seek(&a, x->table.types + at);
        cursor_seek(&b, y->table.types + to);
        for (unsigned step = 0; step < ACTION_MAX; step++) {
                uint64_t i = cursor_uleb(&a), k = cursor_uleb(&b);

                if (a.failed || b.failed || !i != !k)
                        return false;
                if (!i)
                        return true;
                if (!same_type(x, i, y, k))
                        return false;
        }
        return false;
}

static bool same_actions(const Handler *x, uint64_t first, const Handler *y, uint64_t second) {
        Cursor a = x->table.c, b = y->table.c;

        cursor_seek(&a, x->table.sites_end + first - 1);
        cursor_seek(&b, y->table.sites_end + second - 1);
        for (unsigned step = 0; step < ACTION_MAX; step++) {
                int64_t i = cursor_sleb(&a), k = cursor_sleb(&b), next_i, next_k;
                uint64_t at_i = a.at, at_k = b.at;

                next_i = cursor_sleb(&a);
                next_k = cursor_sleb(&b);
                if (a.failed || b.failed || (i > 0) != (k > 0) || (i < 0) != (k < 0) || !next_i != !next_k)
                        return false;
                if (i > 0 && !same_type(x, (uint64_t)i, y, (uint64_t)k))
                        return false;
                if (i < 0 && !same_list(x, -(uint64_t)i - 1, y, -(uint64_t)k - 1))
                        return false;
                if (!next_i)
                        return true;
                cursor_seek(&a, at_i + (uint64_t)next_i);
                cursor_seek(&b, at_k + (uint64_t)next_k);
        }
        return false;
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
