/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/store.h"

/*
 * The performance baseline: of each series (one measure of one subject) the newest samples, and for each hour
 * of the last week how high it usually was. Bounded: STORE_SAMPLES and STORE_HOURS rows a series.
 */
enum { STORE_SAMPLES = 200, STORE_HOURS = 168 };

typedef struct StoreSample {
        uint64_t time_usec; /* CLOCK_REALTIME */
        double value;       /* negative: it failed */
} StoreSample;

typedef struct StoreHour {
        int64_t hour;       /* of CLOCK_REALTIME: seconds / 3600 */
        double usual, high; /* the mean and the highest of the medians of its windows */
        unsigned windows;
} StoreHour;

typedef struct StoreSeries {
        const char *subject, *name, *measure;
        const StoreSample *samples; /* oldest first */
        size_t n;
        const StoreHour *hours;
        size_t n_hours;
} StoreSeries;

/* All of them in one transaction: adds what is not there yet, and drops what is beyond the bounds. */
int store_save_series(Store *s, const StoreSeries *series, size_t n, uint64_t now_usec, Error *e);
/* Calls back with every sample, then every hour, in their order. */
int store_each_sample(Store *s,
                      void (*each)(void *data, const char *subject, const char *name, const char *measure,
                                   const StoreSample *sample),
                      void *data, Error *e);
int store_each_hour(Store *s,
                    void (*each)(void *data, const char *subject, const char *name, const char *measure,
                                 const StoreHour *hour),
                    void *data, Error *e);
