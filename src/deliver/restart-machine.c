/* SPDX-License-Identifier: Apache-2.0 */
/* The restart of the machine itself, and how others are told that it is needed. */
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/baseline-units.h"
#include "deliver/package.h"
#include "deliver/restart-parts.h"
#include "proc/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Adds a line to FILE.pkgs unless it is there. */
static void add_package(const char *file, const char *package) {
        char path[PATH_MAX], line[256];
        bool there = false;
        FILE *f;

        snprintf(path, sizeof(path), "%s.pkgs", file);
        f = fopen(path, "a+e");
        if (!f)
                return;
        rewind(f);
        while (fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\n")] = 0;
                there |= strcmp(line, package) == 0;
        }
        if (!there)
                fprintf(f, "%s\n", package);
        fclose(f);
}

void restart_require_machine(const Turn *t, const RestartPlan *plan) {
        const char *file = t->o->policy->restart.reboot_required;

        for (size_t i = 0; i < plan->n; i++) {
                const RestartStep *s = &plan->steps[i];
                bool fresh = access(file, F_OK) < 0;
                char package[128];
                int fd;

                if (!s->machine)
                        continue;
                fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
                if (fd < 0 || (fresh && dprintf(fd, "*** System restart required ***\n") < 0))
                        fprintf(stderr, "<4>staunchd: %s: %s\n", file, strerror(errno));
                closep(&fd);
                for (size_t k = 0; k < s->n_images; k++)
                        if (package_of(PACKAGE_INFO, s->images[k], package, sizeof(package)))
                                add_package(file, package);
                if (fresh)
                        restart_say(t, EVENT_REBOOT_REQUIRED, s->subject, &s->about, s->reason, s->obstacle,
                                    "A restart of the machine is needed for %s (%s)", s->subject,
                                    s->obstacle);
        }
}

#define EXCEEDED "exceeded machine"

/* What is drained before the machine goes down. */
typedef struct Drained {
        const char *unit;
        char *note; /* DRAIN_NOTE */
} Drained;
typedef VEC(Drained) AllDrained;

static void add_drained(const Turn *t, AllDrained *all, const char *unit) {
        Drained d = { arena_strdup(t->arena, unit), arena_alloc(t->arena, DRAIN_NOTE) };

        for (size_t i = 0; i < all->n; i++)
                if (strcmp(all->items[i].unit, unit) == 0)
                        return;
        if (store_mark_time(t->store, MARK_DRAIN, unit, NULL, NULL) == 1) /* it still is */
                return;
        d.note[0] = 0;
        vec_push(all, d);
}

/* Each unit that runs, and "machine" for whatever is to be done once. */
static AllDrained to_be_drained(const Turn *t) {
        AllDrained all = { 0 };
        ProcessList processes = { 0 };

        if (drain_need_usec(t->o->policy, "machine"))
                add_drained(t, &all, "machine");
        if (!t->o->policy->n_drain || process_list(&processes, NULL) < 0)
                return all;
        for (size_t i = 0; i < processes.n; i++) {
                const char *unit = processes.items[i].unit;

                if (*unit && drain_need_usec(t->o->policy, unit))
                        add_drained(t, &all, unit);
        }
        process_list_free(&processes);
        return all;
}

/* What is drained takes so long, one after another, and the machine goes down inside the window. */
static bool fits(const Turn *t, const About *about, const AllDrained *all) {
        int64_t left = t->span.end - (int64_t)(wall_usec() / 1000000);
        uint64_t need_usec = 0;

        for (size_t i = 0; i < all->n; i++)
                need_usec += drain_need_usec(t->o->policy, all->items[i].unit);
        if (left > 0 && (uint64_t)left * 1000000 >= need_usec)
                return true;
        restart_say(t, EVENT_WINDOW_EXCEEDED, "machine", about, NULL, NULL,
                    "The machine is not restarted in the window '%s': draining may need %llu s, and "
                    "%lld s are left",
                    t->window->name, (unsigned long long)(need_usec / 1000000), (long long)MAX(left, 0));
        restart_note(t, EXCEEDED, NULL);
        return false;
}

bool restart_wants_machine(const Turn *t, const RestartPlan *plan) {
        RebootSetting reboot = t->o->policy->restart.reboot;
        AllDrained all = { 0 };
        bool wants = reboot != REBOOT_NEVER && (reboot == REBOOT_ALWAYS || plan->machine) &&
                     window_covers(t->window, "machine") && !restart_is_noted(t, "reboot") &&
                     !restart_is_noted(t, EXCEEDED) && !restart_has_failed(t);

        if (wants) {
                all = to_be_drained(t);
                wants = fits(t, &plan->about, &all);
                vec_free(&all);
        }
        return wants;
}

static int drain(const Turn *t, AllDrained *all, Error *e) {
        char boot[BASELINE_WORD] = "";
        int r = baseline_units.boot(NULL, boot, e);

        if (r == 0)
                r = store_put_mark(t->store, &(StoreMark){ MARK_REBOOT, "machine", wall_usec(), boot }, e);
        for (size_t i = 0; i < all->n && r == 0; i++)
                r = restart_drain(t, all->items[i].unit, all->items[i].note, e);
        return r;
}

/* The machine stays up after all. */
static void undrain(const Turn *t, const AllDrained *all) {
        for (size_t i = 0; i < all->n; i++) {
                Error e = { 0 };

                if (restart_undrain(t, all->items[i].unit, all->items[i].note, false, &e) < 0) {
                        About about = restart_about(t, all->items[i].unit);

                        restart_say(t, EVENT_RESTART_FAILED, all->items[i].unit, &about, "drain", e.text,
                                    "%s: could not be taken into use again: %s", all->items[i].unit, e.text);
                }
        }
        /* Outside of a window it is tried again, but not before it could have gone down. */
        if (t->window)
                store_drop_mark(t->store, MARK_REBOOT, "machine", NULL);
}

static int go_down(const Turn *t, Error *e) {
        const PolicyRestart *p = &t->o->policy->restart;
        char result[MANAGER_WORD];
        int r;

        if (!*p->reboot_command)
                return manager_reboot(t->manager, e);
        r = manager_run(t->manager, "staunch-reboot.service", p->reboot_command, "STAUNCH_UNIT=machine",
                        (uint64_t)p->timeout_sec * 1000000, result, e);
        return r == 0 && strcmp(result, "done") != 0 ? error_set(e, -EREMOTEIO, "reboot_command: %s", result)
                                                     : r;
}

static void bring_down(Turn *t, const About *about, AllDrained *all, const char *because) {
        const char *reason = "drain";
        Error e = { 0 };
        /* Before it is done: the machine that is back must not be restarted again. */
        int r = t->window ? restart_note(t, "reboot", &e) : 0;

        if (r == 0) {
                restart_say(t, EVENT_REBOOT_BEGUN, "machine", about, NULL, because,
                            "The machine is restarted: %s", because);
                r = drain(t, all, &e);
        }
        if (r == 0) {
                reason = "reboot";
                r = go_down(t, &e);
        }
        t->goes_down = r == 0;
        if (r < 0) {
                undrain(t, all);
                t->failed++;
                restart_say(t, EVENT_RESTART_FAILED, "machine", about, reason, e.text,
                            "The machine was not restarted: %s", e.text);
        }
}

void restart_machine(Turn *t, const RestartPlan *plan) {
        const char *because = plan->machine ? plan->machine : "the policy says always";
        AllDrained all = { 0 };

        /* First: it may wait until the window is over. */
        if (restart_stops(t) || restart_has_failed(t))
                return;
        if (!t->manager) {
                if (!restart_is_noted(t, "no-reboot"))
                        restart_say(t, EVENT_RESTART_FAILED, "machine", &plan->about, "reboot", NULL,
                                    "The machine is not restarted: systemd can't be asked (%s)", because);
                restart_note(t, "no-reboot", NULL);
                return;
        }
        all = to_be_drained(t);
        if (fits(t, &plan->about, &all))
                bring_down(t, &plan->about, &all, because);
        vec_free(&all);
}

bool restart_machine_now(Turn *t, const About *about, const char *because) {
        AllDrained all = { 0 };

        if (t->o->policy->restart.reboot == REBOOT_NEVER || !t->manager)
                return false;
        if (restart_stops(t) || package_changes()) /* in a turn to come */
                return true;
        all = to_be_drained(t);
        bring_down(t, about, &all, because);
        vec_free(&all);
        return true;
}
