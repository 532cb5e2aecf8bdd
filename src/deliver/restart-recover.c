/* SPDX-License-Identifier: Apache-2.0 */
/* What an executor that was killed, or the boot before, has left. */
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/baseline-units.h"
#include "deliver/restart-parts.h"

#include <string.h>

enum { RECOVER_USEC = 300000000 }; /* for a job that was under way when its executor was killed */

/* Copied into the turn's arena. */
typedef VEC(StoreMark) Marks;
typedef struct Collect {
        Marks marks;
        Arena *arena;
} Collect;

static void collect(void *data, const StoreMark *m) {
        Collect *c = data;
        StoreMark copy = { NULL, arena_strdup(c->arena, m->key), m->time_usec,
                           arena_strdup(c->arena, m->text) };

        vec_push(&c->marks, copy);
}

typedef struct Fill {
        Arena *arena;
        RestartStep *step;
} Fill;

static void fill(void *data, const StoreRestart *r) {
        const Fill *f = data;
        RestartStep *s = f->step;
        const char **images;

        if (strcmp(r->subject, s->subject) != 0)
                return;
        about_add(&s->about, f->arena, r, true);
        images = arena_newa(f->arena, const char *, s->n_images + 1);
        if (s->n_images)
                memcpy(images, s->images, s->n_images * sizeof(*images));
        images[s->n_images++] = arena_strdup(f->arena, r->image);
        s->images = images;
        s->reason = arena_strdup(f->arena, r->reason);
}

static void recover_one(Turn *t, const StoreMark *m) {
        RestartStep s = { .subject = m->key, .reason = "" };
        Error e = { 0 };
        UnitState u;

        store_each_restart(t->store, fill, &(Fill){ t->arena, &s }, NULL);
        if (manager_settled(t->manager, m->key, RECOVER_USEC, &e) < 0 ||
            manager_unit(t->manager, m->key, &u, &e) < 0)
                restart_failed(t, &s, "interrupted", e.text);
        else if (strcmp(u.active, "active") != 0)
                restart_failed(t, &s, "interrupted",
                               arena_printf(t->arena, "the agent was ended in the middle; the unit is %s",
                                            u.active));
        else if (strcmp(u.invocation, m->text) == 0)
                restart_failed(t, &s, "interrupted",
                               "the agent was ended in the middle; it was not restarted");
        else
                restart_done(t, &s, "while the agent was ended and started again");
}

void restart_recover(Turn *t) {
        Collect restarts = { .arena = t->arena };

        if (t->manager)
                store_each_mark(t->store, MARK_RESTART, collect, &restarts, NULL);
        for (size_t i = 0; i < restarts.marks.n; i++) {
                recover_one(t, &restarts.marks.items[i]);
                store_drop_mark(t->store, MARK_RESTART, restarts.marks.items[i].key, NULL);
        }
        vec_free(&restarts.marks);
}

RestartReboot restart_reboot(const Turn *t) {
        uint64_t patience_usec = (uint64_t)t->o->policy->restart.timeout_sec * 1000000;
        Collect reboots = { .arena = t->arena };
        char boot[BASELINE_WORD] = "";
        RestartReboot result = REBOOT_NONE;

        store_each_mark(t->store, MARK_REBOOT, collect, &reboots, NULL);
        if (reboots.marks.n && baseline_units.boot(NULL, boot, NULL) == 0 &&
            strcmp(reboots.marks.items[0].text, boot) == 0)
                result = wall_usec() < reboots.marks.items[0].time_usec + patience_usec ? REBOOT_IS_DUE
                                                                                        : REBOOT_DID_NOT_COME;
        vec_free(&reboots.marks);
        return result;
}

void restart_undrain_left(const Turn *t, bool restarted) {
        Collect drains = { .arena = t->arena };

        if (t->manager)
                store_each_mark(t->store, MARK_DRAIN, collect, &drains, NULL);
        for (size_t i = 0; i < drains.marks.n; i++) {
                const StoreMark *m = &drains.marks.items[i];
                Error e = { 0 };
                UnitState u;

                /* What does not run stays drained. */
                if (strcmp(m->key, "machine") != 0 &&
                    (manager_unit(t->manager, m->key, &u, &e) < 0 || strcmp(u.active, "active") != 0))
                        continue;
                if (restart_undrain(t, m->key, m->text, restarted, &e) < 0) {
                        About about = restart_about(t, m->key);

                        restart_say(t, EVENT_RESTART_FAILED, m->key, &about, "drain", e.text,
                                    "%s: could not be taken into use again: %s", m->key, e.text);
                }
        }
        vec_free(&drains.marks);
}

static void collect_subject(void *data, const StoreRestart *r) {
        Collect *c = data;

        vec_push(&c->marks, (StoreMark){ .key = arena_strdup(c->arena, r->subject) });
}

void restart_forget_earlier_boot(Store *store) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Collect boots = { .arena = arena }, waiting = { .arena = arena };
        char id[BASELINE_WORD] = "";

        if (baseline_units.boot(NULL, id, NULL) < 0 || store_mark_time(store, MARK_BOOT, id, NULL, NULL) == 1)
                return;
        store_each_mark(store, MARK_BOOT, collect, &boots, NULL);
        if (boots.marks.n)
                store_each_restart(store, collect_subject, &waiting, NULL);
        for (size_t i = 0; i < waiting.marks.n; i++)
                store_drop_restart(store, waiting.marks.items[i].key, NULL, NULL);
        for (size_t i = 0; i < boots.marks.n; i++)
                store_drop_mark(store, MARK_BOOT, boots.marks.items[i].key, NULL);
        store_put_mark(store, &(StoreMark){ MARK_BOOT, id, wall_usec(), "" }, NULL);
        vec_free(&boots.marks);
        vec_free(&waiting.marks);
}
