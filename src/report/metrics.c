/* SPDX-License-Identifier: Apache-2.0 */
#include "report/metrics.h"
#include "base/clock.h"
#include "base/macro.h"
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* Upper bounds in seconds; what is above the last counts under +Inf alone. */
static const double pause_bounds[] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                       0.01,   0.025,   0.05,   0.1,   1 };
static const double comparison_bounds[] = { 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300 };
enum { BOUNDS = 11 };

typedef struct Histogram {
        uint64_t counts[BOUNDS + 1]; /* each its own; the last: above all bounds */
        uint64_t usec;
} Histogram;

struct Metrics {
        uint64_t started_usec, rounds, round_usec, quarantined;
        uint64_t events[EVENT_N];
        MetricsRound round;
        Histogram pause, comparison;
};

Metrics *metrics_new(void) {
        Metrics *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (m == MAP_FAILED)
                abort();
        m->started_usec = wall_usec();
        return m;
}

void metrics_free(Metrics *m) {
        if (m)
                munmap(m, sizeof(*m));
}

uint64_t *metrics_events(Metrics *m) {
        return m->events;
}

static void add(uint64_t *to, uint64_t n) {
        __atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}
static void set(uint64_t *to, uint64_t n) {
        __atomic_store_n(to, n, __ATOMIC_RELAXED);
}
static uint64_t get(const uint64_t *from) {
        return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static void observe(Histogram *h, const double *bounds, uint64_t usec) {
        size_t i = 0;

        while (i < BOUNDS && (double)usec / 1e6 > bounds[i])
                i++;
        add(&h->counts[i], 1);
        add(&h->usec, usec);
}

void metrics_pause(Metrics *m, uint64_t usec) {
        if (m)
                observe(&m->pause, pause_bounds, usec);
}

void metrics_compared(Metrics *m, uint64_t usec) {
        if (m)
                observe(&m->comparison, comparison_bounds, usec);
}

void metrics_round(Metrics *m, const MetricsRound *r) {
        if (!m)
                return;
        set(&m->round.outdated, r->outdated);
        set(&m->round.restart_pending, r->restart_pending);
        set(&m->round.pending_restarts, r->pending_restarts);
        set(&m->round_usec, wall_usec());
        add(&m->rounds, 1);
}

void metrics_quarantined(Metrics *m, uint64_t patches) {
        if (m)
                set(&m->quarantined, patches);
}

typedef struct Writer {
        FILE *f;
        bool openmetrics;
} Writer;

/* A family's lines before its samples. OpenMetrics names a counter without the _total of its samples. */
static void family(const Writer *w, const char *name, const char *type, const char *help) {
        size_t n = strlen(name);

        if (w->openmetrics && strcmp(type, "counter") == 0)
                n -= strlen("_total");
        fprintf(w->f, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, name, help, (int)n, name, type);
}

static void one(const Writer *w, const char *name, const char *type, const char *help, double value) {
        family(w, name, type, help);
        fprintf(w->f, "%s %.15g\n", name, value);
}

/* With what the format wants escaped; a control character is left out, and so is what is not UTF-8's. */
static void label(const Writer *w, const char *key, const char *value, const char *before) {
        fprintf(w->f, "%s%s=\"", before, key);
        for (const char *p = value; *p; p++) {
                if (*p == '\\' || *p == '"')
                        fputc('\\', w->f);
                if (*p == '\n')
                        fputs("\\n", w->f);
                else if ((unsigned char)*p >= ' ' && (unsigned char)*p < 0x7f)
                        fputc(*p, w->f);
                else
                        fputc('?', w->f);
        }
        fputc('"', w->f);
}

static void histogram(const Writer *w, const char *name, const char *help, const Histogram *h,
                      const double *bounds) {
        uint64_t sum = 0;

        family(w, name, "histogram", help);
        for (size_t i = 0; i < BOUNDS; i++) {
                sum += get(&h->counts[i]);
                fprintf(w->f, "%s_bucket{le=\"%g%s\"} %" PRIu64 "\n", name, bounds[i],
                        w->openmetrics && bounds[i] >= 1 && bounds[i] == (double)(int)bounds[i] ? ".0" : "",
                        sum);
        }
        sum += get(&h->counts[BOUNDS]);
        fprintf(w->f, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9g\n%s_count %" PRIu64 "\n", name, sum,
                name, (double)get(&h->usec) / 1e6, name, sum);
}

static void events(const Writer *w, const Metrics *m) {
        static const struct {
                const char *outcome;
                EventKind kind;
        } patches[] = { { "applied", EVENT_PATCH_INSTALLED },
                        { "failed", EVENT_PATCH_FAILED },
                        { "reverted", EVENT_PATCH_REVERTED } };

        family(w, "staunch_patches_total", "counter", "Patches of processes by what became of them.");
        for (size_t i = 0; i < ELEMENTSOF(patches); i++)
                fprintf(w->f, "staunch_patches_total{outcome=\"%s\"} %" PRIu64 "\n", patches[i].outcome,
                        get(&m->events[patches[i].kind]));
        family(w, "staunch_events_total", "counter", "Events by kind.");
        for (size_t i = 0; i < EVENT_N; i++)
                fprintf(w->f, "staunch_events_total{kind=\"%s\"} %" PRIu64 "\n",
                        event_type((EventKind)i)->kind, get(&m->events[i]));
}

static void processes(const Writer *w, const Metrics *m, const MetricsNow *now) {
        family(w, "staunch_processes", "gauge",
               "Processes that carry a patch, are outdated, or need a restart (outdated ones too).");
        fprintf(w->f,
                "staunch_processes{state=\"patched\"} %" PRIu64
                "\nstaunch_processes{state=\"outdated\"} %" PRIu64
                "\nstaunch_processes{state=\"restart-pending\"} %" PRIu64 "\n",
                now->patched, get(&m->round.outdated), get(&m->round.restart_pending));
}

typedef enum ProbeMetric { SUCCESS, DURATION, RUNS, FAILURES } ProbeMetric;

static void probe_family(const Writer *w, const MetricsNow *now, const char *name, const char *type,
                         const char *help, ProbeMetric metric) {
        if (!now->n_probes)
                return;
        family(w, name, type, help);
        for (size_t i = 0; i < now->n_probes; i++) {
                const MetricsProbe *p = &now->probes[i];

                fputs(name, w->f);
                label(w, "subject", p->subject, "{");
                label(w, "probe", p->name, ",");
                switch (metric) {
                case SUCCESS:
                        fprintf(w->f, "} %d\n", p->good);
                        break;
                case DURATION:
                        fprintf(w->f, "} %.9g\n", p->sec);
                        break;
                default:
                        fprintf(w->f, "} %" PRIu64 "\n", metric == RUNS ? p->runs : p->failures);
                }
        }
}

char *metrics_text(const Metrics *m, const MetricsNow *now, bool openmetrics) {
        Writer w = { .openmetrics = openmetrics };
        char *text = NULL;
        size_t size;
        bool bad;

        w.f = open_memstream(&text, &size);
        if (!w.f)
                return NULL;
        family(&w, "staunch_build_info", "gauge", "The agent's version; always 1.");
        fputs("staunch_build_info{version=\"" STAUNCH_VERSION "\"} 1\n", w.f);
        one(&w, "staunch_start_time_seconds", "gauge", "When the agent began, in seconds since 1970.",
            (double)m->started_usec / 1e6);
        events(&w, m);
        processes(&w, m, now);
        one(&w, "staunch_pending_restarts", "gauge", "Units or processes that wait for a restart.",
            (double)get(&m->round.pending_restarts));
        one(&w, "staunch_quarantined_patches", "gauge", "Patches that did harm and are not applied.",
            (double)get(&m->quarantined));
        one(&w, "staunch_observed_patches", "gauge", "Patches whose units are observed for changes.",
            (double)now->observed);
        one(&w, "staunch_rounds_total", "counter", "Rounds over all processes.", (double)get(&m->rounds));
        one(&w, "staunch_last_round_timestamp_seconds", "gauge",
            "When the last round ended, in seconds since 1970.", (double)get(&m->round_usec) / 1e6);
        histogram(&w, "staunch_pause_seconds", "How long processes stood still to be patched or reverted.",
                  &m->pause, pause_bounds);
        histogram(&w, "staunch_comparison_seconds", "How long it took to compare two builds.", &m->comparison,
                  comparison_bounds);
        probe_family(&w, now, "staunch_probe_success", "gauge", "Whether the probe went well the last time.",
                     SUCCESS);
        probe_family(&w, now, "staunch_probe_duration_seconds", "gauge",
                     "How long the probe took the last time.", DURATION);
        probe_family(&w, now, "staunch_probe_runs_total", "counter", "How often the probe was made.", RUNS);
        probe_family(&w, now, "staunch_probe_failures_total", "counter", "How often the probe failed.",
                     FAILURES);
        if (openmetrics)
                fputs("# EOF\n", w.f);
        bad = ferror(w.f) != 0;
        bad |= fclose(w.f) != 0;
        if (bad) {
                free(text);
                return NULL;
        }
        return text;
}
