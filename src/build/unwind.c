/* SPDX-License-Identifier: Apache-2.0 */
#include "build/unwind.h"
#include "base/cursor.h"
#include "base/macro.h"

#include <string.h>

/* Encodings of the Linux Standard Base, "Exception Frames": DW_EH_PE_*. */
enum {
        EH_ULEB = 0x01,
        EH_UDATA4 = 0x03,
        EH_SDATA4 = 0x0b,
        EH_PCREL_INDIRECT_SDATA4 = 0x9b,
        EH_OMIT = 0xff,
        LSDA_MAX = 1 << 20 /* bytes of one table */
};

static uint64_t call_site_field(Cursor *c, uint8_t encoding) {
        switch (encoding & 0x0f) {
        case EH_ULEB:
                return cursor_uleb(c);
        case EH_UDATA4:
        case EH_SDATA4:
                return cursor_u32(c);
        default:
                c->failed = true;
                return 0;
        }
}

UnwindType unwind_type(const UnwindTable *t, uint64_t index, uint64_t *addr) {
        Cursor c = t->c;
        int32_t v;

        if (index > t->types / 4)
                return UNWIND_BAD;
        cursor_seek(&c, t->types - index * 4);
        v = (int32_t)cursor_u32(&c);
        if (c.failed)
                return UNWIND_BAD;
        if (!v)
                return UNWIND_ALL;
        if (t->type_encoding == EH_UDATA4) {
                *addr = (uint32_t)v;
                return UNWIND_DIRECT;
        }
        *addr = t->addr + t->types - index * 4 + (uint64_t)(int64_t)v;
        return t->type_encoding == EH_PCREL_INDIRECT_SDATA4 ? UNWIND_CELL : UNWIND_OTHER;
}

bool unwind_action(const UnwindTable *t, uint64_t action, UnwindAction *out) {
        Cursor c = t->c;
        uint64_t at;
        int64_t next;

        cursor_seek(&c, t->sites_end + action - 1);
        out->filter = cursor_sleb(&c);
        at = c.at;
        next = cursor_sleb(&c);
        out->next = next ? at + (uint64_t)next - t->sites_end + 1 : 0;
        return !c.failed;
}

bool unwind_listed(const UnwindTable *t, int64_t filter, uint64_t *at, uint64_t *type) {
        Cursor c = t->c;

        cursor_seek(&c, *at ? *at : t->types + -(uint64_t)filter - 1);
        *type = cursor_uleb(&c);
        *at = c.at;
        return !c.failed;
}

static bool add_type(const UnwindTable *t, uint64_t index, UnwindCells *cells) {
        uint64_t cell;
        UnwindType type = unwind_type(t, index, &cell);

        if (type == UNWIND_CELL)
                vec_push(cells, cell);
        return type == UNWIND_CELL || type == UNWIND_ALL;
}

static bool add_actions(const UnwindTable *t, uint64_t first, UnwindCells *cells) {
        UnwindAction a = { .next = first };

        for (unsigned step = 0; a.next && step < UNWIND_STEPS; step++) {
                uint64_t at = 0, type = 0;

                if (!unwind_action(t, a.next, &a) ||
                    (a.filter > 0 && !add_type(t, (uint64_t)a.filter, cells)))
                        return false;
                while (a.filter < 0) {
                        if (!unwind_listed(t, a.filter, &at, &type) || (type && !add_type(t, type, cells)))
                                return false;
                        if (!type)
                                break;
                }
        }
        return !a.next;
}

bool unwind_table(const Image *image, uint64_t lsda, UnwindTable *out) {
        const ImageSection *s = image_section_at(image, lsda);
        uint64_t sites;

        *out = (UnwindTable){ .addr = lsda };
        if (!s || !s->bytes)
                return false;
        out->c = cursor_make(s->bytes + (lsda - s->addr), MIN(s->addr + s->size - lsda, (uint64_t)LSDA_MAX));
        if (cursor_u8(&out->c) != EH_OMIT)
                return false;
        out->type_encoding = cursor_u8(&out->c);
        if (out->type_encoding != EH_OMIT) {
                uint64_t offset = cursor_uleb(&out->c);

                out->types = out->c.at + offset;
                if (offset > out->c.size || out->types > out->c.size)
                        return false;
        }
        out->site_encoding = cursor_u8(&out->c);
        sites = cursor_uleb(&out->c);
        out->sites_end = out->c.at + sites;
        return !out->c.failed && sites <= out->c.size;
}

bool unwind_site(UnwindTable *t, UnwindSite *out) {
        if (t->c.failed || t->c.at >= t->sites_end)
                return false;
        out->start = call_site_field(&t->c, t->site_encoding);
        out->size = call_site_field(&t->c, t->site_encoding);
        out->pad = call_site_field(&t->c, t->site_encoding);
        out->action = cursor_uleb(&t->c);
        return !t->c.failed;
}

bool unwind_cells(const Image *image, uint64_t lsda, UnwindCells *cells) {
        UnwindTable t;
        UnwindSite site;

        if (!unwind_table(image, lsda, &t) || (t.types && t.type_encoding != EH_PCREL_INDIRECT_SDATA4))
                return false;
        while (unwind_site(&t, &site))
                if (site.action && t.types && !add_actions(&t, site.action, cells))
                        return false;
        return !t.c.failed;
}
