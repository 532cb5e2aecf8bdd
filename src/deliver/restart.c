/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/drain.h"
#include "deliver/outdated.h"
#include "deliver/package.h"
#include "deliver/restart-parts.h"
#include "deliver/round.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
        KEEP_DAYS = 400,
        KEY = 512,
        MESSAGE = 768,
        PACKAGES_USEC = 200000, /* between two looks whether packages are being changed */
        MAX_IMAGES = 5
};

void restart_say(const Turn *t, EventKind kind, const char *subject, const About *about, const char *reason,
                 const char *detail, const char *format, ...) {
        bool unit = subject && strncmp(subject, "process ", 8) != 0;
        const EventField fields[] = {
                { "STAUNCH_UNIT", subject },
                { "UNIT", unit ? subject : NULL },
                { "STAUNCH_WINDOW", t->window ? t->window->name : NULL },
                { "STAUNCH_REASON", reason },
                { "STAUNCH_DETAIL", detail },
        };
        char message[MESSAGE];
        Event event = { .kind = kind, .message = message, .fields = fields, .n = ELEMENTSOF(fields) };
        Error e = { 0 };
        va_list ap;

        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        if (about_emit(about, &event, t->o->events, &e) < 0)
                fprintf(stderr, "<4>staunchd: %s (event: %s)\n", e.text, message);
}

typedef struct AboutOf {
        const Turn *t;
        const char *subject;
        About about;
} AboutOf;

static void add_about(void *data, const StoreRestart *r) {
        AboutOf *of = data;

        if (!of->subject || strcmp(of->subject, r->subject) == 0)
                about_add(&of->about, of->t->arena, r, of->subject != NULL);
}

About restart_about(const Turn *t, const char *subject) {
        AboutOf of = { .t = t, .subject = subject };

        store_each_restart(t->store, add_about, &of, NULL);
        return of.about;
}

static void window_key(const Turn *t, const char *what, char key[KEY]) {
        snprintf(key, KEY, "%s@%lld %s", t->window->name, (long long)t->span.start, what);
}

bool restart_is_noted(const Turn *t, const char *what) {
        char key[KEY];

        window_key(t, what, key);
        return store_mark_time(t->store, MARK_WINDOW, key, NULL, NULL) == 1;
}

int restart_note(const Turn *t, const char *what, Error *e) {
        char key[KEY];

        window_key(t, what, key);
        return store_put_mark(t->store, &(StoreMark){ MARK_WINDOW, key, wall_usec(), what }, e);
}

bool restart_has_failed(const Turn *t) {
        return t->o->policy->restart.stop_at_failure && restart_is_noted(t, "failed");
}

/* Pids of the unit's processes. */
static pid_t *pids_of(const char *unit, size_t *n) {
        VEC(pid_t) pids = { 0 };
        ProcessList all;

        *n = 0;
        if (process_list(&all, NULL) < 0)
                return NULL;
        for (size_t i = 0; i < all.n; i++)
                if (strcmp(all.items[i].unit, unit) == 0)
                        vec_push(&pids, all.items[i].pid);
        process_list_free(&all);
        *n = pids.n;
        return pids.items;
}

static uint64_t started_usec(const Process *p) {
        return wall_usec() - clock_usec(CLOCK_BOOTTIME) +
               p->start_time * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* How many processes of the unit run an outdated image of the step still, having started after this time;
 * when it can't be told, one. */
static size_t count_outdated(const Turn *t, const RestartStep *s, uint64_t after_usec) {
        size_t n, count = 0;
        _cleanup_(freep) pid_t *pids = pids_of(s->subject, &n);
        OutdatedOptions options = {
                .pids = pids, .n_pids = n, .pass_over = true, .root = t->o->root, .patches = true
        };
        Outdated found;

        if (!n)
                return 0;
        if (outdated_find(&options, &found, NULL) < 0)
                return 1;
        for (size_t i = 0; i < found.n_processes; i++) {
                bool has = false;

                for (size_t k = 0; k < found.processes[i].n; k++)
                        for (size_t m = 0; m < s->n_images; m++)
                                has |= strcmp(found.processes[i].images[k].path, s->images[m]) == 0;
                count += has && started_usec(&found.processes[i].process) > after_usec;
        }
        outdated_free(&found);
        return count;
}

static const char *images_text(const Turn *t, const RestartStep *s) {
        const char *text = "";

        for (size_t i = 0; i < s->n_images && i < MAX_IMAGES; i++)
                text = arena_printf(t->arena, "%s%s%s", text, *text ? ", " : "",
                                    *s->images[i] ? s->images[i] : "its package");
        return s->n_images > MAX_IMAGES
                       ? arena_printf(t->arena, "%s and %zu more", text, s->n_images - MAX_IMAGES)
                       : text;
}

/* Its package asked for a restart, which was held: that is no matter of outdated images. */
static bool is_held(const RestartStep *s) {
        for (size_t i = 0; i < s->n_images; i++)
                if (!*s->images[i])
                        return true;
        return false;
}

/* The package's restart was made: processes that outlived it are no reason for another. */
static void drop_held(const Turn *t, const char *unit) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/held/%s", t->o->state, unit);
        if (unlink(path) < 0 && errno != ENOENT)
                fprintf(stderr, "<4>staunchd: %s: %s\n", path, strerror(errno));
        store_drop_restart(t->store, unit, "", NULL);
}

static void record(const Turn *t, const RestartStep *s, const char *outcome, const char *detail) {
        StoreAction a = { .time_usec = wall_usec(),
                          .unit = s->subject,
                          .image = s->n_images ? s->images[0] : "",
                          .action = "restart",
                          .outcome = outcome,
                          .reason = s->reason,
                          .detail = detail };
        Error e = { 0 };

        if (store_add_action(t->store, &a, &e) < 0 ||
            store_tried_restart(t->store, s->subject, a.time_usec, *detail ? detail : outcome, &e) < 0)
                fprintf(stderr, "<3>staunchd: %s\n", e.text);
}

void restart_failed(Turn *t, const RestartStep *s, const char *reason, const char *detail) {
        t->failed++;
        if (t->window)
                restart_note(t, "failed", NULL);
        record(t, s, "failed", detail);
        restart_say(t, EVENT_RESTART_FAILED, s->subject, &s->about, reason, detail,
                    "%s: the restart failed: %s", s->subject, detail);
}

void restart_done(Turn *t, const RestartStep *s, const char *how) {
        size_t old = count_outdated(t, s, 0);
        const char *detail = "";

        /* Some leave processes behind that go on (the sessions of sshd): they are not what was restarted. */
        if (old)
                detail = arena_printf(t->arena, "%zu of its processes outlived the restart with the old code",
                                      old);
        t->done++;
        record(t, s, "restarted", detail);
        if (is_held(s))
                drop_held(t, s->subject);
        if (!old)
                store_drop_restart(t->store, s->subject, NULL, NULL);
        restart_say(t, EVENT_RESTART_DONE, s->subject, &s->about, s->reason, *detail ? detail : NULL,
                    "%s was restarted %s for %s%s%s", s->subject, how, images_text(t, s), *detail ? "; " : "",
                    detail);
}

typedef struct Keep {
        const Turn *t;
        const char *unit;
} Keep;

static int keep_note(void *data, const char *note, Error *e) {
        const Keep *k = data;

        return store_put_mark(k->t->store, &(StoreMark){ MARK_DRAIN, k->unit, wall_usec(), note }, e);
}

int restart_drain(const Turn *t, const char *unit, char note[DRAIN_NOTE], Error *e) {
        return drain_begin(t->manager, t->o->policy, unit, note, keep_note, &(Keep){ t, unit }, e);
}

int restart_undrain(const Turn *t, const char *unit, const char *note, bool restarted, Error *e) {
        int r = *note ? drain_end(t->manager, t->o->policy, unit, note, restarted, e) : 0;

        if (*note)
                store_drop_mark(t->store, MARK_DRAIN, unit, NULL);
        return r;
}

/* Drains the unit and what is restarted with it, those that depend on it first. notes[0] is the unit's. */
static int drain_all(const Turn *t, const RestartStep *s, char (*notes)[DRAIN_NOTE], Error *e) {
        int r = 0;

        for (size_t i = s->n_with + 1; i-- > 0 && r == 0;)
                r = restart_drain(t, i ? s->with[i - 1] : s->subject, notes[i], e);
        return r;
}

static int undrain_all(const Turn *t, const RestartStep *s, char (*notes)[DRAIN_NOTE], bool restarted,
                       Error *e) {
        int first = 0;

        for (size_t i = 0; i <= s->n_with; i++) {
                int r = restart_undrain(t, i ? s->with[i - 1] : s->subject, notes[i], restarted,
                                        first ? NULL : e);

                first = first ? first : r;
        }
        return first;
}

/* Did it come up, with all that was restarted with it? NULL, or what is wrong. */
static const char *find_wrong(const Turn *t, const RestartStep *s, const char *result) {
        uint64_t settle_usec = (uint64_t)t->o->policy->restart.settle_sec * 1000000;
        UnitState before, u;
        Error e = { 0 };

        if (manager_unit(t->manager, s->subject, &before, &e) < 0)
                return arena_strdup(t->arena, e.text);
        if (strcmp(result, "done") != 0)
                return arena_printf(t->arena, "systemd's job: %s (the unit is %s, its result %s)", result,
                                    before.active, *before.result ? before.result : "none");
        if (strcmp(before.invocation, s->invocation) == 0)
                return "it was not running any more, and was not started";
        if (manager_watch(t->manager, s->subject, settle_usec, &u, &e) < 0)
                return arena_strdup(t->arena, e.text);
        if (u.n_restarts > before.n_restarts || strcmp(u.invocation, before.invocation) != 0)
                return "it came up and ended again";
        if (strcmp(u.active, "active") != 0)
                return arena_printf(t->arena, "it did not stay up: it is %s (%s)", u.active, u.result);
        for (size_t i = 0; i < s->n_with; i++) {
                if (manager_settled(t->manager, s->with[i], settle_usec + 1000000, &e) < 0 ||
                    manager_unit(t->manager, s->with[i], &u, &e) < 0)
                        return arena_strdup(t->arena, e.text);
                if (strcmp(u.active, "active") != 0)
                        return arena_printf(t->arena, "%s, which was restarted with it, is %s", s->with[i],
                                            u.active);
        }
        return NULL;
}

/* It stays up: is it well, with all that was restarted with it? NULL, or what is wrong. */
static const char *find_unwell(const Turn *t, const RestartStep *s) {
        Error e = { 0 };

        for (size_t i = 0; i < t->o->n_hooks; i++)
                for (size_t k = 0; k <= s->n_with && t->o->hooks[i].came_up; k++) {
                        const char *unit = k ? s->with[k - 1] : s->subject;

                        if (t->o->hooks[i].came_up(t->o->hooks[i].data, unit, &e) != 0)
                                return k ? arena_printf(t->arena, "%s, which was restarted with it: %s", unit,
                                                        e.text)
                                         : arena_strdup(t->arena, e.text);
                }
        return NULL;
}

static void restart_step(Turn *t, const RestartStep *s) {
        char(*notes)[DRAIN_NOTE] = arena_alloc(t->arena, (s->n_with + 1) * sizeof(*notes)),
        result[MANAGER_WORD];
        const char *wrong, *with = "";
        uint64_t begun = now_usec();
        Error e = { 0 }, undo = { 0 };

        for (size_t i = 0; i < s->n_with; i++)
                with = arena_printf(t->arena, "%s%s%s", with, *with ? ", " : "", s->with[i]);
        restart_say(t, EVENT_RESTART_BEGUN, s->subject, &s->about, s->reason, NULL,
                    "%s is restarted%s%s for %s", s->subject, *with ? " with " : "", with, images_text(t, s));
        if (drain_all(t, s, notes, &e) < 0) {
                undrain_all(t, s, notes, false, NULL);
                restart_failed(t, s, "drain", e.text);
                return;
        }
        if (store_put_mark(t->store, &(StoreMark){ MARK_RESTART, s->subject, wall_usec(), s->invocation },
                           &e) < 0 ||
            manager_restart(t->manager, s->subject, (uint64_t)t->o->policy->restart.timeout_sec * 1000000,
                            result, &e) < 0)
                wrong = e.text;
        else
                wrong = find_wrong(t, s, result);
        if (!wrong)
                wrong = find_unwell(t, s);
        if (wrong) {
                /* What does not run gets no requests: it stays drained until it does (see recover). */
                bool drained = false;

                for (size_t i = 0; i <= s->n_with; i++)
                        drained |= *notes[i];
                restart_failed(t, s, "restart",
                               drained ? arena_printf(t->arena, "%s; it stays drained until it runs", wrong)
                                       : wrong);
        } else if (undrain_all(t, s, notes, true, &undo) < 0) {
                restart_failed(t, s, "drain", undo.text);
        } else {
                restart_done(t, s,
                             arena_printf(t->arena, "%s%s%sin %.1f s", *with ? "with " : "", with,
                                          *with ? " " : "", (double)(now_usec() - begun) / 1e6));
        }
        store_drop_mark(t->store, MARK_RESTART, s->subject, NULL);
        if (wall_usec() / 1000000 > (uint64_t)t->span.end)
                restart_say(t, EVENT_WINDOW_EXCEEDED, s->subject, &s->about, NULL, NULL,
                            "The restart of %s lasted beyond the end of the window '%s'", s->subject,
                            t->window->name);
}

/* Was it restarted already, with another one or by somebody else, since the plan was made? */
static bool is_another(const Turn *t, const RestartStep *s) {
        UnitState u;

        return manager_unit(t->manager, s->subject, &u, NULL) == 0 &&
               strcmp(u.invocation, s->invocation) != 0;
}

typedef struct Tried {
        const char *subject;
        uint64_t usec;
} Tried;

static void find_tried(void *data, const StoreRestart *r) {
        Tried *t = data;

        if (strcmp(r->subject, t->subject) == 0)
                t->usec = MAX(t->usec, r->tried_usec);
}

/* Is there a reason to restart it now? */
static bool is_due(const Turn *t, const RestartStep *s) {
        Tried tried = { s->subject, 0 };
        bool failed = strstr(s->last_result, "outlived") == NULL;

        store_each_restart(t->store, find_tried, &tried, NULL);
        if (tried.usec / 1000000 >= (uint64_t)t->span.start)
                return false; /* once in a window */
        if (is_held(s))
                return true;
        /* Those that outlived a restart outlive the next one, too. */
        return count_outdated(t, s, failed ? 0 : tried.usec) > 0;
}

int restart_pause(uint64_t usec) {
        struct timespec t = { .tv_sec = (time_t)(usec / 1000000), .tv_nsec = (long)(usec % 1000000) * 1000 };
        sigset_t none;

        sigemptyset(&none);
        return ppoll(NULL, 0, &t, &none) < 0 ? -errno : 0;
}

bool restart_stops(const Turn *t) {
        const volatile sig_atomic_t *stop = t->o->stop;

        restart_pause(0);
        while (!(stop && *stop) && package_changes() && (int64_t)(wall_usec() / 1000000) < t->span.end)
                restart_pause(PACKAGES_USEC);
        return stop && *stop;
}

static void restart_all(Turn *t, const RestartPlan *plan) {
        for (size_t i = 0; i < plan->n; i++) {
                const RestartStep *s = &plan->steps[i];
                char what[MANAGER_NAME + 16];
                int64_t left = t->span.end - (int64_t)(wall_usec() / 1000000);

                if (restart_stops(t))
                        return;
                if (s->obstacle || restart_has_failed(t))
                        continue;
                if (is_another(t, s)) {
                        restart_done(t, s, "already, with another unit or by hand");
                        continue;
                }
                if (!is_due(t, s))
                        continue;
                if (left <= 0 || (uint64_t)left * 1000000 < s->need_usec) {
                        snprintf(what, sizeof(what), "exceeded %s", s->subject);
                        if (restart_is_noted(t, what))
                                continue;
                        restart_say(t, EVENT_WINDOW_EXCEEDED, s->subject, &s->about, s->reason, NULL,
                                    "%s is not restarted in the window '%s': it may need %llu s, and %lld s "
                                    "are left",
                                    s->subject, t->window->name, (unsigned long long)(s->need_usec / 1000000),
                                    (long long)MAX(left, 0));
                        restart_note(t, what, NULL);
                        continue;
                }
                restart_step(t, s);
        }
}

/* Is there anything that this turn would do? */
static bool has_work(const Turn *t, const RestartPlan *plan) {
        for (size_t i = 0; i < plan->n && !restart_has_failed(t); i++)
                if (!plan->steps[i].obstacle && is_due(t, &plan->steps[i]))
                        return true;
        return false;
}

static int in_window(Turn *t, Error *e) {
        RestartPlan plan;
        size_t before = 0, i;
        Error why = { 0 };
        int r = restart_plan(t->o->policy, t->store, t->manager, t->window, &plan, e);

        if (r < 0)
                return r;
        for (i = 0; i < plan.n; i++)
                before += !plan.steps[i].obstacle;
        if (!restart_is_noted(t, "opened")) {
                restart_say(t, EVENT_WINDOW_OPENED, NULL, &plan.about, NULL, NULL,
                            "The window '%s' is open: %zu to be restarted, %zu that can't be",
                            t->window->name, before, plan.n - before);
                restart_note(t, "opened", NULL);
        }
        plan.reboots = restart_wants_machine(t, &plan);
        r = 0;
        if ((plan.reboots || has_work(t, &plan)) && !restart_stops(t)) {
                for (i = 0; t->manager && i < t->o->n_hooks && r == 0; i++)
                        if (t->o->hooks[i].before)
                                r = t->o->hooks[i].before(t->o->hooks[i].data, &plan, &why);
                if (r == 0)
                        restart_all(t, &plan);
                for (i = 0; t->manager && i < t->o->n_hooks && r == 0; i++)
                        if (t->o->hooks[i].after)
                                r = t->o->hooks[i].after(t->o->hooks[i].data, &plan, t->done, t->failed,
                                                         &why);
                if (r == 0 && plan.reboots)
                        restart_machine(t, &plan);
                if (r != 0 && !restart_is_noted(t, "hook")) {
                        restart_say(t, EVENT_RESTART_FAILED, NULL, &plan.about, "hook", why.text,
                                    "Nothing more is restarted in the window '%s': %s", t->window->name,
                                    why.text);
                        restart_note(t, "hook", NULL);
                }
                if (r == RESTART_REBOOTS)
                        restart_machine_now(t, &plan.about, why.text);
        }
        restart_plan_free(&plan);
        return 0;
}

/* One that was due in the window that has passed, and was not restarted. */
static void say_missed(const Turn *t, const char *subject, const About *about, const char *reason,
                       const char *why, const char *more) {
        restart_say(t, EVENT_RESTART_MISSED, subject, about, reason, why,
                    "%s still waits for its restart after the window '%s': %s%s", subject, t->window->name,
                    why, more);
}

/* Tells what a window that has passed has left. */
static int after_window(Turn *t, Error *e) {
        const char *away = "the agent did not run, or did not restart anything then";
        bool opened = restart_is_noted(t, "opened"), never = t->o->policy->restart.reboot == REBOOT_NEVER;
        uint64_t end_usec = (uint64_t)t->span.end * 1000000;
        RestartPlan plan;
        size_t left = 0;
        int r;

        if (restart_is_noted(t, "closed"))
                return 0;
        r = restart_plan(t->o->policy, t->store, t->manager, t->window, &plan, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < plan.n; i++) {
                const RestartStep *s = &plan.steps[i];

                if (s->since_usec >= end_usec)
                        continue;
                left++;
                say_missed(t, s->subject, &s->about, s->reason,
                           !opened           ? away
                           : s->obstacle     ? s->obstacle
                           : *s->last_result ? s->last_result
                                             : "there was no time left, or an earlier restart failed",
                           s->machine && never ? "; the machine is not restarted by itself ([restart] reboot)"
                                               : "");
        }
        if (plan.machine && !never && plan.machine_since_usec < end_usec &&
            window_covers(t->window, "machine") && !restart_is_noted(t, "reboot")) {
                left++;
                say_missed(t, "machine", &plan.about, "reboot",
                           opened ? "there was no time left, or an earlier restart failed" : away,
                           arena_printf(t->arena, " (%s)", plan.machine));
        }
        if (opened || left)
                restart_say(t, EVENT_WINDOW_CLOSED, NULL, left ? &plan.about : NULL, NULL, NULL,
                            "The window '%s' is over: %zu still to be restarted", t->window->name, left);
        restart_plan_free(&plan);
        return restart_note(t, "closed", e);
}

static void count_row(void *data, const StoreRestart *r) {
        (void)r;
        ++*(size_t *)data;
}
static void count_mark(void *data, const StoreMark *m) {
        (void)m;
        ++*(size_t *)data;
}

static int look_at_machine(Turn *t, Error *e) {
        RestartPlan plan;
        int r = restart_plan(t->o->policy, t->store, t->manager, NULL, &plan, e);

        if (r < 0)
                return r;
        restart_require_machine(t, &plan);
        restart_plan_free(&plan);
        return 0;
}

/* The newest occurrence that began after the last turn, or was open then, and has ended; and what is open
 * now. */
static int look_at_window(Turn *t, int64_t last, int64_t now, Error *e) {
        WindowSpan span, passed = { 0, 0 };
        int64_t from = last;
        bool some;
        int r = 0;

        while ((some = window_next(t->window, from, &span)) && span.end <= now) {
                passed = span;
                from = span.end;
        }
        if (passed.end) {
                t->span = passed;
                r = after_window(t, e);
        }
        if (r < 0 || !some || !window_open(&span, now) || t->o->policy->mode != PATCH_AUTOMATIC)
                return r;
        t->span = span;
        return t->o->looked || restart_is_noted(t, "opened") ? in_window(t, e) : 0;
}

int restart_turn(const RestartOptions *o, Error *e) {
        _cleanup_(closep) int lock = round_lock(o->lock, e);
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(manager_closep) Manager *manager = NULL;
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Turn t = { .o = o, .arena = arena };
        size_t rows = 0, marks = 0;
        uint64_t last = 0, now = wall_usec();
        RestartReboot reboot;
        About about;
        Error none = { 0 }, why = { 0 };
        int r = lock < 0 ? lock : store_open(o->state, &store, e);

        if (r < 0)
                return r;
        t.store = store;
        reboot = restart_reboot(&t);
        if (reboot == REBOOT_IS_DUE) /* nothing is begun, or looked after, while the machine goes down */
                return 0;
        store_each_restart(store, count_row, &rows, NULL);
        store_each_mark(store, MARK_RESTART, count_mark, &marks, NULL);
        store_each_mark(store, MARK_DRAIN, count_mark, &marks, NULL);
        store_each_mark(store, MARK_REBOOT, count_mark, &marks, NULL);
        if (rows || marks || o->policy->restart.reboot != REBOOT_NEVER)
                manager_open(&manager, &none); /* without it the plan says so of every step */
        t.manager = manager;
        if (reboot == REBOOT_DID_NOT_COME) {
                about = restart_about(&t, NULL);
                restart_say(&t, EVENT_RESTART_FAILED, "machine", &about, "reboot", NULL,
                            "The machine was told to restart, and did not");
        }
        if (marks)
                restart_recover(&t);
        r = rows ? look_at_machine(&t, e) : 0;
        for (size_t i = 0; i < o->n_hooks && r >= 0; i++) {
                about = (About){ 0 };
                if (o->hooks[i].resume)
                        r = o->hooks[i].resume(o->hooks[i].data, arena, &about, &why);
                if (r < 0 && e)
                        *e = why;
                if (r == RESTART_REBOOTS && restart_machine_now(&t, &about, why.text))
                        return (int)t.failed;
        }
        r = MIN(r, 0);
        /* What is found not well goes back first: it gets no requests meanwhile. */
        if (r == 0 && marks) {
                restart_undrain_left(&t, reboot == REBOOT_NONE);
                store_drop_mark(store, MARK_REBOOT, "machine", NULL);
        }
        if (store_mark_time(store, MARK_TURN, "last", &last, NULL) != 1 || last > now)
                last = now;
        for (size_t i = 0; i < o->policy->n_window && r == 0 && !t.goes_down; i++) {
                t.window = &o->policy->window[i];
                r = look_at_window(&t, (int64_t)(last / 1000000), (int64_t)(now / 1000000), e);
        }
        if (r == 0)
                r = store_put_mark(store, &(StoreMark){ MARK_TURN, "last", now, "" }, e);
        store_prune_marks(store, MARK_WINDOW, now - KEEP_DAYS * UINT64_C(86400000000), NULL);
        return r < 0 ? r : (int)t.failed;
}
