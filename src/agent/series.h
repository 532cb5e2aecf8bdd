/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/figure.h"
#include "verify/health.h"

/*
 * Everything that is measured on this machine, and the performance baseline made of it: the newest samples
 * and what each hour of the last week was like. Kept in the state, and in memory while the agent runs.
 */
typedef struct SeriesBook SeriesBook;

enum { SERIES_MAX = 512 }; /* more are not measured, unless one was not for an hour: it is dropped */

/* One series as others see it. */
typedef struct Measured {
        Series series;
        StoreHour hours[STORE_HOURS]; /* oldest first */
        size_t n_hours;
        size_t filled;       /* samples since the last window that the baseline has */
        uint64_t saved_usec; /* samples up to this time are in the state */
} Measured;

SeriesBook *series_book_new(void);
void series_book_free(SeriesBook *b); /* accepts NULL */
/* What the state remembers. */
int series_load(SeriesBook *b, Store *store, Error *e);
/* Writes what is not in the state yet. */
int series_save(SeriesBook *b, Store *store, Error *e);
/* What was not saved counts as saved from now on: for the one whose fork saves it. */
void series_saved(SeriesBook *b);
/* Adds a sample; `observed`: a patch is being watched, so that it does not become part of what is usual.
 * NULL: there are too many series. */
Measured *series_add(SeriesBook *b, const char *subject, const char *name, Measure m, Sample sample,
                     bool observed);
/* The i-th of them; NULL: there are no more. Valid until the next one is added. */
Measured *series_get(const SeriesBook *b, size_t i);
/* The mean of the usual hours; negative: there are none yet. */
double series_usual(const Measured *m);
