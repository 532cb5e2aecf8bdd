/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/baseline-window.h"
#include "base/macro.h"
#include "deliver/baseline-changes.h"
#include "deliver/baseline-units.h"
#include "deliver/probed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROLLBACK_USEC = 0x7fffffff }; /* half an hour: apt has to finish what it has begun */

static bool is_machine(const char *unit) {
        return strcmp(unit, "machine") == 0;
}

static int invocation(void *data, const char *unit, char out[BASELINE_WORD], Error *e) {
        BaselineWindow *w = data;
        UnitState u;
        int r;

        if (is_machine(unit))
                return baseline_units.boot(NULL, out, e);
        r = manager_unit(w->manager, unit, &u, e);
        if (r == 0)
                snprintf(out, BASELINE_WORD, "%s", u.invocation);
        return r;
}

static int healthy(void *data, const char *unit, Error *why) {
        BaselineWindow *w = data;
        UnitState u;
        int r;

        if (is_machine(unit))
                return 0;
        r = manager_unit(w->manager, unit, &u, why);
        if (r < 0 || strcmp(u.active, "active") == 0 ||
            (strcmp(u.active, "inactive") == 0 && strcmp(u.result, "success") == 0))
                return r;
        error_set(why, -EIO, "%s is %s (%s)", unit, u.active, u.result);
        return strcmp(u.active, "failed") == 0 ? 2 : 1;
}

typedef struct Asked {
        BaselineWindow *w;
        const ProbeNames *but;
        ProbeNames *failing;
} Asked;

static int answers_one(void *data, const char *unit, Error *why) {
        const Asked *a = data;
        UnitState u;
        int r = manager_unit(a->w->manager, unit, &u, why);

        return r < 0 ? r : probed_ask(a->w->policy, a->w->manager, unit, u.start_max_usec, a->but, why);
}

static int answers(void *data, const char *unit, const ProbeNames *but, Error *why) {
        Asked a = { .w = data, .but = but };

        return probed_each(a.w->policy, unit, answers_one, &a, why);
}

static int failing_one(void *data, const char *unit, Error *e) {
        const Asked *a = data;

        (void)e;
        probed_failing(a->w->policy, a->w->manager, unit, a->failing);
        return 0;
}

static void failing(void *data, const char *unit, ProbeNames *out) {
        Asked a = { .w = data, .failing = out };
        const RestartPlan *plan = a.w->plan;

        probed_each(a.w->policy, unit, failing_one, &a, NULL);
        for (size_t i = 0; plan && i < plan->n; i++)
                for (size_t k = 0; strcmp(plan->steps[i].subject, unit) == 0 && k < plan->steps[i].n_with;
                     k++)
                        probed_each(a.w->policy, plan->steps[i].with[k], failing_one, &a, NULL);
}

static int restart(void *data, const char *unit, Error *e) {
        BaselineWindow *w = data;
        char result[MANAGER_WORD];
        int r;

        if (is_machine(unit))
                return BASELINE_REBOOTS;
        r = manager_restart(w->manager, unit, (uint64_t)w->policy->restart.timeout_sec * 1000000, result, e);
        return r == 0 && strcmp(result, "done") != 0 ? error_set(e, -EREMOTEIO, "%s: %s", unit, result) : r;
}

static int apart(void *data, int64_t id, Error *e) {
        BaselineWindow *w = data;
        char name[64], command[2 * PATH_MAX], result[MANAGER_WORD],
                environment[] = "STAUNCH_ROLLBACK_BY=agent";
        int r;

        snprintf(name, sizeof(name), "staunch-rollback-%" PRId64 ".service", id);
        snprintf(command, sizeof(command), "exec %s rollback --yes --state '%s' --config '%s' %" PRId64,
                 w->command, w->state, w->config, id);
        r = manager_run(w->manager, name, command, environment, ROLLBACK_USEC, result, e);
        /* How it ended is in the state, whatever its exit code. */
        return r == 0 && strcmp(result, "unfinished") == 0
                       ? error_set(e, -ETIME, "the rollback (%s) has not ended yet", name)
                       : r;
}

static int pause_usec(void *data, uint64_t usec) {
        (void)data;
        return restart_pause(usec);
}

static int boot(void *data, char out[BASELINE_WORD], Error *e) {
        (void)data;
        return baseline_units.boot(NULL, out, e);
}

/* Calls `work` with what it needs. A result as that of RestartHooks. */
static int with(BaselineWindow *w, int (*work)(BaselineWindow *w, const Baseline *b, void *data, Error *e),
                void *data, Error *e) {
        const BaselineOps ops = {
                w, invocation, restart, healthy, answers, failing, pause_usec, boot, apart
        };
        const Baseline b = { w->policy, w->state, "/", w->events, BASELINE_HOLD_FILE, &ops };
        int r = manager_open(&w->manager, e);

        if (r == 0)
                r = work(w, &b, data, e);
        w->manager = manager_close(w->manager);
        return r == BASELINE_REBOOTS ? RESTART_REBOOTS : r;
}

static int begin(BaselineWindow *w, const Baseline *b, void *data, Error *e) {
        const RestartPlan *plan = data;
        _cleanup_(freep) const char **units = calloc(plan->n + 1, sizeof(*units));
        size_t n = 0;

        if (!units)
                return error_errno(e, -ENOMEM, "a baseline");
        for (size_t i = 0; i < plan->n; i++)
                if (!plan->steps[i].obstacle)
                        units[n++] = plan->steps[i].subject;
        if (!n) { /* the machine alone: a baseline, if that brings anything into force */
                _cleanup_(store_closep) Store *store = NULL;
                int r = store_open(w->state, &store, e);

                r = r < 0 ? r : changes_outstanding(store, e);
                if (r <= 0)
                        return r;
        }
        if (plan->reboots)
                units[n++] = "machine";
        return baseline_begin(b, units, n, &w->id, e);
}

static int before(void *data, const RestartPlan *plan, Error *e) {
        BaselineWindow *w = data;

        w->id = 0;
        w->plan = plan;
        return with(w, begin, (void *)plan, e);
}

typedef struct Ended {
        const RestartPlan *plan;
        size_t failed;
} Ended;

static int settle(BaselineWindow *w, const Baseline *b, void *data, Error *e) {
        const Ended *ended = data;
        Error failed = { 0 };
        int r;

        /* With the machine to be restarted next, it is looked after when it is back. */
        if (!ended->failed && ended->plan->reboots)
                return 0;
        if (ended->failed)
                error_set(&failed, -EIO, "%zu restart%s failed", ended->failed,
                          ended->failed == 1 ? "" : "s");
        r = baseline_settle(b, w->id, &failed, e);
        /* Of a restart that failed the executor has told, and its policy says what follows. */
        return r == BASELINE_WENT_WRONG && ended->failed ? 0 : r;
}

static int ask_once(BaselineWindow *w, const Baseline *b, void *data, Error *e) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        ProbeNames but = { 0 };
        int r = baseline_unjudged(b->state, w->id, arena, &but, e);

        if (r == 0)
                r = answers(w, data, &but, e);
        vec_free(&but);
        return r;
}

static int came_up(void *data, const char *unit, Error *e) {
        const BaselineWindow *w = data;

        return probed_has(w->policy, unit) ? with(data, ask_once, (void *)(uintptr_t)unit, e) : 0;
}

static int after(void *data, const RestartPlan *plan, size_t done, size_t failed, Error *e) {
        BaselineWindow *w = data;
        Ended ended = { plan, failed };

        (void)done;
        return w->id ? with(w, settle, &ended, e) : 0;
}

static int go_on(BaselineWindow *w, const Baseline *b, void *data, Error *e) {
        (void)w;
        (void)data;
        return baseline_resume(b, e);
}

static int unfinished(const char *state, int64_t *id, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        int r = store_open(state, &store, e);

        return r < 0 ? r : store_unfinished(store, id, e);
}

static int resume(void *data, Arena *arena, About *about, Error *e) {
        BaselineWindow *w = data;
        int64_t id = 0;
        int r = unfinished(w->state, &id, e);

        if (r < 0 || !id)
                return r;
        r = with(w, go_on, NULL, e);
        if (r == RESTART_REBOOTS)
                baseline_about(w->state, id, arena, about, NULL);
        return r;
}

RestartHooks baseline_window_hooks(BaselineWindow *w) {
        return (RestartHooks){
                .data = w, .resume = resume, .before = before, .came_up = came_up, .after = after
        };
}
