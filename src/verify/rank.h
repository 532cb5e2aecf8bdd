/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * Comparing two samples by ranks: it assumes nothing about how the values are distributed, and one outlier
 * counts as one value.
 */
typedef struct RankTest {
        double p;      /* one-sided: how likely `after` would be so much above `before` by chance */
        double effect; /* how likely a value of `after` is above one of `before` (a tie counts half): 0 to 1
                        */
        double ratio, difference; /* of an `after` to a `before`: the medians over all pairs of the two */
} RankTest;

enum { RANK_MAX = 128 }; /* values of each sample; what is beyond is left out */

/*
 * The Mann-Whitney U test (Mann and Whitney 1947: "On a test of whether one of two random variables is
 * stochastically larger than the other") with the normal approximation, corrected for ties and continuity:
 * good from about 10 values each. The effect is Vargha's and Delaney's A (2000: "A critique and improvement
 * of the CL common language effect size statistics"); they call 0.71 large. Ratio and difference are the
 * estimates that belong to the test (Hodges and Lehmann 1963).
 *
 * Both samples are in the order of time. Results near each other are alike where load comes and goes, and
 * then say less than as many independent ones: as much as n (1 - r) / (1 + r) of them, with r the correlation
 * of each rank with the next (Bayley and Hammersley 1946: the effective number of observations).
 *
 * With an empty sample p is 1. Ratio: pairs with a `before` of 0 count as 1.
 */
RankTest rank_test(const double *before, size_t n_before, const double *after, size_t n_after);
/* 0 when there are none. Reads the first RANK_MAX values. */
double rank_median(const double *values, size_t n);
