/* SPDX-License-Identifier: Apache-2.0 */
#include "build/names.h"
#include "build/correspond-parts.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

typedef struct Named {
        const char *name;
        uint64_t addr, size;
        bool several; /* of that name */
} Named;

typedef struct Pair {
        uint64_t old, new, size;
} Pair;

struct Names {
        Pair *by_old, *by_new;
        size_t n;
};

static int by_name(const void *a, const void *b) {
        const Named *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r ? r : x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int by_old(const void *a, const void *b) {
        uint64_t x = ((const Pair *)a)->old, y = ((const Pair *)b)->old;

        return x < y ? -1 : x > y;
}

static int by_new(const void *a, const void *b) {
        uint64_t x = ((const Pair *)a)->new, y = ((const Pair *)b)->new;

        return x < y ? -1 : x > y;
}

size_t names_stem(const char *name) {
        const char *dot = strrchr(name, '.');

        return dot && dot != name && dot[1] && dot[1 + strspn(dot + 1, "0123456789")] == 0
                       ? (size_t)(dot - name)
                       : strlen(name);
}

/* A function's own variables are numbered as they come: no name to go by. */
static bool is_numbered(const char *name) {
        return name[names_stem(name)] != 0;
}

/* All objects by name, each once. */
static Named *objects(const Image *image, Arena *a, size_t *n) {
        Named *out = arena_newa(a, Named, image->n_syms + image->n_dynsyms + 1);
        size_t kept = 0;

        *n = 0;
        for (int table = 0; table < 2; table++) {
                const ImageSymbol *s = table ? image->syms : image->dynsyms;
                size_t count = table ? image->n_syms : image->n_dynsyms;

                for (size_t i = 0; i < count; i++)
                        if (s[i].defined && s[i].type == STT_OBJECT && s[i].size && !is_numbered(s[i].name))
                                out[(*n)++] = (Named){ s[i].name, s[i].addr, s[i].size, false };
        }
        qsort(out, *n, sizeof(*out), by_name);
        for (size_t i = 0; i < *n; i++) {
                if (kept && strcmp(out[kept - 1].name, out[i].name) == 0)
                        out[kept - 1].several |= out[kept - 1].addr != out[i].addr;
                else
                        out[kept++] = out[i];
        }
        *n = kept;
        return out;
}

const Names *names_new(const Diff *d, Arena *a) {
        const Image *o = d->old_image, *w = d->new_image;
        size_t n_old, n_new;
        Named *old, *new;
        Names *names;

        if (!o->n_syms || !w->n_syms)
                return NULL;
        names = arena_newa(a, Names, 1);
        old = objects(o, a, &n_old);
        new = objects(w, a, &n_new);
        names->by_old = arena_newa(a, Pair, n_old + 1);
        for (size_t i = 0, k = 0; i < n_old; i++) {
                while (k < n_new && strcmp(new[k].name, old[i].name) < 0)
                        k++;
                if (k < n_new && strcmp(new[k].name, old[i].name) == 0 && !old[i].several &&
                    !new[k].several &&old[i].size == new[k].size)
                        names->by_old[names->n++] = (Pair){ old[i].addr, new[k].addr, old[i].size };
        }
        names->by_new = arena_newa(a, Pair, names->n + 1);
        memcpy(names->by_new, names->by_old, names->n * sizeof(Pair));
        qsort(names->by_old, names->n, sizeof(Pair), by_old);
        qsort(names->by_new, names->n, sizeof(Pair), by_new);
        return names;
}

/* The last pair that begins at `addr` or before, if `addr` is within its size. */
static const Pair *find(const Pair *pairs, size_t n, uint64_t addr, bool old) {
        size_t lo = 0, hi = n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if ((old ? pairs[mid].old : pairs[mid].new) <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo && addr - (old ? pairs[lo - 1].old : pairs[lo - 1].new) < pairs[lo - 1].size
                       ? &pairs[lo - 1]
                       : NULL;
}

/* Another function than that of `v` uses the one where it used the other. */
static bool is_said_elsewhere(const Vote *votes, size_t n, const Vote *v, uint64_t new, uint64_t old) {
        const Vote wanted = { .new = new, .old = old };
        size_t lo = 0, hi = n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (vote_compare(&votes[mid], &wanted) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < n && vote_compare(&votes[lo], &wanted) == 0; lo++)
                if (votes[lo].match != NO_FUNCTION && votes[lo].match != v->match)
                        return true;
        return false;
}

bool names_refute(const Names *names, const Vote *votes, size_t n, const Vote *v) {
        const Pair *x = find(names->by_old, names->n, v->old, true),
                   *y = find(names->by_new, names->n, v->new, false);
        uint64_t new = x ? x->new + (v->old - x->old) : v->new, old = y ? y->old + (v->new - y->new) : v->old;

        return (new != v->new &&is_said_elsewhere(votes, n, v, new, v->old)) ||
               (old != v->old && is_said_elsewhere(votes, n, v, v->new, old));
}
