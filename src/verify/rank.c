/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/rank.h"
#include "base/macro.h"

#include <math.h>
#include <string.h>

typedef struct Item {
        double value;
        size_t at; /* its place: those of `after` follow those of `before` */
} Item;

static int by_value(const void *a, const void *b) {
        double x = ((const Item *)a)->value, y = ((const Item *)b)->value;

        return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Sorts the values. */
static double middle(double *values, size_t n) {
        qsort(values, n, sizeof(*values), by_size);
        return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The rank of each value, from 1; those that are equal share the mean of theirs. Returns the sum of t^3 - t
 * over the groups of t equal ones. */
static double rank(Item *items, size_t n, double *ranks) {
        double ties = 0;

        qsort(items, n, sizeof(*items), by_value);
        for (size_t i = 0, end; i < n; i = end) {
                double t;

                for (end = i + 1; end < n && items[end].value <= items[i].value; end++)
                        ;
                for (size_t k = i; k < end; k++)
                        ranks[items[k].at] = ((double)i + 1 + (double)end) / 2;
                t = (double)(end - i);
                ties += t * t * t - t;
        }
        return ties;
}

/* Adds what the correlation of each rank with the next is made of. */
static void add_correlation(const double *ranks, size_t n, double *with_next, double *with_self) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
                mean += ranks[i] / (double)n;
        for (size_t i = 0; i < n; i++) {
                *with_self += (ranks[i] - mean) * (ranks[i] - mean);
                if (i + 1 < n)
                        *with_next += (ranks[i] - mean) * (ranks[i + 1] - mean);
        }
}

static void estimate(const double *before, size_t n_before, const double *after, size_t n_after,
                     RankTest *t) {
        double *ratios = calloc(2 * n_before * n_after, sizeof(double)),
               *differences = ratios + n_before * n_after;
        size_t n = 0;

        for (size_t b = 0; ratios && b < n_before; b++)
                for (size_t a = 0; a < n_after; a++) {
                        ratios[n] = before[b] > 0 ? after[a] / before[b] : 1;
                        differences[n++] = after[a] - before[b];
                }
        t->ratio = n ? middle(ratios, n) : 1;
        t->difference = n ? middle(differences, n) : 0;
        free(ratios);
}

RankTest rank_test(const double *before, size_t n_before, const double *after, size_t n_after) {
        double ranks[2 * RANK_MAX], sum = 0, ties, u, n, mean, variance, with_next = 0, with_self = 0, r, z;
        RankTest t = { .p = 1, .effect = 0.5, .ratio = 1 };
        Item items[2 * RANK_MAX];
        size_t all = 0;

        n_before = MIN(n_before, (size_t)RANK_MAX);
        n_after = MIN(n_after, (size_t)RANK_MAX);
        if (!n_before || !n_after)
                return t;
        for (size_t i = 0; i < n_before; i++, all++)
                items[all] = (Item){ before[i], all };
        for (size_t i = 0; i < n_after; i++, all++)
                items[all] = (Item){ after[i], all };
        ties = rank(items, all, ranks);
        for (size_t i = n_before; i < all; i++)
                sum += ranks[i];
        n = (double)all;
        u = sum - (double)n_after * ((double)n_after + 1) / 2;
        mean = (double)n_before * (double)n_after / 2;
        variance = mean / 6 * (n + 1 - ties / (n * (n - 1)));
        t.effect = u / (2 * mean);
        if (variance <= 0)
                return t;
        add_correlation(ranks, n_before, &with_next, &with_self);
        add_correlation(ranks + n_before, n_after, &with_next, &with_self);
        r = with_self > 0 ? MIN(MAX(with_next / with_self, 0.0), 0.99) : 0;
        z = (u - mean - 0.5) / sqrt(variance) * sqrt((1 - r) / (1 + r));
        t.p = erfc(z / sqrt(2)) / 2;
        estimate(before, n_before, after, n_after, &t);
        return t;
}

double rank_median(const double *values, size_t n) {
        double sorted[RANK_MAX];

        n = MIN(n, (size_t)RANK_MAX);
        if (!n)
                return 0;
        memcpy(sorted, values, n * sizeof(*values));
        return middle(sorted, n);
}
