/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sampler.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/task.h"
#include "verify/figures.h"

#include <limits.h>
#include <string.h>

enum { STEP = 50 }; /* processes in one step: about half a millisecond */

typedef struct Subject {
        Usage usage;
        double cpu_before; /* negative: it is new */
        uint64_t time_usec, time_before_usec;
        bool seen; /* in this look */
} Subject;

struct Sampler {
        sd_event *loop;
        SamplerDone *done;
        void *data;
        uint64_t interval_usec;
        sd_event_source *timer, *step;
        char root[PATH_MAX];
        VEC(Subject) subjects;
        pid_t *pids; /* of the look that is under way */
        size_t n_pids, at;
};

Sampler *sampler_new(sd_event *loop, SamplerDone *done, void *data) {
        Sampler *s = calloc(1, sizeof(*s));

        if (!s)
                abort();
        *s = (Sampler){ .loop = loop, .done = done, .data = data };
        figures_root(s->root, sizeof(s->root));
        return s;
}

/* Processes of one name are summed up. */
static void add(Sampler *s, const Usage *u) {
        Subject *have = NULL;

        for (size_t i = 0; i < s->subjects.n && !have; i++)
                if (strcmp(s->subjects.items[i].usage.subject, u->subject) == 0)
                        have = &s->subjects.items[i];
        if (!have && s->subjects.n == FIGURES_MAX)
                return;
        if (!have) {
                Subject fresh = { .usage = *u, .cpu_before = -1, .time_usec = now_usec(), .seen = true };

                vec_push(&s->subjects, fresh);
                return;
        }
        if (!have->seen) {
                have->cpu_before = have->usage.cpu_sec;
                have->time_before_usec = have->time_usec;
                have->time_usec = now_usec();
                have->usage = *u;
                have->seen = true;
                return;
        }
        have->usage.cpu_sec += u->cpu_sec;
        have->usage.memory += u->memory;
}

/* A sum that fell: a process of that name has ended, and took its time along. */
static void tell(Sampler *s) {
        size_t kept = 0;

        for (size_t i = 0; i < s->subjects.n; i++) {
                Subject *u = &s->subjects.items[i];
                double used = u->usage.cpu_sec - u->cpu_before;
                bool known = u->cpu_before >= 0 && used >= 0 && u->time_usec > u->time_before_usec;

                if (!u->seen)
                        continue;
                s->done(s->data, u->usage.subject,
                        known ? used / ((double)(u->time_usec - u->time_before_usec) / 1e6) : -1,
                        u->usage.memory);
                u->seen = false;
                s->subjects.items[kept++] = *u;
        }
        s->subjects.n = kept;
}

static int on_step(sd_event_source *source, void *data) {
        Sampler *s = data;
        size_t end = MIN(s->at + STEP, s->n_pids);

        for (; s->at < end; s->at++) {
                Usage u;

                if (figures_process(s->pids[s->at], &u))
                        add(s, &u);
        }
        if (s->at < s->n_pids)
                return 0;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        free(s->pids);
        s->pids = NULL;
        tell(s);
        return 0;
}

static void on_service(void *data, const char *unit, const char *path) {
        Usage u;

        (void)unit;
        if (figures_unit(path, &u))
                add(data, &u);
}

static int on_time(sd_event_source *source, uint64_t usec, void *data) {
        Sampler *s = data;

        sd_event_source_set_time(source, MAX(usec + s->interval_usec, now_usec()));
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (*s->root) {
                figures_services(s->root, on_service, s);
                tell(s);
                return 0;
        }
        if (s->pids || task_processes(&s->pids, &s->n_pids) < 0)
                return 0; /* the last look is not over */
        s->at = 0;
        if (!s->step) {
                sd_event_add_defer(s->loop, &s->step, on_step, s);
                sd_event_source_set_priority(s->step, SD_EVENT_PRIORITY_IDLE);
        }
        sd_event_source_set_enabled(s->step, SD_EVENT_ON);
        return 0;
}

void sampler_set(Sampler *s, uint64_t interval_usec) {
        uint64_t due = now_usec() + interval_usec;

        s->interval_usec = interval_usec;
        if (!s->timer)
                sd_event_add_time(s->loop, &s->timer, CLOCK_MONOTONIC, due, interval_usec / 10 + 1, on_time,
                                  s);
        sd_event_source_set_time(s->timer, due);
        sd_event_source_set_time_accuracy(s->timer, interval_usec / 10 + 1);
        sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

void sampler_free(Sampler *s) {
        if (!s)
                return;
        sd_event_source_unref(s->timer);
        sd_event_source_unref(s->step);
        free(s->pids);
        vec_free(&s->subjects);
        free(s);
}
