/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/series.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"

#include <string.h>

enum { UNUSED_USEC = 3600 * 1000000u };

struct SeriesBook {
        VEC(Measured *) all;
};

SeriesBook *series_book_new(void) {
        SeriesBook *b = calloc(1, sizeof(*b));

        if (!b)
                abort();
        return b;
}

void series_book_free(SeriesBook *b) {
        if (!b)
                return;
        for (size_t i = 0; i < b->all.n; i++)
                free(b->all.items[i]);
        vec_free(&b->all);
        free(b);
}

static uint64_t newest_usec(const Series *s) {
        return s->n ? s->samples[s->n - 1].time_usec : 0;
}

/* One that nothing was added to for an hour, in whose place another can go; NULL: all are in use. A sample
 * from the future is of a clock that was set back. */
static Measured *unused(const SeriesBook *b) {
        uint64_t now = wall_usec();
        Measured *oldest = NULL;

        for (size_t i = 0; i < b->all.n; i++) {
                Measured *m = b->all.items[i];
                uint64_t newest = newest_usec(&m->series);

                if ((newest + UNUSED_USEC < now || newest > now + UNUSED_USEC) &&
                    (!oldest || newest < newest_usec(&oldest->series)))
                        oldest = m;
        }
        return oldest;
}

static Measured *find(SeriesBook *b, const char *subject, const char *name, Measure measure) {
        Measured *m;

        for (size_t i = 0; i < b->all.n; i++) {
                Series *s = &b->all.items[i]->series;

                if (s->measure == measure && strcmp(s->subject, subject) == 0 && strcmp(s->name, name) == 0)
                        return b->all.items[i];
        }
        m = b->all.n == SERIES_MAX ? unused(b) : calloc(1, sizeof(*m));
        if (!m && b->all.n == SERIES_MAX)
                return NULL;
        if (!m)
                abort();
        if (b->all.n < SERIES_MAX)
                vec_push(&b->all, m);
        *m = (Measured){ 0 };
        m->series.measure = measure;
        snprintf(m->series.subject, sizeof(m->series.subject), "%s", subject);
        snprintf(m->series.name, sizeof(m->series.name), "%s", name);
        return m;
}

/* The highest of the week becomes what a patch is held against. */
static void set_high(Measured *m) {
        m->series.high = 0;
        for (size_t i = 0; i < m->n_hours; i++)
                m->series.high = MAX(m->series.high, m->hours[i].high);
}

static void add_hour(Measured *m, const StoreHour *hour) {
        if (m->n_hours == STORE_HOURS)
                memmove(m->hours, m->hours + 1, --m->n_hours * sizeof(*m->hours));
        m->hours[m->n_hours++] = *hour;
}

static void add_window(Measured *m, double median, uint64_t time_usec) {
        int64_t now = (int64_t)(time_usec / 1000000 / 3600);
        StoreHour *h;

        while (m->n_hours && m->hours[0].hour <= now - STORE_HOURS)
                memmove(m->hours, m->hours + 1, --m->n_hours * sizeof(*m->hours));
        if (!m->n_hours || m->hours[m->n_hours - 1].hour < now)
                add_hour(m, &(StoreHour){ .hour = now });
        h = &m->hours[m->n_hours - 1];
        h->usual = (h->usual * h->windows + median) / (h->windows + 1);
        h->high = MAX(h->high, median);
        h->windows++;
        set_high(m);
}

Measured *series_add(SeriesBook *b, const char *subject, const char *name, Measure measure, Sample sample,
                     bool observed) {
        Measured *m = find(b, subject, name, measure);
        double median;

        if (!m)
                return NULL;
        health_add(&m->series, sample);
        m->filled = observed || sample.value < 0 ? 0 : m->filled + 1;
        median = health_window(&m->series, m->filled);
        if (median > 0) {
                add_window(m, median, sample.time_usec);
                m->filled = 0;
        }
        return m;
}

Measured *series_get(const SeriesBook *b, size_t i) {
        return i < b->all.n ? b->all.items[i] : NULL;
}

double series_usual(const Measured *m) {
        double sum = 0;

        for (size_t i = 0; i < m->n_hours; i++)
                sum += m->hours[i].usual;
        return m->n_hours ? sum / (double)m->n_hours : -1;
}

static Measure measure_of(const char *word) {
        Measure m = MEASURE_RESPONSE;

        while (m < MEASURE_N && strcmp(measure_text(m), word) != 0)
                m++;
        return m;
}

static Measured *loaded(SeriesBook *b, const char *subject, const char *name, const char *measure) {
        Measure m = measure_of(measure);

        return m < MEASURE_N ? find(b, subject, name, m) : NULL;
}

static void load_sample(void *data, const char *subject, const char *name, const char *measure,
                        const StoreSample *sample) {
        Measured *m = loaded(data, subject, name, measure);

        if (!m || sample->time_usec > wall_usec())
                return; /* of a clock that was set back since: it would keep all that comes out */
        health_add(&m->series, (Sample){ sample->time_usec, sample->value });
        m->saved_usec = sample->time_usec;
}

static void load_hour(void *data, const char *subject, const char *name, const char *measure,
                      const StoreHour *hour) {
        Measured *m = loaded(data, subject, name, measure);

        if (!m)
                return;
        add_hour(m, hour);
        set_high(m);
}

int series_load(SeriesBook *b, Store *store, Error *e) {
        int r = store_each_sample(store, load_sample, b, e);

        return r < 0 ? r : store_each_hour(store, load_hour, b, e);
}

int series_save(SeriesBook *b, Store *store, Error *e) {
        StoreSeries *of = calloc(b->all.n + 1, sizeof(*of));
        StoreSample *samples = calloc(b->all.n + 1, HEALTH_SAMPLES * sizeof(*samples));
        size_t n = 0, used = 0;
        int r;

        if (!of || !samples)
                abort();
        for (size_t i = 0; i < b->all.n; i++) {
                Measured *m = b->all.items[i];
                StoreSeries *s = &of[n];

                *s = (StoreSeries){ .subject = m->series.subject,
                                    .name = m->series.name,
                                    .measure = measure_text(m->series.measure),
                                    .samples = samples + used };
                for (size_t k = 0; k < m->series.n; k++)
                        if (m->series.samples[k].time_usec > m->saved_usec) {
                                samples[used++] = (StoreSample){ m->series.samples[k].time_usec,
                                                                 m->series.samples[k].value };
                                s->n++;
                        }
                /* The newest two: the one that grows, and the one before it may have grown since. */
                s->n_hours = MIN(m->n_hours, (size_t)2);
                s->hours = m->hours + m->n_hours - s->n_hours;
                n += s->n > 0;
        }
        r = n ? store_save_series(store, of, n, wall_usec(), e) : 0;
        free(of);
        free(samples);
        return r;
}

void series_saved(SeriesBook *b) {
        for (size_t i = 0; i < b->all.n; i++) {
                Measured *m = b->all.items[i];

                if (m->series.n)
                        m->saved_usec = m->series.samples[m->series.n - 1].time_usec;
        }
}
