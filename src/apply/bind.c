/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/bind.h"
#include "base/macro.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NONE = 0, CONFLICT = UINT32_MAX }; /* else an index, plus one */

typedef enum Fit { FITS, CHANGED, UNCLEAR } Fit;

typedef struct Pairing {
        const Patch *p;
        const Header *h;
        uint32_t *forth, *back; /* variable of p -> of h, and the other way */
        char subject[96];
        char detail[160];
} Pairing;

static const char *header_string(const Header *h, uint32_t at) {
        return at < h->strings_size ? h->strings + at : "";
}

static Fit unfit(Pairing *x, Fit fit, const PatchVariable *v, const char *what) {
        if (v && v->name[0])
                snprintf(x->subject, sizeof(x->subject), "%.90s", v->name);
        else if (v)
                snprintf(x->subject, sizeof(x->subject), "variable at 0x%llx", (unsigned long long)v->addr);
        snprintf(x->detail, sizeof(x->detail), "%s", what);
        return fit;
}

static void vote(uint32_t *of, uint32_t from, uint32_t to) {
        if (of[from] == NONE)
                of[from] = to + 1;
        else if (of[from] != to + 1)
                of[from] = CONFLICT;
}

/* Both lists are sorted. A key that several variables of one patch have says nothing. */
static void count_testimonies(Pairing *x) {
        const Patch *p = x->p;
        const Header *h = x->h;
        size_t i = 0, k = 0;

        while (i < p->n_testimonies && k < h->n_testimonies) {
                uint64_t key = p->testimonies[i].key;
                size_t a = i, b = k;

                if (key < h->testimonies[k].key) {
                        i++;
                        continue;
                }
                if (key > h->testimonies[k].key) {
                        k++;
                        continue;
                }
                while (i < p->n_testimonies && p->testimonies[i].key == key)
                        i++;
                while (k < h->n_testimonies && h->testimonies[k].key == key)
                        k++;
                if (i - a == 1 && k - b == 1) {
                        vote(x->forth, p->testimonies[a].variable, h->testimonies[b].variable);
                        vote(x->back, h->testimonies[b].variable, p->testimonies[a].variable);
                }
        }
}

static Fit pair_variables(Pairing *x) {
        const Patch *p = x->p;
        const Header *h = x->h;
        size_t left = 0, left_there = 0;

        count_testimonies(x);
        for (uint32_t k = 0; k < h->n_variables; k++)
                if (x->back[k] == CONFLICT)
                        return unfit(x, UNCLEAR, NULL, "code speaks for two variables at once");
        for (uint32_t i = 0; i < p->n_variables; i++) {
                const PatchVariable *v = &p->variables[i];

                if (x->forth[i] == CONFLICT)
                        return unfit(x, UNCLEAR, v, "code speaks for two variables of the patch in place");
                for (uint32_t k = 0; v->name[0] && k < h->n_variables; k++) {
                        if (strcmp(header_string(h, h->variables[k].name), v->name) != 0)
                                continue;
                        vote(x->forth, i, k);
                        vote(x->back, k, i);
                        if (x->forth[i] == CONFLICT || x->back[k] == CONFLICT)
                                return unfit(x, UNCLEAR, v,
                                             "its name speaks for one variable, code for another");
                }
        }
        for (uint32_t i = 0; i < p->n_variables; i++) {
                const PatchVariable *v = &p->variables[i];
                const HeaderVariable *w;
                const char *name;

                if (x->forth[i] == NONE) {
                        if (!left++)
                                unfit(x, UNCLEAR, v,
                                      "it may be a variable of the patch in place under another name");
                        continue;
                }
                w = &h->variables[x->forth[i] - 1];
                name = header_string(h, w->name);
                if (name[0] && v->name[0] && strcmp(name, v->name) != 0)
                        return unfit(x, UNCLEAR, v,
                                     "code uses it where the patch in place uses a variable of another name");
                if (w->size != v->size)
                        return unfit(x, CHANGED, v, "its size differs from the one in the process");
                if (w->initial != v->initial)
                        return unfit(x, CHANGED, v, "its initial value differs from the one in the process");
                if (header_variable_at(h, x->forth[i] - 1) % v->align)
                        return unfit(x, CHANGED, v, "its alignment differs from the one in the process");
        }
        for (uint32_t k = 0; k < h->n_variables; k++)
                left_there += x->back[k] == NONE;
        return left && left_there ? UNCLEAR : FITS;
}

static bool same_user(const PatchUser *a, const PatchUser *b) {
        return a->content == b->content || a->shape == b->shape;
}

/* What dealt with the state that the patch in place brought deals with it in the same way, or is gone. */
static Fit compare_users(Pairing *x) {
        const Patch *p = x->p;
        const Header *h = x->h;
        size_t gone = 0, new = 0;

        for (size_t k = 0; k < h->n_users; k++) {
                const PatchUser *u = &h->users[k];
                bool there = false, same = false;

                for (size_t i = 0; i < p->n_users && !same; i++)
                        if (p->users[i].old_addr == u->old_addr) {
                                there = true;
                                same = same_user(&p->users[i], u);
                        }
                if (there && !same && u->old_addr) {
                        snprintf(x->subject, sizeof(x->subject), "function at 0x%llx",
                                 (unsigned long long)u->old_addr);
                        return unfit(x, UNCLEAR, NULL,
                                     "it uses memory in another way than in the patch in place, which added "
                                     "variables");
                }
                gone += !same && !u->old_addr;
        }
        for (size_t i = 0; i < p->n_users && gone; i++) {
                bool same = false;

                for (size_t k = 0; k < h->n_users && !same; k++)
                        same = p->users[i].old_addr == h->users[k].old_addr &&
                               p->users[i].content == h->users[k].content;
                new += !same;
        }
        if (gone && new) {
                snprintf(x->subject, sizeof(x->subject), "%zu function%s", gone, gone == 1 ? "" : "s");
                return unfit(x, UNCLEAR, NULL,
                             "added by the patch in place, with variables, and not the same in this one");
        }
        return FITS;
}

static Fit pair(Pairing *x) {
        Fit fit = pair_variables(x);

        return fit == FITS ? compare_users(x) : fit;
}

int bind_variables(Session *s, const Patch *p, const Header *const *headers, size_t n, bool has_active,
                   uint64_t **out, Error *e) {
        _cleanup_(freep) uint64_t *bound = calloc(p->n_variables + 1, sizeof(*bound));

        if (!bound)
                return error_errno(e, -ENOMEM, "variables");
        for (size_t k = 0; k < n && p->n_variables; k++) {
                const Header *h = headers[k];
                _cleanup_(freep) uint32_t *forth = calloc(p->n_variables + 1, sizeof(*forth));
                _cleanup_(freep) uint32_t *back = calloc(h->n_variables + 1, sizeof(*back));
                Pairing x = { .p = p, .h = h, .forth = forth, .back = back };
                Fit fit;

                if (!forth || !back)
                        return error_errno(e, -ENOMEM, "variables");
                if (!h->n_variables)
                        continue;
                fit = pair(&x);
                if (fit != FITS && k == 0 && has_active)
                        return refuse(s->res,
                                      fit == CHANGED ? REFUSAL_CODE_VARIABLE_CHANGED
                                                     : REFUSAL_CODE_ALREADY_PATCHED,
                                      x.subject, "%s", x.detail);
                for (size_t i = 0; i < p->n_variables && fit == FITS; i++)
                        if (forth[i] != NONE && !bound[i])
                                bound[i] = header_variable_at(h, forth[i] - 1);
        }
        *out = TAKE_PTR(bound);
        return 0;
}

bool bind_agrees(const Header *h, const Patch *p, const uint64_t *bound) {
        for (size_t i = 0; i < p->n_variables; i++)
                if (bound[i] && (i >= h->n_variables || bound[i] != header_variable_at(h, i)))
                        return false;
        return true;
}
