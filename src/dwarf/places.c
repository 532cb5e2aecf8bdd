/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "dwarf/content.h"
#include "dwarf/types.h"

#include <string.h>

static int variable_order(const void *a, const void *b) {
        const DwarfVariable *x = a, *y = b;

        if (x->tls != y->tls)
                return x->tls ? 1 : -1;
        if (x->addr != y->addr)
                return x->addr < y->addr ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int function_order(const void *a, const void *b) {
        const DwarfFunction *x = a, *y = b;

        if (x->addr != y->addr)
                return x->addr < y->addr ? -1 : 1;
        return strcmp(x->name, y->name);
}

/* Without the unit, which stands by itself. */
static const char *bare(Arena *arena, const Name *name, char *text, size_t size) {
        const char *from;

        name_text(name, text, size);
        for (; name->parent; name = name->parent)
                ;
        from = text;
        if (name->kind == NAME_UNIT && strncmp(text, name->text, strlen(name->text)) == 0 &&
            text[strlen(name->text)] == ':')
                from = text + strlen(name->text) + 1;
        return arena_strdup(arena, from);
}

static void collect(Side *side, Arena *arena, DwarfPlaces *out) {
        const char *unit = "", *unit_copy = "";

        out->variables = arena_newa(arena, DwarfVariable, side->variables.n + 1);
        out->functions = arena_newa(arena, DwarfFunction, side->functions.n + 1);
        for (size_t i = 0; i < side->variables.n; i++) {
                const Variable *v = &side->variables.items[i];
                DwarfVariable *to = &out->variables[out->n_variables];
                char text[512];
                Dwarf_Die type;
                DieFacts f;
                Dwarf_Die die = v->die;

                /* An address of 0 is a variable that the linker dropped. */
                if (!v->has_address || (v->addr == 0 && !v->tls))
                        continue;
                *to = (DwarfVariable){ .addr = v->addr, .tls = v->tls, .external = v->external };
                to->name = bare(arena, v->name, text, sizeof(text));
                to->unit = v->unit ? arena_strdup(arena, v->unit->text) : "";
                die_facts(&die, &f);
                if (f.has & HAS_TYPE && die_follow(&f.type, &type))
                        to->size = content_size(side, &type, 0);
                out->n_variables++;
        }
        for (size_t i = 0; i < side->functions.n; i++) {
                const Function *f = &side->functions.items[i];

                if (f->addr == 0)
                        continue;
                if (f->unit && f->unit->text != unit) {
                        unit = f->unit->text;
                        unit_copy = arena_strdup(arena, unit);
                }
                out->functions[out->n_functions++] = (DwarfFunction){
                        .name = arena_strdup(arena, f->name),
                        .linkage = f->linkage ? arena_strdup(arena, f->linkage) : NULL,
                        .unit = f->unit ? unit_copy : "",
                        .addr = f->addr,
                        .size = f->size,
                };
        }
        qsort(out->variables, out->n_variables, sizeof(DwarfVariable), variable_order);
        qsort(out->functions, out->n_functions, sizeof(DwarfFunction), function_order);
}

int dwarf_places(const char *path, Arena *arena, DwarfPlaces *out, Error *e) {
        Side side;
        int r = side_read(&side, path, false, e);

        if (r == 0) {
                DwarfPlaces places = { 0 };

                collect(&side, arena, &places);
                *out = places;
        }
        side_release(&side);
        return r > 0 ? DWARF_NONE : r;
}
