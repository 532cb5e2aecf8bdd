/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/baseline.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/baseline-changes.h"
#include "report/event.h"
#include "snapshot/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define PHASE_PROBE "probe" /* of a step that names a probe (`before`) of a unit */
enum { LOOK_USEC = 2000000, MAX_BOOTS = 2 };

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

static void fault(const char *name) {
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

typedef struct Unit {
        const char *name;
        StoreStep forward, back; /* back.unit NULL: not begun */
} Unit;

/* One baseline at work. */
typedef struct Work {
        const Baseline *b;
        Store *store;
        int lock;
        Arena *arena;
        int64_t id;
        BaselineState state;
        const char *reason;
        VEC(Unit) units;
        ProbeNames unjudged; /* failed already when it began */
        unsigned boots;      /* since a reboot was to end the rollback: boots in which it was prepared */
        char boot[BASELINE_WORD], first_boot[BASELINE_WORD]; /* the last of them, and the first */
        bool prepared;                                       /* in the last of them, to its end */
} Work;

static void note_baseline(void *data, const StoreBaseline *a) {
        Work *w = data;

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

static void note_step(void *data, const StoreStep *p) {
        Work *w = data;
        Unjudged unjudged = { w->arena, &w->unjudged };
        StoreStep mine = *p;

        note_unjudged(&unjudged, p);
        if (strcmp(p->phase, PHASE_PROBE) == 0)
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
                vec_push(&w->units, (Unit){ .name = mine.unit, .forward = mine });
        for (size_t i = 0; mine.phase[0] == 'b' && i < w->units.n; i++)
                if (w->units.items[i].forward.position == mine.position)
                        w->units.items[i].back = mine;
}

static void work_end(Work *w) {
        vec_free(&w->units);
        vec_free(&w->unjudged);
        w->store = store_close(w->store);
        closep(&w->lock);
        w->lock = -1;
        w->arena = arena_free(w->arena);
}

/* Reads what is written down of baseline `w->id`. */
static int work_load(Work *w, Error *e) {
        int r;

        w->units.n = w->unjudged.n = w->boots = 0;
        w->prepared = false;
        w->state = BASELINE_STATES;
        r = store_each_baseline(w->store, note_baseline, w, e);
        if (r == 0 && w->state == BASELINE_STATES)
                r = error_set(e, -ENOENT, "there is no baseline %" PRId64, w->id);
        return r < 0 ? r : store_each_step(w->store, w->id, note_step, w, e);
}

/* The state, with nobody else at work on a baseline. */
static int work_begin(Work *w, const Baseline *b, int64_t id, Error *e) {
        char path[PATH_MAX];
        int r;

        *w = (Work){ .b = b, .id = id, .lock = -1, .arena = arena_new() };
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
                work_end(w);
        return r < 0 ? r : 0;
}

static void tell(const Work *w, EventKind kind, const char *what, const char *detail) {
        char id[24], message[700];

        snprintf(id, sizeof(id), "%" PRId64, w->id);
        snprintf(message, sizeof(message), "Baseline %s %s%s%s", id, what, *detail ? ": " : "", detail);
        event_emit(&(Event){ .kind = kind,
                             .message = message,
                             .fields = (EventField[]){ { "STAUNCH_BASELINE", id },
                                                       { "STAUNCH_DETAIL", detail } },
                             .n = 2 },
                   w->b->events, NULL);
}

static int set(Work *w, BaselineState s, const char *reason, Error *e) {
        int r = store_set_baseline(w->store, w->id, states[s], reason, wall_usec(), e);

        if (r == 0) {
                w->state = s;
                w->reason = arena_strdup(w->arena, reason);
        }
        return r;
}

/* Nothing was restarted: what it would have brought into force waits for another one. */
static int cancel(Work *w, const char *reason, Error *e) {
        int r = store_release_changes(w->store, w->id, e);

        return r < 0 ? r : set(w, BASELINE_CANCELLED, reason, e);
}

static SnapshotContext snapshots(const Baseline *b) {
        return (SnapshotContext){ .policy = &b->policy->baseline.snapshot,
                                  .root = b->root,
                                  .state = b->state };
}

/* Is there a way back, and is all of it there? */
static int check_way_back(Work *w, Error *e) {
        SnapshotContext c = snapshots(w->b);
        FoundSnapshot found;
        Restore plan;
        int r;

        if (!snapshot_wants_packages(c.policy))
                return changes_snapshot(w->store, w->id, snapshot_kind_text(c.policy->kind), &found, e);
        r = restore_plan(&c, w->store, w->id, 0, &plan, e);
        if (r == 0)
                restore_free(&plan);
        return r;
}

static bool is_noted(const ProbeNames *names, size_t n, const ProbeName *p) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names->items[i].unit, p->unit) == 0 && strcmp(names->items[i].name, p->name) == 0)
                        return true;
        return false;
}

/* A probe that does not pass before anything is restarted says nothing afterwards. *text: about them, or "".
 */
static int note_failing(Work *w, const char *const *units, size_t n, const char **text, Error *e) {
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

int baseline_begin(const Baseline *b, const char *const *units, size_t n, int64_t *id, Error *e) {
        const char *unjudged = "", *detail;
        char held[256];
        Error why = { 0 };
        Work w;
        int r = work_begin(&w, b, 0, e);

        if (r < 0)
                return r;
        r = changes_held(w.store, b->root, units, n, held, sizeof(held), e);
        if (r > 0) {
                error_set(e, -EALREADY, "%s was rolled back before, and is held ('staunch release')", held);
                tell(&w, EVENT_BASELINE_HELD, "is not begun", e ? e->text : held);
                r = BASELINE_IS_HELD;
        }
        if (r == 0)
                r = store_add_baseline(w.store, wall_usec(), units, n, &w.id, e);
        if (r == 0)
                fault("planned");
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
                r = set(&w, BASELINE_SNAPSHOT, "", e);
        if (r == 0)
                r = changes_take(w.store, b->root, w.id, units, n, e);
        if (r == 0) {
                fault("snapshot");
                if (check_way_back(&w, &why) < 0 && b->policy->baseline.require_snapshot) {
                        r = cancel(&w, why.text, e);
                        if (r == 0) {
                                tell(&w, EVENT_SNAPSHOT_FAILED, "is not begun: there is no way back",
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
                r = set(&w, BASELINE_RESTARTING, why.text, e);
        if (r == 0) {
                detail = arena_printf(w.arena, "%s%s%s", why.text, why.code && *unjudged ? "; " : "",
                                      unjudged);
                tell(&w, EVENT_BASELINE_STARTED, "begins", detail);
                fault("begun");
                *id = w.id;
        } else if (r < 0 && w.id) {
                cancel(&w, e ? e->text : "", NULL);
        }
        work_end(&w);
        return r;
}

int baseline_unjudged(const char *state, int64_t id, Arena *arena, ProbeNames *out, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        Unjudged u = { arena, out };
        int r = store_open(state, &store, e);

        return r < 0 ? r : store_each_step(store, id, note_unjudged, &u, e);
}

/* Was the unit started anew since it was written down what ran? */
static int restarted(Work *w, const Unit *u, const char *before, bool *out, Error *e) {
        char now[BASELINE_WORD] = "";
        int r = w->b->ops->invocation(w->b->ops->data, u->name, now, e);

        *out = r == 0 && strcmp(now, before) != 0;
        return r;
}

/* Is it one of those whose health matters? */
static int counts(Work *w, const Unit *u, bool only_restarted, bool *out, Error *e) {
        *out = true;
        return only_restarted ? restarted(w, u, u->forward.before, out, e) : 0;
}

/* All are well: do they answer, too? As watch(). */
static int ask(Work *w, bool only_restarted, Error *why, Error *e) {
        const BaselineOps *ops = w->b->ops;

        for (size_t i = 0; i < w->units.n; i++) {
                const Unit *u = &w->units.items[i];
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

/* Looks after the health of what was restarted for as long as the policy says. 0: all well; 1: not, and why.
 */
static int watch(Work *w, bool only_restarted, Error *why, Error *e) {
        const BaselineOps *ops = w->b->ops;
        uint64_t left = w->b->policy->baseline.settle_usec;

        for (;;) {
                uint64_t pause = MIN(left, (uint64_t)LOOK_USEC);
                int worst = 0;

                for (size_t i = 0; i < w->units.n; i++) {
                        const Unit *u = &w->units.items[i];
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

static int go_back(Work *w, const char *reason, Error *e);

/* The rollback, by a process that may do more: it needs the lock, and what is written down. */
static int ask_apart(Work *w, Error *e) {
        const Baseline *b = w->b;
        int64_t id = w->id;
        int r;

        work_end(w);
        r = b->ops->apart(b->ops->data, id, e);
        if (r == 0)
                r = work_begin(w, b, id, e);
        /* That process prepares the reboot, and leaves it to the one whose policy says whether it may be. */
        if (r == 0 && w->state == BASELINE_REBOOTING && b->ops->reboot)
                r = b->ops->reboot(b->ops->data, e);
        if (r < 0)
                return r;
        error_set(e, -ECANCELED, "baseline %" PRId64 " is %s: %s", id, states[w->state], w->reason);
        return w->state == BASELINE_ROLLED_BACK                                      ? BASELINE_WENT_BACK
               : w->state == BASELINE_REBOOTING || w->state == BASELINE_ROLLING_BACK ? BASELINE_REBOOTS
                                                                                     : BASELINE_WENT_WRONG;
}

/* It is not well: back, where that can be done and is wanted. */
static int fail(Work *w, const char *text, Error *e) {
        const BaselineOps *ops = w->b->ops;
        const Baseline *b = w->b;
        char reason[sizeof(((Error *)0)->text)];
        Error why = { 0 };
        int r;

        snprintf(reason, sizeof(reason), "%s", text);
        tell(w, EVENT_BASELINE_FAILED, "is not well", reason);
        if (!b->policy->baseline.automatic_rollback || check_way_back(w, &why) < 0) {
                if (why.code)
                        snprintf(reason + strlen(reason), sizeof(reason) - strlen(reason),
                                 "; there is no way back: %s", why.text);
                r = set(w, BASELINE_FAILED, reason, e);
                if (r == 0)
                        error_set(e, -EIO, "baseline %" PRId64 " is not well, and is not rolled back: %s",
                                  w->id, reason);
                return r < 0 ? r : BASELINE_WENT_WRONG;
        }
        if (!ops->apart)
                return go_back(w, reason, e);
        r = set(w, BASELINE_ROLLING_BACK, reason, e);
        return r < 0 ? r : ask_apart(w, e);
}

static int settle(Work *w, Error *e) {
        bool some = false;
        Error why = { 0 };
        int r = 0;

        for (size_t i = 0; r == 0 && !some && i < w->units.n; i++)
                r = restarted(w, &w->units.items[i], w->units.items[i].forward.before, &some, e);
        if (r < 0)
                return r;
        if (!some) {
                tell(w, EVENT_BASELINE_CANCELLED, "is cancelled: nothing was restarted", "");
                return cancel(w, "nothing was restarted", e);
        }
        r = set(w, BASELINE_SETTLING, w->reason, e);
        if (r < 0)
                return r;
        fault("settling");
        r = watch(w, true, &why, e);
        fault("settled");
        if (r < 0) /* it stays as it is */
                return r;
        if (r > 0)
                return fail(w, why.text, e);
        tell(w, EVENT_BASELINE_DONE, "is done", "");
        return set(w, BASELINE_DONE, w->reason, e);
}

int baseline_settle(const Baseline *b, int64_t id, const Error *failed, Error *e) {
        Work w;
        int r = work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        if (w.state != BASELINE_RESTARTING)
                r = error_set(e, -EINVAL, "baseline %" PRId64 " is %s", id, states[w.state]);
        else
                r = failed && failed->code ? fail(&w, failed->text, e) : settle(&w, e);
        work_end(&w);
        return r;
}

static void write_held(void *data, const StoreHeld *h) {
        char reason[200];

        snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(h->reason, "\n"), h->reason);
        fprintf(data,
                "Explanation: baseline %" PRId64 " was rolled back: %s\n"
                "Package: %s\nPin: version %s\nPin-Priority: -1\n\n",
                h->baseline, reason, h->name, h->version);
}

/* Keeps apt from just these versions. */
static int write_hold_file(Work *w, Error *e) {
        const char *file = w->b->hold_file;
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        int r = f ? store_each_held(w->store, write_held, f, e) : -ENOMEM;

        if ((!f || fclose(f) != 0) && r == 0)
                r = -ENOMEM;
        if (r == 0 && n)
                r = file_write_atomic(file, text, n, e);
        else if (r == 0 && unlink(file) < 0 && errno != ENOENT)
                r = error_errno(e, -errno, "%s", file);
        free(text);
        return r;
}

/* Each unit that was restarted for the baseline once more, now with the old version; none of them twice. */
static int restart_back(Work *w, Error *e) {
        const BaselineOps *ops = w->b->ops;

        for (size_t i = 0; i < w->units.n; i++) {
                Unit *u = &w->units.items[i];
                char before[BASELINE_WORD] = "";
                bool anew = false;
                int r;

                if (u->back.unit && u->back.done)
                        continue;
                r = restarted(w, u, u->back.unit ? u->back.before : u->forward.before, &anew, e);
                if (r < 0)
                        return r;
                if (!u->back.unit && !anew)
                        continue; /* it never ran the new version */
                if (!u->back.unit) {
                        r = ops->invocation(ops->data, u->name, before, e);
                        u->back = (StoreStep){ .baseline = w->id,
                                               .phase = "back",
                                               .position = u->forward.position,
                                               .unit = u->name,
                                               .before = arena_strdup(w->arena, before) };
                        anew = false;
                        if (r == 0)
                                r = store_put_step(w->store, &u->back, e);
                        if (r < 0)
                                return r;
                        fault("restart-noted");
                }
                if (!anew) {
                        r = ops->restart(ops->data, u->name, e);
                        if (r)
                                return r;
                }
                fault("restarted");
                u->back.done = true;
                r = store_put_step(w->store, &u->back, e);
                if (r < 0)
                        return r;
                fault("restart-written");
        }
        return 0;
}

/* Writes down that the rollback is prepared in this boot; `done`: that nothing but the reboot is left. */
static int note_boot(Work *w, const char *now, bool done, Error *e) {
        bool again = w->boots && strcmp(w->boot, now) == 0;

        return store_put_step(w->store,
                              &(StoreStep){ .baseline = w->id,
                                            .phase = "boot",
                                            .position = again ? w->boots - 1 : w->boots,
                                            .unit = "",
                                            .before = now,
                                            .done = done },
                              e);
}

/* Puts the root file system back: 0 when it is the old one, BASELINE_REBOOTS when it will be. */
static int put_root_back(Work *w, const char *reason, Error *e) {
        SnapshotContext c = snapshots(w->b);
        const SnapshotProvider *p;
        char name[64], now[BASELINE_WORD] = "";
        FoundSnapshot found;
        int r = changes_snapshot(w->store, w->id, snapshot_kind_text(c.policy->kind), &found, e);

        if (r == 0)
                r = w->b->ops->boot(w->b->ops->data, now, e);
        if (r < 0)
                return r;
        if (strcmp(w->boot, now) != 0 && w->boots >= MAX_BOOTS)
                return error_set(e, -EIO,
                                 "the machine was rebooted %u times, and the old root did not come back",
                                 w->boots);
        if (strcmp(w->boot, now) != 0) {
                /* Before it is done: the state that comes back has to know. */
                r = note_boot(w, now, false, e);
                if (r == 0)
                        r = set(w, BASELINE_REBOOTING, reason, e);
                if (r < 0)
                        return r;
        }
        fault("boot-noted");
        p = snapshot_provider(found.provider);
        snprintf(name, sizeof(name), "staunch-before-%" PRId64, w->id);
        r = p->rollback(&c, &found.made, name, e);
        fault("root-put-back");
        if (r == SNAPSHOT_REBOOT)
                return BASELINE_REBOOTS;
        /* With a reboot between, all of it was started with the old root. */
        for (size_t i = 0; r == 0 && w->boots && strcmp(w->first_boot, now) != 0 && i < w->units.n; i++)
                w->units.items[i].back = (StoreStep){ .unit = w->units.items[i].name, .done = true };
        return r;
}

static int put_back(Work *w, const char *reason, Error *e) {
        SnapshotContext c = snapshots(w->b);
        Restore plan;
        int r;

        if (!snapshot_wants_packages(c.policy))
                return put_root_back(w, reason, e);
        r = restore_plan(&c, w->store, w->id, 0, &plan, e);
        if (r < 0)
                return r;
        r = restore_run(&c, &plan, e);
        restore_free(&plan);
        return r;
}

/* The old versions are there: do they run, and well? BASELINE_WENT_BACK, BASELINE_REBOOTS or an error. */
static int finish_back(Work *w, const char *reason, Error *e) {
        Error why = { 0 };
        int r = restart_back(w, e);

        if (r)
                return r;
        r = watch(w, false, &why, e);
        if (r > 0)
                r = error_set(e, -EIO, "the old versions are back, and not well either: %s", why.text);
        if (r < 0)
                return r;
        fault("back-well");
        tell(w, EVENT_ROLLBACK_DONE, "was rolled back", reason);
        r = set(w, BASELINE_ROLLED_BACK, reason, e);
        if (r == 0)
                error_set(e, -ECANCELED, "baseline %" PRId64 " was rolled back: %s", w->id, reason);
        return r < 0 ? r : BASELINE_WENT_BACK;
}

static int back_failed(Work *w, const char *reason, const Error *why, Error *e) {
        char text[sizeof(why->text)];
        int r;

        snprintf(text, sizeof(text), "%s; the rollback failed: %s", reason, why->text);
        tell(w, EVENT_ROLLBACK_FAILED, "could not be rolled back", why->text);
        r = set(w, BASELINE_ROLLBACK_FAILED, text, e);
        error_set(e, why->code, "%s", text);
        return r < 0 ? r : BASELINE_WENT_WRONG;
}

/* Asks for the reboot that ends the rollback, where the policy lets the machine be restarted. */
static int ask_reboot(Work *w, Error *e) {
        const BaselineOps *ops = w->b->ops;
        int r = ops->reboot ? ops->reboot(ops->data, e) : 0;

        if (r < 0)
                return r;
        error_set(e, -EINPROGRESS, "baseline %" PRId64 " is rolled back with the next reboot", w->id);
        return BASELINE_REBOOTS;
}

/* All is prepared, and a reboot brings it into force. */
static int await_reboot(Work *w, const char *reason, Error *e) {
        char now[BASELINE_WORD] = "";
        int r = w->b->ops->boot(w->b->ops->data, now, e);

        if (r == 0)
                r = note_boot(w, now, true, e);
        if (r == 0)
                r = set(w, BASELINE_REBOOTING, reason, e);
        fault("prepared");
        return r < 0 ? r : ask_reboot(w, e);
}

static int go_back(Work *w, const char *reason, Error *e) {
        char text[sizeof(e->text)];
        Error why = { 0 };
        int r = 0;

        snprintf(text, sizeof(text), "%s", reason);
        if (w->state != BASELINE_REBOOTING) {
                r = set(w, BASELINE_ROLLING_BACK, text, e);
                if (r < 0)
                        return r;
                tell(w, EVENT_ROLLBACK_STARTED, "is rolled back", text);
                fault("rollback-begun");
                /* First it is made sure that nothing brings it in again. */
                r = store_hold(w->store, w->id, text, wall_usec(), e);
                if (r < 0)
                        return r;
        }
        /* After the reboot once more: the root that came back has no such file. */
        r = write_hold_file(w, e);
        if (r < 0)
                return r;
        fault("held");
        r = put_back(w, text, &why);
        fault("put-back");
        if (r == 0)
                r = finish_back(w, text, &why);
        if (r == BASELINE_REBOOTS)
                r = await_reboot(w, text, &why);
        if (r < 0)
                return back_failed(w, text, &why, e);
        if (e)
                *e = why;
        return r;
}

/* Goes on with a rollback that was cut off, or that a reboot was to end. */
static int go_on_back(Work *w, Error *e) {
        const BaselineOps *ops = w->b->ops;
        char now[BASELINE_WORD] = "";
        int r = w->prepared ? ops->boot(ops->data, now, e) : 0;

        if (r < 0)
                return r;
        if (w->prepared && strcmp(w->boot, now) == 0)
                return ask_reboot(w, e);
        return ops->apart ? ask_apart(w, e) : go_back(w, w->reason, e);
}

int baseline_resume(const Baseline *b, Error *e) {
        Work w;
        int r = work_begin(&w, b, 0, e);

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
                                r = go_on_back(&w, e);
                                break;
                        default:
                                r = error_set(e, -EINVAL,
                                              "baseline %" PRId64 " is in a state that is not known", w.id);
                        }
        }
        work_end(&w);
        return r;
}

int baseline_rollback(const Baseline *b, int64_t id, const char *reason, Error *e) {
        Work w;
        int r = work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        switch (w.state) {
        case BASELINE_RESTARTING:
        case BASELINE_SETTLING:
        case BASELINE_DONE:
        case BASELINE_FAILED:
                r = check_way_back(&w, e);
                if (r == 0)
                        r = go_back(&w, reason, e);
                break;
        case BASELINE_ROLLING_BACK:
        case BASELINE_REBOOTING:
        case BASELINE_ROLLBACK_FAILED:
                r = go_back(&w, *w.reason && w.state != BASELINE_ROLLBACK_FAILED ? w.reason : reason, e);
                break;
        default:
                r = error_set(e, -EINVAL, "baseline %" PRId64 " is %s: there is nothing to go back from", id,
                              states[w.state]);
        }
        work_end(&w);
        return r;
}

int baseline_release(const Baseline *b, int64_t id, unsigned *n, Error *e) {
        Work w;
        int r = work_begin(&w, b, id, e);

        if (r < 0)
                return r;
        r = store_unhold(w.store, id, n, e);
        if (r == 0)
                r = write_hold_file(&w, e);
        work_end(&w);
        return r;
}
