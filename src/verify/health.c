/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/health.h"
#include "base/macro.h"
#include "verify/rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double CHANCE = 0.001; /* what is likelier than this is noise */
static const double EFFECT = 0.75;  /* Vargha's and Delaney's A; they call 0.71 large */
enum { FAILURES = 3 };              /* in a row, at least: as Kubernetes' failureThreshold */

/* A change below these is none, however sure it is. */
static const struct {
        const char *word;
        double ratio, difference;
} least[MEASURE_N] = {
        [MEASURE_RESPONSE] = { "response", 1.5, 0.002 },
        [MEASURE_CPU] = { "cpu", 2, 0.2 },
        [MEASURE_MEMORY] = { "memory", 1.5, 32 << 20 },
};

const char *measure_text(Measure m) {
        return m < MEASURE_N ? least[m].word : "?";
}

void measure_format(Measure m, double value, char *out, size_t size) {
        switch (m) {
        case MEASURE_RESPONSE:
                snprintf(out, size, "%.1f ms", value * 1000);
                return;
        case MEASURE_CPU:
                snprintf(out, size, "%.2f cores", value);
                return;
        default:
                snprintf(out, size, "%.1f MiB", value / (1 << 20));
        }
}

const char *health_state_text(HealthState s) {
        static const char *const words[] = { "unjudged", "observing", "degraded", "confirmed" };

        return (size_t)s < ELEMENTSOF(words) ? words[s] : "?";
}

void health_add(Series *s, Sample sample) {
        if (s->n && sample.time_usec <= s->samples[s->n - 1].time_usec)
                return;
        if (s->n == HEALTH_SAMPLES)
                memmove(s->samples, s->samples + 1, --s->n * sizeof(*s->samples));
        s->samples[s->n++] = sample;
}

double health_window(const Series *s, size_t filled) {
        double values[HEALTH_WINDOW];

        if (filled < HEALTH_WINDOW || s->n < HEALTH_WINDOW)
                return 0;
        for (size_t i = 0; i < HEALTH_WINDOW; i++) {
                values[i] = s->samples[s->n - HEALTH_WINDOW + i].value;
                if (values[i] < 0)
                        return 0;
        }
        return rank_median(values, HEALTH_WINDOW);
}

/* The samples of one side of the patch. */
typedef struct Side {
        double values[HEALTH_SAMPLES]; /* of those that did not fail */
        size_t n, all, failed, row;    /* row: failures one after another, the longest such */
} Side;

static void take(Side *side, const Sample *samples, size_t n) {
        size_t row = 0;

        *side = (Side){ .all = n };
        for (size_t i = 0; i < n; i++) {
                row = samples[i].value < 0 ? row + 1 : 0;
                side->failed += row > 0;
                side->row = MAX(side->row, row);
                if (!row)
                        side->values[side->n++] = samples[i].value;
        }
}

/* So many failures in a row would come by chance less than once in a thousand times, with the share that
 * failed before (Laplace's estimate, so that few results promise little). */
static bool fails(const Side *before, const Side *after, char *reason, size_t size) {
        double share = ((double)before->failed + 1) / ((double)before->all + 2);
        double least_row = MAX(ceil(log(CHANCE) / log(share)), (double)FAILURES);

        if (before->all < FAILURES || before->all == before->failed || (double)after->row < least_row)
                return false;
        snprintf(reason, size, "failed %zu times in a row; of the %zu times before the patch %zu failed",
                 after->row, before->all, before->failed);
        return true;
}

/* The highest that was usual: no window before the patch, and none of the baseline, was above it. */
static double usual(const Series *s, const Side *before) {
        double high = s->high;

        for (size_t i = 0; i + HEALTH_WINDOW <= before->n; i += HEALTH_WINDOW)
                high = MAX(high, rank_median(before->values + i, HEALTH_WINDOW));
        return high;
}

/* Is what was measured so far after the patch worse, and its newest window as well? */
static bool worse_at(const Series *s, const Side *before, const double *after, size_t n, RankTest *test) {
        double newest = rank_median(after + n - HEALTH_WINDOW, HEALTH_WINDOW);

        if (newest <= usual(s, before))
                return false;
        *test = rank_test(before->values, before->n, after, n);
        return test->p < CHANCE && test->effect >= EFFECT && test->ratio >= least[s->measure].ratio &&
               test->difference >= least[s->measure].difference;
}

/* Looked at for whole windows, from the second on: what passes by itself (caches that fill again, a burst of
 * load) is none. */
static bool worse(const Series *s, const Side *before, const Side *after, char *reason, size_t size) {
        size_t n = after->n / HEALTH_WINDOW * HEALTH_WINDOW;
        char old[32], new[32];
        RankTest test;

        if (n < 2 * HEALTH_WINDOW || !worse_at(s, before, after->values, n, &test))
                return false;
        measure_format(s->measure, rank_median(before->values, before->n), old, sizeof(old));
        measure_format(s->measure, rank_median(after->values, n), new, sizeof(new));
        snprintf(reason, size, "%s went from %s to %s (%zu and %zu results; p=%.1g, A=%.2f)",
                 measure_text(s->measure), old, new, before->n, n, test.p, test.effect);
        return true;
}

HealthVerdict health_judge(const Series *s, uint64_t patched_usec) {
        uint64_t second = patched_usec / 1000000 * 1000000;
        HealthVerdict v = { .state = HEALTH_OBSERVING };
        Side before, after;
        size_t b = 0, a;

        while (b < s->n && s->samples[b].time_usec < second)
                b++;
        for (a = b; a < s->n && s->samples[a].time_usec < second + 1000000; a++)
                ;
        take(&before, s->samples + b - MIN(b, (size_t)HEALTH_BEFORE), MIN(b, (size_t)HEALTH_BEFORE));
        take(&after, s->samples + a, MIN(s->n - a, (size_t)HEALTH_AFTER));
        v.n_before = before.all;
        v.n_after = after.all;
        v.before = rank_median(before.values, before.n);
        v.after = rank_median(after.values + after.n - MIN(after.n, (size_t)HEALTH_WINDOW),
                              MIN(after.n, (size_t)HEALTH_WINDOW));
        if (fails(&before, &after, v.reason, sizeof(v.reason)) ||
            (before.n >= HEALTH_WINDOW && worse(s, &before, &after, v.reason, sizeof(v.reason))))
                v.state = HEALTH_DEGRADED;
        else if (before.n < HEALTH_WINDOW)
                v.state = HEALTH_UNJUDGED;
        else if (after.all >= HEALTH_AFTER)
                v.state = HEALTH_CONFIRMED;
        return v;
}
