/* SPDX-License-Identifier: Apache-2.0 */
#include "build/emit.h"

#include <stdlib.h>

static int word_compare(const void *a, const void *b) {
        const PatchWord *x = a, *y = b;

        return x->where < y->where ? -1 : x->where > y->where;
}

void emit_words(Emitter *m) {
        const Diff *d = m->d;
        size_t n = 0;

        for (size_t i = 0; i < d->n_words; i++) {
                const ConstWord *w = &d->words[i];
                Place q = place_of(d->new, w->new_target);
                Home h;

                if (!emit_data_home(m, NULL, w->new_target, &q, &h))
                        continue; /* there is a finding */
                vec_push(&m->words, (PatchWord){ .where = w->old,
                                                 .old_value = w->old_target,
                                                 .base = h.base,
                                                 .value = h.value });
        }
        if (m->words.n)
                qsort(m->words.items, m->words.n, sizeof(PatchWord), word_compare);
        for (size_t i = 0; i < m->words.n; i++)
                if (n == 0 || m->words.items[n - 1].where != m->words.items[i].where)
                        m->words.items[n++] = m->words.items[i];
        m->words.n = n;
}
