/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "report/event.h"

#include <stdbool.h>

/*
 * What the agent has counted since it began, in memory that its forks share: a round counts in a process of
 * its own. docs/metrics.md names every metric.
 */
typedef struct Metrics Metrics;

Metrics *metrics_new(void);
void metrics_free(Metrics *m); /* accepts NULL */
/* The count of each kind of event, for event_count(). */
uint64_t *metrics_events(Metrics *m);

/* All accept NULL, and count nothing then. */
void metrics_pause(Metrics *m, uint64_t usec);    /* a process stood still to be patched, or reverted */
void metrics_compared(Metrics *m, uint64_t usec); /* two builds were compared */
/* A round over all processes has ended. */
typedef struct MetricsRound {
        uint64_t outdated;         /* processes that run an image which was replaced, and is not patched */
        uint64_t restart_pending;  /* those of them that only a restart makes current */
        uint64_t pending_restarts; /* units or processes on the list */
} MetricsRound;
void metrics_round(Metrics *m, const MetricsRound *r);
void metrics_quarantined(Metrics *m, uint64_t patches);

/* What is known at the moment of asking. */
typedef struct MetricsProbe {
        const char *subject, *name;
        bool good;
        double sec;
        uint64_t runs, failures;
} MetricsProbe;
typedef struct MetricsNow {
        uint64_t patched;  /* processes that carry a patch */
        uint64_t observed; /* patches whose units are observed */
        const MetricsProbe *probes;
        size_t n_probes;
} MetricsNow;

/* Prometheus' text format 0.0.4, or OpenMetrics 1.0.0; malloc'ed. NULL: no memory. */
char *metrics_text(const Metrics *m, const MetricsNow *now, bool openmetrics);
