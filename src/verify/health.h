/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether what was measured after a patch is worse than what was measured before it, by more than noise.
 * docs/health.md gives the rule and its reasons.
 */
typedef enum Measure {
        MEASURE_RESPONSE, /* seconds that a probe took */
        MEASURE_CPU,      /* cores in use */
        MEASURE_MEMORY,   /* bytes */
        MEASURE_N
} Measure;

typedef struct Sample {
        uint64_t time_usec; /* CLOCK_REALTIME */
        double value;       /* in the measure's unit; negative: the probe failed */
} Sample;

enum {
        HEALTH_WINDOW = 20,  /* results that are judged together */
        HEALTH_BEFORE = 100, /* the newest so many before the patch are compared with */
        HEALTH_AFTER = 100,  /* so many after it, and the observation is over */
        HEALTH_SAMPLES = 200 /* that a series keeps: both */
};

/* One thing that is measured again and again, oldest sample first. */
typedef struct Series {
        char subject[128]; /* "nginx.service", "process haproxy" */
        char name[96];     /* the probe's, or the measure's word */
        Measure measure;
        Sample samples[HEALTH_SAMPLES];
        size_t n;
        double high; /* the highest median of a window in the kept baseline; 0: none is kept */
} Series;

/* Appends; the oldest makes room. Samples come in the order of time: one that is not later is dropped. */
void health_add(Series *s, Sample sample);
/* "response", "cpu", "memory" */
const char *measure_text(Measure m);
/* "12.3 ms", "0.42 cores", "310.0 MiB" */
void measure_format(Measure m, double value, char *out, size_t size);

typedef enum HealthState {
        HEALTH_UNJUDGED, /* too little was measured before the patch */
        HEALTH_OBSERVING,
        HEALTH_DEGRADED,
        HEALTH_CONFIRMED, /* the observation is over, and nothing got worse */
} HealthState;

typedef struct HealthVerdict {
        HealthState state;
        size_t n_before, n_after;
        double before, after; /* medians of the successful samples; after: of the newest window */
        char reason[256];     /* HEALTH_DEGRADED: one line */
} HealthVerdict;

/* `patched_usec`: CLOCK_REALTIME; samples of the second that it lies in count for neither side, because a
 * patched process says only in which second it was patched. */
HealthVerdict health_judge(const Series *s, uint64_t patched_usec);
const char *health_state_text(HealthState s);

/* The median of the newest window, once it is complete (`filled` counts samples since the last one): what the
 * baseline keeps. 0: not yet, or a sample in it failed. */
double health_window(const Series *s, size_t filled);
