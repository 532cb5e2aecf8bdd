/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <stdlib.h>
#include <string.h>

/*
 * The class that a C++ function is a member of, by its mangled name: two members of one class get objects of
 * one type as their first argument. Names do not tell static members, functions of a namespace, or that the
 * first argument is room for a result from members; what the function does with that argument does.
 */

/* The registers for numbers and pointers that parameters of these types take; -1 where a type may take none,
 * one or two. */
static int registers_of(const char *types) {
        int n = 0;

        for (const char *at = types; *at && *at != '@'; n++) {
                bool pointer = *at == 'P' || *at == 'R' || *at == 'O';

                for (; *at && strchr("PROK", *at); at++)
                        ;
                if (*at >= '1' && *at <= '9' && pointer) {
                        char *end;
                        unsigned long length = strtoul(at, &end, 10);

                        if (strnlen(end, length) < length)
                                return -1;
                        at = end + length;
                } else if (*at == 'S' && pointer) {
                        at += strcspn(at, "_");
                        at += *at == '_';
                } else if (*at == 'v' && !pointer) {
                        return n;
                } else if (*at && strchr("bcahstijlmxy", *at)) {
                        at++;
                } else if (*at && strchr("fd", *at)) {
                        at++;
                        n -= !pointer;
                } else if (*at == 'v') {
                        at++;
                } else {
                        return -1;
                }
        }
        return n;
}

/* The function goes by what it was given in that register, or keeps it. */
static bool uses(Judge *j, const FnValues *f, unsigned which) {
        uint32_t given = values_param(j->w, which);
        size_t n;

        places_of_root(f, given, &n);
        for (size_t i = 0; i < f->n_stores && !n; i++)
                n = f->stores[i].value.root == given;
        return n > 0;
}

static bool scalar(char type) {
        return type && strchr("bcahstijlmxy", type);
}

/* The last part of a nested name is of a constructor or a destructor. */
static bool structor(const char *part) {
        return (part[0] == 'C' && strchr("123", part[1])) || (part[0] == 'D' && strchr("012", part[1]));
}

/* The parts of a nested name of plain identifiers: where the last begins, and what follows; false for others.
 */
static bool nested_name(const char *name, const char **class, const char **last, const char **parameters) {
        const char *at = name + strlen("_ZN");

        at += *at == 'K';
        *class = at;
        for (*last = NULL; *at >= '1' && *at <= '9';) {
                char *end;
                unsigned long length = strtoul(at, &end, 10);

                *last = at;
                if (strnlen(end, length) < length)
                        return false;
                at = end + length;
        }
        if (structor(at)) {
                *last = at;
                at += 2;
        }
        *parameters = at + 1;
        return *at == 'E' && *last && *last > *class;
}

/* The first argument is no room for a result: the function reads what it points to before it writes there or
 * calls anything, or returns something else. */
static bool takes_object(Judge *j, const FnValues *f) {
        uint32_t object = values_param(j->w, 0), read = NO_OP, other = NO_OP;
        bool returns = f->result.root != object && f->result.root != VALUE_UNSET;

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];

                if (a->at.root != object)
                        continue;
                if (a->flags & ACCESS_WRITE)
                        other = MIN(other, a->op);
                else
                        read = MIN(read, a->op);
        }
        for (size_t i = 0; i < f->n_calls; i++) {
                other = MIN(other, f->calls[i].op);
                returns = returns && !f->calls[i].tail;
        }
        return read < other || (read != NO_OP && returns);
}

bool class_of(Judge *j, uint32_t function, ClassName *class) {
        const char *name = j->d->old->functions[function].name, *first, *last, *parameters;
        const FnValues *f;
        int n;

        if (strncmp(name, "_ZN", strlen("_ZN")) != 0 || !nested_name(name, &first, &last, &parameters) ||
            strstr(name, "_GLOBAL__N"))
                return false;
        *class = (ClassName){ first, (size_t)(last - first) };
        if (structor(last))
                return true;
        n = registers_of(parameters);
        f = values_of(j->w, SIDE_OLD, function);
        return !f->incomplete && takes_object(j, f) &&
               (name[3] == 'K' || n == 0 || scalar(*parameters) ||
                (n > 0 && n < VALUES_MAX_ARGS && uses(j, f, (unsigned)n)));
}

size_t members_of(Judge *j, ClassName class, uint32_t *members, size_t max) {
        size_t n = 0;

        for (uint32_t i = 0; i < j->d->old->n_functions && n < max; i++) {
                const char *name = j->d->old->functions[i].name;
                ClassName other;

                if (strncmp(name, "_ZN", strlen("_ZN")) == 0 &&
                    strncmp(name + 3 + (name[3] == 'K'), class.at, class.length) == 0 &&
                    class_of(j, i, &other) && other.length == class.length)
                        members[n++] = i;
        }
        return n;
}
