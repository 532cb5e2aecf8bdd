/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/version.h"

#include <stdint.h>
#include <string.h>

enum { MAX_VERSION = 256, MAX_EPOCH_DIGITS = 9 };

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A part of a version: `at` up to (not including) `end`. */
typedef struct Span {
        const char *at, *end;
} Span;

typedef struct Parts {
        uint64_t epoch;
        Span upstream, revision;
} Parts;

static Parts split(const char *v) {
        const char *colon = strchr(v, ':'), *end = v + strlen(v), *dash;
        Parts p = { 0 };

        if (colon) {
                for (const char *c = v; c < colon && c - v < MAX_EPOCH_DIGITS; c++)
                        p.epoch = is_digit(*c) ? p.epoch * 10 + (uint64_t)(*c - '0') : p.epoch;
                v = colon + 1;
        }
        dash = strrchr(v, '-');
        p.upstream = (Span){ v, dash ? dash : end };
        p.revision = (Span){ dash ? dash + 1 : end, end };
        return p;
}

/* Where a character that is no digit stands: a tilde before the end, letters before all others. */
static int rank(const Span *s) {
        unsigned char c = s->at < s->end ? (unsigned char)*s->at : 0;

        if (!c || is_digit((char)c))
                return 0;
        if (c == '~')
                return -1;
        return is_letter((char)c) ? c : c + 256;
}

/* Compares a run of digits of any length as a number, and goes past it. */
static int compare_number(Span *a, Span *b) {
        int first = 0;

        while (a->at < a->end && *a->at == '0')
                a->at++;
        while (b->at < b->end && *b->at == '0')
                b->at++;
        for (;; a->at++, b->at++) {
                bool in_a = a->at < a->end && is_digit(*a->at), in_b = b->at < b->end && is_digit(*b->at);

                if (!in_a && !in_b)
                        return first;
                if (in_a != in_b)
                        return in_a ? 1 : -1; /* the longer number is greater */
                if (!first)
                        first = *a->at - *b->at;
        }
}

static int compare_part(Span a, Span b) {
        while (a.at < a.end || b.at < b.end) {
                int r;

                while ((a.at < a.end && !is_digit(*a.at)) || (b.at < b.end && !is_digit(*b.at))) {
                        r = rank(&a) - rank(&b);
                        if (r)
                                return r;
                        a.at += a.at < a.end;
                        b.at += b.at < b.end;
                }
                r = compare_number(&a, &b);
                if (r)
                        return r;
        }
        return 0;
}

int version_compare(const char *a, const char *b) {
        Parts x = split(a), y = split(b);
        int r;

        if (x.epoch != y.epoch)
                return x.epoch < y.epoch ? -1 : 1;
        r = compare_part(x.upstream, y.upstream);
        if (!r)
                r = compare_part(x.revision, y.revision);
        return r < 0 ? -1 : r > 0;
}

bool version_valid(const char *v) {
        const char *colon = strchr(v, ':'), *dash;

        if (strlen(v) > MAX_VERSION)
                return false;
        if (colon) {
                if (colon == v || colon - v > MAX_EPOCH_DIGITS ||
                    strspn(v, "0123456789") != (size_t)(colon - v))
                        return false;
                v = colon + 1;
        }
        dash = strrchr(v, '-');
        /* Upstream starts with a digit by policy; some real versions start with a letter, and dpkg takes
         * them. */
        if (dash == v || !*v || (dash && !dash[1]))
                return false;
        for (const char *c = v; *c; c++)
                if (!is_digit(*c) && !is_letter(*c) && !strchr(dash && c > dash ? ".+~" : ".+~-:", *c))
                        return false;
        return true;
}

size_t version_source_length(const char *v) {
        size_t n = strlen(v), at = n;

        while (at && is_digit(v[at - 1]))
                at--;
        return at < n && at > 2 && v[at - 1] == 'b' && v[at - 2] == '+' ? at - 2 : n;
}
