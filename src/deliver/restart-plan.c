/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/drain.h"
#include "deliver/probed.h"
#include "deliver/restart.h"
#include "proc/list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Units that do not take a restart well: the same that needrestart leaves alone. [restart] allow lets one in.
 */
// clang-format off
static const char *const fragile[] = {
        "dbus.service", "dbus-broker.service", "systemd-logind*", "elogind*",
        "gdm*", "kdm*", "nodm*", "sddm*", "wdm*", "xdm*", "lightdm*", "slim*", "lxdm*", "display-manager.service",
        "bird*", "network*", "NetworkManager*", "ModemManager*", "wpa_supplicant*", "openvpn*", "quagga*", "frr*",
        "tinc*", "openswan*", "freeswan*", "libreswan*", "strongswan*", "bluetooth*", "systemd-networkd*",
        "zfs-fuse*", "mythtv-backend*", "xendomains*", "lxcfs*", "libvirt*", "virtlogd*", "virtlockd*", "docker*",
        "containerd*", "emergency.service", "rescue.service", "rc-local.service",
};
/* What systemd restarts together with a unit. */
static const char *const dragging[] = { "RequiredBy", "BoundBy", "ConsistsOf", "PropagatesStopTo" };
// clang-format on

enum { MAX_VISITED = 8192, MAX_DEPTH = 256 };

typedef struct Build {
        const Policy *policy;
        Manager *manager;
        const Window *window;
        RestartPlan *plan;
        ProcessList processes;
        VEC(RestartStep) steps;
        VEC(size_t) order;
        VEC(const char *) visited;
} Build;

static bool any_matches(const char *const *patterns, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (fnmatch(patterns[i], name, 0) == 0)
                        return true;
        return false;
}

static bool ends_in(const char *s, const char *suffix) {
        size_t n = strlen(s), k = strlen(suffix);

        return n >= k && strcmp(s + n - k, suffix) == 0;
}

/* Rows of one subject make one step. */
static void add_row(void *data, const StoreRestart *r) {
        Build *b = data;
        Arena *a = b->plan->arena;
        RestartStep *s = NULL;
        const char **images;

        if (b->window && !window_covers(b->window, r->subject))
                return;
        for (size_t i = 0; i < b->steps.n && !s; i++)
                if (strcmp(b->steps.items[i].subject, r->subject) == 0)
                        s = &b->steps.items[i];
        if (!s) {
                RestartStep fresh = { .subject = arena_strdup(a, r->subject),
                                      .reason = arena_strdup(a, r->reason),
                                      .since_usec = r->since_usec,
                                      .last_result = arena_strdup(a, r->last_result) };

                vec_push(&b->steps, fresh);
                s = &b->steps.items[b->steps.n - 1];
        }
        about_add(&s->about, a, r, true);
        about_add(&b->plan->about, a, r, false);
        images = arena_newa(a, const char *, s->n_images + 1);
        if (s->n_images)
                memcpy(images, s->images, s->n_images * sizeof(*images));
        images[s->n_images++] = arena_strdup(a, r->image);
        s->images = images;
}

static void hinder(RestartStep *s, bool machine, const char *why) {
        s->obstacle = why;
        s->machine = machine;
}

/* Is one of its processes where the system's manager has this unit? A user's manager may have one of the same
 * name. */
static bool is_of_system(const Build *b, const UnitState *u) {
        char cgroup[PATH_MAX];
        size_t n = strlen(u->cgroup);
        bool some = false;

        for (size_t i = 0; i < b->processes.n; i++) {
                const Process *p = &b->processes.items[i];

                if (strcmp(p->unit, u->name) != 0 || process_cgroup(p->pid, cgroup, sizeof(cgroup)) < 0)
                        continue;
                some = true;
                if (n && strncmp(cgroup, u->cgroup, n) == 0 && (!cgroup[n] || cgroup[n] == '/'))
                        return true;
        }
        return !some;
}

/* What stands in the way of a restart by name alone. */
static bool hindered_by_name(const Build *b, RestartStep *s, const char *unit) {
        const PolicyRestart *r = &b->policy->restart;

        if (strncmp(unit, "process ", 8) == 0)
                hinder(s, false, "it runs outside of every unit: whoever started it has to restart it");
        else if (strcmp(unit, "init.scope") == 0)
                hinder(s, true, "it is systemd itself");
        else if (strcmp(unit, "staunch-agent.service") == 0)
                hinder(s, false, "it is the agent itself: 'systemctl restart staunch-agent'");
        else if (ends_in(unit, ".scope") || ends_in(unit, ".slice") ||
                 fnmatch("user@*.service", unit, 0) == 0 || fnmatch("*getty@*.service", unit, 0) == 0)
                hinder(s, false, "it is a session: it ends when its user logs out");
        else if (any_matches(r->never, r->n_never, unit))
                hinder(s, false, "the policy says never ([restart] never)");
        else if (any_matches(fragile, ELEMENTSOF(fragile), unit) && !any_matches(r->allow, r->n_allow, unit))
                hinder(s, true, "it does not take a restart well ([restart] allow lets it be restarted)");
        return s->obstacle != NULL;
}

static int by_text(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_text(const char *const *list, size_t n, const char *text) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(list[i], text) == 0)
                        return true;
        return false;
}

/* All active units that go down and come back with it. */
static int find_dragged(Build *b, RestartStep *s, Error *e) {
        Arena *a = b->plan->arena;
        VEC(const char *) with = { 0 };
        const char *unit = s->subject;
        int r = 0;

        for (size_t next = 0; r == 0; unit = with.items[next++]) {
                for (size_t k = 0; k < ELEMENTSOF(dragging) && r == 0; k++) {
                        const char **names;
                        size_t n = 0;

                        r = manager_related(b->manager, unit, dragging[k], a, &names, &n, e);
                        for (size_t i = 0; i < n && r == 0 && with.n < MAX_DEPTH; i++) {
                                UnitState u;

                                if (strcmp(names[i], s->subject) == 0 ||
                                    has_text(with.items, with.n, names[i]))
                                        continue;
                                r = manager_unit(b->manager, names[i], &u, e);
                                if (r == 0 && strcmp(u.active, "active") == 0)
                                        vec_push(&with, names[i]);
                        }
                }
                if (next == with.n)
                        break;
        }
        if (with.n)
                qsort(with.items, with.n, sizeof(*with.items), by_text);
        s->n_with = with.n;
        s->with = arena_newa(a, const char *, with.n);
        for (size_t i = 0; i < with.n; i++)
                s->with[i] = with.items[i];
        vec_free(&with);
        return r;
}

static uint64_t need_usec(const Build *b, const RestartStep *s, const UnitState *u) {
        const PolicyRestart *r = &b->policy->restart;
        uint64_t limit = (uint64_t)r->timeout_sec * 1000000, job = limit, need;

        if (u->start_max_usec < limit && u->stop_max_usec < limit)
                job = MIN(limit, u->start_max_usec + u->stop_max_usec);
        need = job + (uint64_t)r->settle_sec * 1000000 + drain_need_usec(b->policy, s->subject) +
               probed_need_usec(b->policy, s->subject, u->start_max_usec);
        for (size_t i = 0; i < s->n_with; i++)
                need += drain_need_usec(b->policy, s->with[i]) + probed_need_usec(b->policy, s->with[i], 0);
        return need;
}

static int look_at(Build *b, RestartStep *s, Error *e) {
        UnitState u;
        int r;

        if (hindered_by_name(b, s, s->subject))
                return 0;
        if (!b->manager) {
                hinder(s, false, "systemd can't be asked");
                return 0;
        }
        r = manager_unit(b->manager, s->subject, &u, e);
        if (r < 0)
                return r;
        memcpy(s->invocation, u.invocation, sizeof(s->invocation));
        if (!is_of_system(b, &u))
                hinder(s, false, "it is a unit of a user's session: it ends when the user logs out");
        else if (strcmp(u.load, "loaded") != 0)
                hinder(s, false, "systemd has no such unit any more");
        else if (strcmp(u.type, "oneshot") == 0)
                hinder(s, false, "it ends by itself");
        else if (u.refuses)
                hinder(s, true, "it refuses to be stopped by hand (RefuseManualStop)");
        else if (strcmp(u.active, "active") != 0 && strcmp(u.active, "reloading") != 0)
                hinder(s, false,
                       arena_printf(b->plan->arena, "systemd does not run it now: it is %s", u.active));
        if (s->obstacle)
                return 0;
        r = find_dragged(b, s, e);
        for (size_t i = 0; i < s->n_with && !s->obstacle && r == 0; i++)
                if (hindered_by_name(b, s, s->with[i]))
                        s->obstacle = arena_printf(b->plan->arena, "%s would be restarted with it, and: %s",
                                                   s->with[i], s->obstacle);
        if (r == 0)
                s->need_usec = need_usec(b, s, &u);
        return r;
}

/* Puts the unit behind all that it is ordered after, also by way of units that are not of the plan. */
static int visit(Build *b, const char *unit, unsigned depth, Error *e) {
        const char **after;
        size_t n = 0;
        int r;

        if (depth == MAX_DEPTH || b->visited.n == MAX_VISITED ||
            has_text(b->visited.items, b->visited.n, unit))
                return 0;
        vec_push(&b->visited, unit);
        r = manager_related(b->manager, unit, "After", b->plan->arena, &after, &n, e);
        if (r == 0 && n)
                qsort(after, n, sizeof(*after), by_text);
        for (size_t i = 0; i < n && r == 0; i++)
                r = visit(b, after[i], depth + 1, e);
        for (size_t i = 0; i < b->steps.n && r == 0; i++)
                if (!b->steps.items[i].obstacle && strcmp(b->steps.items[i].subject, unit) == 0)
                        vec_push(&b->order, i);
        return r;
}

/* The names in FILE.pkgs, one a line there. */
static const char *packages_of(const char *file, Arena *a) {
        const char *all = "";
        char path[PATH_MAX], line[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s.pkgs", file);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f) && strlen(all) < 1024) {
                line[strcspn(line, "\n")] = 0;
                all = arena_printf(a, "%s%s%s", all, *all ? ", " : "", line);
        }
        if (f)
                fclose(f);
        return all;
}

static void need_machine(Build *b) {
        const char *file = b->policy->restart.reboot_required;
        RestartPlan *plan = b->plan;
        struct stat st;

        for (size_t i = 0; i < b->steps.n && !plan->machine; i++) {
                const RestartStep *s = &b->steps.items[i];

                if (!s->machine)
                        continue;
                plan->machine = arena_printf(plan->arena, "%s: %s", s->subject, s->obstacle);
                plan->machine_since_usec = s->since_usec;
        }
        if (!plan->machine && stat(file, &st) == 0) {
                const char *packages = packages_of(file, plan->arena);

                plan->machine = arena_printf(plan->arena, "%s%s%s", file, *packages ? ": " : "", packages);
                plan->machine_since_usec =
                        (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
        }
}

static int by_subject(const void *a, const void *b) {
        return strcmp(((const RestartStep *)a)->subject, ((const RestartStep *)b)->subject);
}

int restart_plan(const Policy *p, Store *store, Manager *m, const Window *window, RestartPlan *out,
                 Error *e) {
        RestartPlan plan = { .arena = arena_new() };
        Build b = { .policy = p, .manager = m, .window = window, .plan = &plan };
        int r = store_each_restart(store, add_row, &b, e);

        if (r == 0 && b.steps.n)
                r = process_list(&b.processes, e);
        if (b.steps.n) /* the same order in every run */
                qsort(b.steps.items, b.steps.n, sizeof(*b.steps.items), by_subject);
        for (size_t i = 0; i < b.steps.n && r == 0; i++)
                r = look_at(&b, &b.steps.items[i], e);
        for (size_t i = 0; i < b.steps.n && r == 0; i++)
                if (!b.steps.items[i].obstacle)
                        r = visit(&b, b.steps.items[i].subject, 0, e);
        need_machine(&b);
        /* What was not reached (a chain too long to follow) comes after the rest, obstacles last. */
        for (int hindered = 0; hindered < 2; hindered++)
                for (size_t i = 0; i < b.steps.n; i++) {
                        bool there = (b.steps.items[i].obstacle != NULL) != hindered;

                        for (size_t k = 0; k < b.order.n && !there; k++)
                                there = b.order.items[k] == i;
                        if (!there)
                                vec_push(&b.order, i);
                }
        plan.n = b.order.n;
        plan.steps = arena_newa(plan.arena, RestartStep, plan.n);
        for (size_t i = 0; i < plan.n; i++)
                plan.steps[i] = b.steps.items[b.order.items[i]];
        vec_free(&b.steps);
        vec_free(&b.order);
        vec_free(&b.visited);
        process_list_free(&b.processes);
        if (r < 0)
                restart_plan_free(&plan);
        else
                *out = plan;
        return r;
}

void restart_plan_free(RestartPlan *p) {
        p->arena = arena_free(p->arena);
}
