/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/schedule.h"
#include "base/clock.h"
#include "base/macro.h"

#include <string.h>

int schedule_open(const char *config, Store *store, Schedule *out, Error *e) {
        Schedule s = { .now = (int64_t)(wall_usec() / 1000000), .alone = "" };
        _cleanup_(manager_closep) Manager *m = NULL;
        Error none = { 0 };
        int r = policy_load(config ? config : POLICY_FILE, &s.policy, e);

        if (r < 0)
                return r;
        if (manager_open(&m, &none) < 0)
                s.alone = arena_strdup(s.policy.arena, none.text);
        r = restart_plan(&s.policy, store, m, NULL, &s.plan, e);
        if (r < 0)
                policy_free(&s.policy);
        else
                *out = s;
        return r;
}

void schedule_close(Schedule *s) {
        restart_plan_free(&s->plan);
        policy_free(&s->policy);
}

const RestartStep *schedule_step(const Schedule *s, const char *subject) {
        for (size_t i = 0; i < s->plan.n; i++)
                if (strcmp(s->plan.steps[i].subject, subject) == 0)
                        return &s->plan.steps[i];
        return NULL;
}

const Window *schedule_next(const Policy *p, int64_t now, const char *subject, WindowSpan *out) {
        const Window *first = NULL;

        for (size_t i = 0; i < p->n_window; i++) {
                WindowSpan span;

                if ((subject && !window_covers(&p->window[i], subject)) ||
                    !window_next(&p->window[i], now, &span) || (first && span.start >= out->start))
                        continue;
                first = &p->window[i];
                *out = span;
        }
        return first;
}

const char *schedule_time(const char *zone, int64_t moment, Arena *a) {
        WallTime w;
        int offset;

        zone_wall(zone, moment, &w, &offset);
        return arena_printf(a, "%04d-%02d-%02d %02d:%02d %c%02d:%02d", w.year, w.month, w.day, w.hour,
                            w.minute, offset < 0 ? '-' : '+', abs(offset) / 3600, abs(offset) / 60 % 60);
}

const char *schedule_when(const Schedule *s, const char *subject, Arena *a) {
        const RestartStep *step = schedule_step(s, subject);
        WindowSpan span;
        const Window *w = schedule_next(&s->policy, s->now, subject, &span);

        if (step && step->obstacle && !*s->alone)
                return "not by itself";
        if (!w || s->policy.mode != PATCH_AUTOMATIC)
                return "by hand";
        return window_open(&span, s->now)
                       ? arena_printf(a, "now (%s)", w->name)
                       : arena_printf(a, "%s (%s)", schedule_time(w->zone, span.start, a), w->name);
}
