/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "deliver/baseline-changes.h"
#include "deliver/baseline-parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define PHASE_PROBE "probe" /* of a step that names a probe (`before`) of a unit */
#define PHASE_ABOUT "about" /* of one that keeps a field (`unit`) and its value (`before`) of the events */
enum { LOOK_USEC = 2000000 };

static const char *const states[] = { "planned", "snapshot",        "restarting", "settling",
                                      "done",    "rolling-back",    "rebooting",  "rolled-back",
                                      "failed",  "rollback-failed", "cancelled" };

const char *const baseline_fault_names[] = { "planned",    "snapshot",        "begun",     "settling",
                                             "settled",    "rollback-begun",  "held",      "put-back",
                                             "boot-noted", "root-put-back",   "prepared",  "restart-noted",
                                             "restarted",  "restart-written", "back-well", NULL };
static const char *armed;

void baseline_fault_set(const char *name) {
        armed = name;
}

void baseline_fault(const char *name) {
        if (armed && strcmp(armed, name) == 0)
                kill(getpid(), SIGKILL);
}

const char *baseline_state_text(BaselineState s) {
        return s < BASELINE_STATES ? states[s] : "?";
}

BaselineState baseline_state(const char *text) {
        size_t i = 0;

        while (i < BASELINE_STATES && strcmp(states[i], text) != 0)
                i++;
        return (BaselineState)i;
}

static void note_baseline(void *data, const StoreBaseline *a) {
        BaselineWork *w = data;

        if (a->id != w->id)
                return;
        w->state = baseline_state(a->state);
        w->reason = arena_strdup(w->arena, a->reason);
}

typedef struct Unjudged {
        Arena *arena;
        ProbeNames *out;
} Unjudged;

static void note_unjudged(void *data, const StoreStep *p) {
        const Unjudged *u = data;

        if (strcmp(p->phase, PHASE_PROBE) == 0)
                vec_push(u->out,
                         (ProbeName){ arena_strdup(u->arena, p->unit), arena_strdup(u->arena, p->before) });
}

typedef struct AboutOf {
        Arena *arena;
        About *out;
} AboutOf;

static void add_about(void *data, const StoreStep *p) {
        const AboutOf *of = data;

        if (strcmp(p->phase, PHASE_ABOUT) == 0)
                about_add_field(of->out, of->arena, p->unit, p->before);
}

static void note_step(void *data, const StoreStep *p) {
        BaselineWork *w = data;
        Unjudged unjudged = { w->arena, &w->unjudged };
        StoreStep mine = *p;

        note_unjudged(&unjudged, p);
        if (strcmp(p->phase, PHASE_PROBE) == 0)
                return;
        add_about(&(AboutOf){ w->arena, &w->about }, p);
        if (strcmp(p->phase, PHASE_ABOUT) == 0)
                return;
        if (strcmp(p->phase, "boot") == 0) {
                if (!w->boots++)
                        snprintf(w->first_boot, sizeof(w->first_boot), "%s", p->before);
                snprintf(w->boot, sizeof(w->boot), "%s", p->before);
                w->prepared = p->done;
                return;
        }
        mine.unit = arena_strdup(w->arena, p->unit);
        mine.before = arena_strdup(w->arena, p->before);
        mine.phase = strcmp(p->phase, "back") == 0 ? "back" : "forward";
        if (mine.phase[0] == 'f')
                vec_push(&w->units, (BaselineUnit){ .name = mine.unit, .forward = mine });
        for (size_t i = 0; mine.phase[0] == 'b' && i < w->units.n; i++)
                if (w->units.items[i].forward.position == mine.position)
                        w->units.items[i].back = mine;
}

void baseline_work_end(BaselineWork *w) {
        vec_free(&w->units);
        vec_free(&w->unjudged);
        w->store = store_close(w->store);
        closep(&w->lock);
        w->lock = -1;
        w->arena = arena_free(w->arena);
}

/* Reads what is written down of baseline `w->id`. */
static int work_load(BaselineWork *w, Error *e) {
        int r;

        w->units.n = w->unjudged.n = w->boots = 0;
        w->prepared = false;
        w->about = (About){ 0 };
        w->state = BASELINE_STATES;
        r = store_each_baseline(w->store, note_baseline, w, e);
        if (r == 0 && w->state == BASELINE_STATES)
                r = error_set(e, -ENOENT, "there is no baseline %" PRId64, w->id);
        return r < 0 ? r : store_each_step(w->store, w->id, note_step, w, e);
}

int baseline_work_begin(BaselineWork *w, const Baseline *b, int64_t id, Error *e) {
        char path[PATH_MAX];
        int r;

        *w = (BaselineWork){ .b = b, .id = id, .lock = -1, .arena = arena_new() };
        r = store_open(b->state, &w->store, e);
        if (r >= 0) {
                snprintf(path, sizeof(path), "%s/baseline.lock", b->state);
                w->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (w->lock < 0)
                        r = error_errno(e, -errno, "%s", path);
                else if (flock(w->lock, LOCK_EX | LOCK_NB) < 0)
                        r = error_set(e, -EBUSY,
                                      "another process is at work on a baseline; 'staunch history' shows it");
                else
                        r = id ? work_load(w, e) : 0;
        }
        if (r < 0)
                baseline_work_end(w);
        return r < 0 ? r : 0;
}

void baseline_tell(const BaselineWork *w, EventKind kind, const char *what, const char *detail) {
        char id[24], message[700];

        snprintf(id, sizeof(id), "%" PRId64, w->id);
        snprintf(message, sizeof(message), "Baseline %s %s%s%s", id, what, *detail ? ": " : "", detail);
        about_emit(&w->about,
                   &(Event){ .kind = kind,
                             .message = message,
                             .fields = (EventField[]){ { "STAUNCH_BASELINE", id },
                                                       { "STAUNCH_DETAIL", detail } },
                             .n = 2 },
                   w->b->events, NULL);
}

int baseline_set(BaselineWork *w, BaselineState s, const char *reason, Error *e) {
        int r = store_set_baseline(w->store, w->id, states[s], reason, wall_usec(), e);

        if (r == 0) {
                w->state = s;
                w->reason = arena_strdup(w->arena, reason);
        }
        return r;
}

/* Nothing was restarted: what it would have brought into force waits for another one. */
static int cancel(BaselineWork *w, const char *reason, Error *e) {
        int r = store_release_changes(w->store, w->id, e);

        return r < 0 ? r : baseline_set(w, BASELINE_CANCELLED, reason, e);
}

static bool is_noted(const ProbeNames *names, size_t n, const ProbeName *p) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names->items[i].unit, p->unit) == 0 && strcmp(names->items[i].name, p->name) == 0)
                        return true;
        return false;
}

/* A probe that does not pass before anything is restarted says nothing afterwards. *text: about them, or "".
 */
static int note_failing(BaselineWork *w, const char *const *units, size_t n, const char **text, Error *e) {
        ProbeNames found = { 0 };
        int r = 0;

        *text = "";
        for (size_t i = 0; i < n; i++)
                w->b->ops->failing(w->b->ops->data, units[i], &found);
        for (size_t i = 0; r == 0 && i < found.n; i++) {
                const ProbeName *p = &found.items[i];

                if (is_noted(&found, i, p))
                        continue;
                *text = arena_printf(w->arena, "%s%s'%s' of %s", *text, **text ? ", " : "", p->name, p->unit);
                r = store_put_step(w->store,
                                   &(StoreStep){ .baseline = w->id,
                                                 .phase = PHASE_PROBE,
                                                 .position = (unsigned)i,
                                                 .unit = p->unit,
                                                 .before = p->name },
                                   e);
        }
        if (**text)
                *text = arena_printf(w->arena, "probes that fail already, and are not judged by: %s", *text);
        vec_free(&found);
        return r;
}

typedef struct Brings {
        BaselineWork *w;
        const char *const *units;
        size_t n;
        VEC(int64_t) changes;
} Brings;

/* The machine's restart brings everything into force. */
static void bring_restart(void *data, const StoreRestart *r) {
        const Brings *b = data;

        for (size_t i = 0; i < b->n; i++)
                if (strcmp(b->units[i], r->subject) == 0 || strcmp(b->units[i], "machine") == 0) {
                        about_add(&b->w->about, b->w->arena, r, false);
                        return;
                }
}

static void bring_change(void *data, const StoreChange *c) {
        Brings *b = data;

        if (c->baseline == b->w->id)
                vec_push(&b->changes, c->id);
}

static void bring_package(void *data, const StorePackage *p) {
        const Brings *b = data;

        for (size_t i = 0; i < b->changes.n; i++)
                if (b->changes.items[i] == p->change)
                        about_add_field(&b->w->about, b->w->arena, "STAUNCH_PACKAGE", p->name);
}

/* What its changes are of besides; all is kept, since what waits for a restart does not after it. */
static int keep_about(Brings *b, Error *e) {
        BaselineWork *w = b->w;
        int r = store_each_change(w->store, bring_change, b, e);

        if (r == 0 && b->changes.n)
                r = store_each_package(w->store, 0, bring_package, b, e);
        vec_free(&b->changes);
        for (size_t i = 0; r == 0 && i < w->about.n; i++)
                r = store_put_step(w->store,
                                   &(StoreStep){ .baseline = w->id,
                                                 .phase = PHASE_ABOUT,
                                                 .position = (unsigned)i,
                                                 .unit = w->about.fields[i].key,
                                                 .before = w->about.fields[i].value },
                                   e);
        return r;
}

int baseline_begin(const Baseline *b, const char *const *units, size_t n, int64_t *id, Error *e) {
        const char *unjudged = "", *detail;
        char held[256];
        Error why = { 0 };
        BaselineWork w;
        Brings brings = { &w, units, n, { 0 } };
        int r = baseline_work_begin(&w, b, 0, e);

        if (r < 0)
                return r;
        store_each_restart(w.store, bring_restart, &brings, NULL);
        r = changes_held(w.store, b->root, units, n, held, sizeof(held), e);
        if (r > 0) {
                error_set(e, -EALREADY, "%s was rolled back before, and is held ('staunch release')", held);
                baseline_tell(&w, EVENT_BASELINE_HELD, "is not begun", e ? e->text : held);
                r = BASELINE_IS_HELD;
        }
        if (r == 0)
                r = store_add_baseline(w.store, wall_usec(), units, n, &w.id, e);
        if (r == 0)
                baseline_fault("planned");
        for (size_t i = 0; r == 0 && i < n; i++) {
                char before[BASELINE_WORD] = "";

                r = b->ops->invocation(b->ops->data, units[i], before, e);
                if (r == 0)
                        r = store_put_step(w.store,
                                           &(StoreStep){ .baseline = w.id,
                                                         .phase = "forward",
                                                         .position = (unsigned)i,
                                                         .unit = units[i],
                                                         .before = before },
                                           e);
        }
        if (r == 0)
                r = baseline_set(&w, BASELINE_SNAPSHOT, "", e);
        if (r == 0)
                r = changes_take(w.store, b->root, w.id, units, n, e);
        if (r == 0)
                r = keep_about(&brings, e);
        if (r == 0) {
                baseline_fault("snapshot");
                if (baseline_check_way_back(&w, &why) < 0 && b->policy->baseline.require_snapshot) {
                        r = cancel(&w, why.text, e);
                        if (r == 0) {
                                baseline_tell(&w, EVENT_SNAPSHOT_FAILED, "is not begun: there is no way back",
                                              why.text);
                                if (e)
                                        *e = why;
                                r = BASELINE_REFUSED;
                        }
                }
        }
        if (r == 0)
                r = note_failing(&w, units, n, &unjudged, e);
        if (r == 0)
                r = baseline_set(&w, BASELINE_RESTARTING, why.text, e);
        if (r == 0) {
                detail = arena_printf(w.arena, "%s%s%s", why.text, why.code && *unjudged ? "; " : "",
                                      unjudged);
                baseline_tell(&w, EVENT_BASELINE_STARTED, "begins", detail);
                baseline_fault("begun");
                *id = w.id;
        } else if (r < 0 && w.id) {
                cancel(&w, e ? e->text : "", NULL);
        }
        baseline_work_end(&w);
        return r;
}

int baseline_unjudged(const char *state, int64_t id, Arena *arena, ProbeNames *out, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        Unjudged u = { arena, out };
        int r = store_open(state, &store, e);

        return r < 0 ? r : store_each_step(store, id, note_unjudged, &u, e);
}

int baseline_about(const char *state, int64_t id, Arena *arena, About *out, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        AboutOf of = { arena, out };
        int r = store_open(state, &store, e);

        return r < 0 ? r : store_each_step(store, id, add_about, &of, e);
}

int baseline_restarted(BaselineWork *w, const BaselineUnit *u, const char *before, bool *out, Error *e) {
        char now[BASELINE_WORD] = "";
        int r = w->b->ops->invocation(w->b->ops->data, u->name, now, e);

        *out = r == 0 && strcmp(now, before) != 0;
        return r;
}

/* Is it one of those whose health matters? */
static int counts(BaselineWork *w, const BaselineUnit *u, bool only_restarted, bool *out, Error *e) {
        *out = true;
        return only_restarted ? baseline_restarted(w, u, u->forward.before, out, e) : 0;
}

/* All are well: do they answer, too? As baseline_watch(). */
static int ask(BaselineWork *w, bool only_restarted, Error *why, Error *e) {
        const BaselineOps *ops = w->b->ops;

        for (size_t i = 0; i < w->units.n; i++) {
                const BaselineUnit *u = &w->units.items[i];
                Error here = { 0 };
                bool anew;
                int r = counts(w, u, only_restarted, &anew, e);

                if (r < 0)
                        return r;
                if (anew && ops->answers(ops->data, u->name, &w->unjudged, &here) != 0) {
                        error_set(why, here.code, "%s: %s", u->name, here.text);
                        return 1;
                }
        }
        return 0;
}

int baseline_watch(BaselineWork *w, bool only_restarted, Error *why, Error *e) {
        const BaselineOps *ops = w->b->ops;
        uint64_t left = w->b->policy->baseline.settle_usec;

        for (;;) {
                uint64_t pause = MIN(left, (uint64_t)LOOK_USEC);
                int worst = 0;

                for (size_t i = 0; i < w->units.n; i++) {
                        const BaselineUnit *u = &w->units.items[i];
                        Error here = { 0 };
                        bool anew;
                        int h, r = counts(w, u, only_restarted, &anew, e);

                        if (r < 0)
                                return r;
                        h = anew ? ops->healthy(ops->data, u->name, &here) : 0;
                        if (h < 0) /* that it can't be asked is no sign of health */
                                h = 1;
                        if (h > worst) {
                                worst = h;
                                *why = here;
                        }
                }
                if (worst > 1 || (worst && !left))
                        return 1;
                if (!left)
                        return ask(w, only_restarted, why, e);
                if (ops->wait(ops->data, pause) != 0)
                        return error_set(e, -EINTR,
                                         "baseline %" PRId64 ": interrupted; it is gone on with later",
                                         w->id);
                left -= pause;
        }
}

/* It is not well: back, where that can be done and is wanted. */
static int fail(BaselineWork *w, const char *text, Error *e) {
        const BaselineOps *ops = w->b->ops;
        const Baseline *b = w->b;
        char reason[sizeof(((Error *)0)->text)];
        Error why = { 0 };
        int r;

        snprintf(reason, sizeof(reason), "%s", text);
        baseline_tell(w, EVENT_BASELINE_FAILED, "is not well", reason);
        if (!b->policy->baseline.automatic_rollback || baseline_check_way_back(w, &why) < 0) {
                if (why.code)
                        snprintf(reason + strlen(reason), sizeof(reason) - strlen(reason),
                                 "; there is no way back: %s", why.text);
                r = baseline_set(w, BASELINE_FAILED, reason, e);
                if (r == 0)
                        error_set(e, -EIO, "baseline %" PRId64 " is not well, and is not rolled back: %s",
                                  w->id, reason);
                return r < 0 ? r : BASELINE_WENT_WRONG;
        }
        if (!ops->apart)
                return baseline_go_back(w, reason, e);
        r = baseline_set(w, BASELINE_ROLLING_BACK, reason, e);
        return r < 0 ? r : baseline_go_back_apart(w, e);
}

static int settle(BaselineWork *w, Error *e) {
        bool some = false;
        Error why = { 0 };
        int r = 0;

        for (size_t i = 0; r == 0 && !some && i < w->units.n; i++)
                r = baseline_restarted(w, &w->units.items[i], w->units.items[i].forward.before, &some, e);
        if (r < 0)
                return r;
        if (!some) {
                baseline_tell(w, EVENT_BASELINE_CANCELLED, "is cancelled: nothing was restarted", "");
                return cancel(w, "nothing was restarted", e);
        }
        r = baseline_set(w, BASELINE_SETTLING, w->reason, e);
        if (r < 0)
                return r;
        baseline_fault("settling");
        r = baseline_watch(w, true, &why, e);
        baseline_fault("settled");
        if (r < 0) /* it stays as it is */
                return r;
        if (r > 0)
                return fail(w, why.text, e);
        baseline_tell(w, EVENT_BASELINE_DONE, "is done", "");
        return baseline_set(w, BASELINE_DONE, w->reason, e);
}

int baseline_settle(const Baseline *b, int64_t id, const Error *failed, Error *e) {
        BaselineWork w;
        int r = baseline_work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        if (w.state != BASELINE_RESTARTING)
                r = error_set(e, -EINVAL, "baseline %" PRId64 " is %s", id, states[w.state]);
        else
                r = failed && failed->code ? fail(&w, failed->text, e) : settle(&w, e);
        baseline_work_end(&w);
        return r;
}

int baseline_resume(const Baseline *b, Error *e) {
        BaselineWork w;
        int r = baseline_work_begin(&w, b, 0, e);

        if (r < 0)
                return r;
        r = store_unfinished(w.store, &w.id, e);
        if (r == 0 && w.id) {
                r = work_load(&w, e);
                if (r == 0)
                        switch (w.state) {
                        case BASELINE_PLANNED:
                        case BASELINE_SNAPSHOT:
                                r = cancel(&w, "nothing had been restarted when it was cut off", e);
                                break;
                        case BASELINE_RESTARTING:
                        case BASELINE_SETTLING:
                                r = settle(&w, e);
                                break;
                        case BASELINE_ROLLING_BACK:
                        case BASELINE_REBOOTING:
                                r = baseline_go_on_back(&w, e);
                                break;
                        default:
                                r = error_set(e, -EINVAL,
                                              "baseline %" PRId64 " is in a state that is not known", w.id);
                        }
        }
        baseline_work_end(&w);
        return r;
}

int baseline_rollback(const Baseline *b, int64_t id, const char *reason, Error *e) {
        BaselineWork w;
        int r = baseline_work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        switch (w.state) {
        case BASELINE_RESTARTING:
        case BASELINE_SETTLING:
        case BASELINE_DONE:
        case BASELINE_FAILED:
                r = baseline_check_way_back(&w, e);
                if (r == 0)
                        r = baseline_go_back(&w, reason, e);
                break;
        case BASELINE_ROLLING_BACK:
        case BASELINE_REBOOTING:
        case BASELINE_ROLLBACK_FAILED:
                r = baseline_go_back(&w, *w.reason && w.state != BASELINE_ROLLBACK_FAILED ? w.reason : reason,
                                     e);
                break;
        default:
                r = error_set(e, -EINVAL, "baseline %" PRId64 " is %s: there is nothing to go back from", id,
                              states[w.state]);
        }
        baseline_work_end(&w);
        return r;
}

int baseline_release(const Baseline *b, int64_t id, unsigned *n, Error *e) {
        BaselineWork w;
        int r = baseline_work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        r = store_unhold(w.store, id, n, e);
        if (r == 0)
                r = baseline_write_hold_file(&w, e);
        baseline_work_end(&w);
        return r;
}
