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
        LSDA_MAX = 1 << 20, /* bytes of one table */
        ACTION_MAX = 4096,  /* steps of one chain */
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

static bool add_type(uint64_t lsda, const Cursor *table, uint64_t base, uint64_t index, UnwindCells *cells) {
        Cursor c = *table;
        int32_t v;

        if (index == 0)
                return true; /* catch everything, or a cleanup */
        if (index > base / 4)
                return false;
        cursor_seek(&c, base - index * 4);
        v = (int32_t)cursor_u32(&c);
        if (c.failed)
                return false;
        if (v)
                vec_push(cells, lsda + base - index * 4 + (uint64_t)(int64_t)v);

        return true;
}

static bool add_actions(uint64_t lsda, const Cursor *table, uint64_t actions, uint64_t first, uint64_t base,
                        UnwindCells *cells) {
        uint64_t at = actions + first - 1;

        for (unsigned step = 0; step < ACTION_MAX; step++) {
                Cursor c = *table;
                int64_t filter, next;
                uint64_t next_at;

                cursor_seek(&c, at);
                filter = cursor_sleb(&c);
                next_at = c.at;
                next = cursor_sleb(&c);
                if (c.failed)
                        return false;
                if (filter > 0 && !add_type(lsda, table, base, (uint64_t)filter, cells))
                        return false;
                if (filter < 0) {
                        Cursor s = *table;
                        uint64_t type;

                        cursor_seek(&s, base + (uint64_t)(-filter - 1));
                        while ((type = cursor_uleb(&s)) != 0 && !s.failed)
                                if (!add_type(lsda, table, base, type, cells))
                                        return false;
                        if (s.failed)
                                return false;
                }
                if (next == 0)
                        return true;
                at = next_at + (uint64_t)next;
        }
        return false;
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
                if (site.action && t.types &&
                    !add_actions(lsda, &t.c, t.sites_end, site.action, t.types, cells))
                        return false;
        return !t.c.failed;
}
