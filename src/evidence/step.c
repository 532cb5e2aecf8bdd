/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/step.h"
#include "base/clock.h"
#include "base/macro.h"
#include "evidence/fix.h"
#include "evidence/read.h"
#include "evidence/version.h"

#include <stdio.h>
#include <string.h>

void steps_begin(Steps *s, const char *root, Store *store) {
        *s = (Steps){ .arena = arena_new(), .root = root, .store = store };
}

void steps_end(Steps *s) {
        vec_free(&s->asked);
        s->arena = arena_free(s->arena);
}

static StepAsked *find(Steps *s, const char *image, const char *old_id, const char *new_id) {
        for (size_t i = 0; i < s->asked.n; i++) {
                StepAsked *a = &s->asked.items[i];

                if (strcmp(a->old_id, old_id) == 0 && strcmp(a->new_id, new_id) == 0 &&
                    (!*a->image || strcmp(a->image, image) == 0))
                        return a;
        }
        return NULL;
}

void steps_want(Steps *s, const char *image, const char *path, const BuildId *old_id, const BuildId *new_id,
                int old_fd, bool lasting) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];
        StepAsked a = { .from = { .id = *old_id }, .to = *new_id, .lasting = lasting };

        if (find(s, image, build_id_text(old_id, old_text), build_id_text(new_id, new_text)))
                return;
        a.image = arena_strdup(s->arena, image);
        a.path = path ? arena_strdup(s->arena, path) : NULL;
        a.old_id = arena_strdup(s->arena, old_text);
        a.new_id = arena_strdup(s->arena, new_text);
        build_read_times(&a.from, old_fd);
        vec_push(&s->asked, a);
}

typedef VEC(const char *) Names;

static void add_cve(const Dpkg *d, const Tracker *t, const Build *from, const Build *to, const char *cve,
                    Names *names, uint64_t *omitted) {
        const Changelog *c = dpkg_changelog(d, to->owner);
        Fix fix;

        for (size_t i = 0; i < names->n; i++)
                if (strcmp(names->items[i], cve) == 0)
                        return;
        if (!fix_find(c, t, to->source, to->package, cve, &fix) ||
            fix_in(&fix, to->version, to->source_version) != FIX_THERE ||
            fix_in(&fix, from->version, from->source_version) != FIX_LACKING)
                return;
        if (names->n < EVENT_CVES)
                vec_push(names, cve);
        else
                ++*omitted;
}

/* What the newer version of one source package fixes. */
static void find_cves(Steps *s, const Dpkg *d, const Tracker *t, const Build *from, const Build *to,
                      Step *out) {
        const Changelog *c = dpkg_changelog(d, to->owner);
        const char *const packages[] = { to->source, to->package };
        Names names = { 0 };

        for (size_t i = 0; i < c->n; i++)
                if (version_compare(c->entries[i].version, from->source_version) > 0)
                        for (size_t k = 0; k < c->entries[i].n_cves; k++)
                                add_cve(d, t, from, to, c->entries[i].cves[k], &names, &out->omitted);
        for (size_t k = 0; k < ELEMENTSOF(packages); k++) {
                size_t at, n;

                tracker_of(t, packages[k], &at, &n);
                for (size_t i = at; i < at + n; i++)
                        add_cve(d, t, from, to, t->entries[i].cve, &names, &out->omitted);
        }
        out->n = names.n;
        out->cves = arena_newa(s->arena, const char *, names.n);
        for (size_t i = 0; i < names.n; i++)
                out->cves[i] = arena_strdup(s->arena, names.items[i]);
        vec_free(&names);
}

const char *step_cves(const Step *step, Arena *arena) {
        const char *cves = "";

        for (size_t i = 0; i < step->n; i++)
                cves = arena_printf(arena, "%s%s%s", cves, *cves ? " " : "", step->cves[i]);
        return cves;
}

static void keep(Steps *s, const StepAsked *a) {
        store_put_fixes(s->store,
                        &(StoreFixes){ a->old_id, a->new_id, a->step.package, step_cves(&a->step, s->arena),
                                       a->step.omitted, wall_usec() },
                        NULL); /* found anew the next time */
}

/* The build is what is at its path now, or was. */
static Build *add_build(Builds *b, const char *path, const BuildId *id) {
        _cleanup_(closep) int fd = root_open_path(b->dpkg.root, path, NULL);
        BuildId now = { 0 };
        bool there = fd >= 0 && image_build_id_fd(fd, path, &now, NULL) == 0 && build_id_equal(&now, id);

        return builds_add(b, path, id, there, there ? fd : -1);
}

static void finish(Steps *s, const Dpkg *d, const Tracker *t, const Build *from, const Build *to,
                   StepAsked *a) {
        const char *package = to->package ? to->package : from->package;

        if (!package && to->owner)
                package = to->owner->name;
        a->step.package = package ? arena_strdup(s->arena, package) : NULL;
        if (!from->version || !to->version || strcmp(from->source, to->source) != 0 || !to->owner)
                return;
        find_cves(s, d, t, from, to, &a->step);
        if (a->lasting && s->store)
                keep(s, a);
}

/* All that is not found yet. What can't be read here is unknown. */
static void look_up(Steps *s) {
        struct Pair {
                const Build *from, *to;
        } *pairs = arena_newa(s->arena, struct Pair, s->asked.n);
        const char *place;
        Tracker t = { 0 };
        Builds b = { 0 };
        bool good = builds_open(s->root, &b, NULL) == 0;

        for (size_t i = 0; good && i < s->asked.n; i++) {
                StepAsked *a = &s->asked.items[i];
                Build *from;

                if (a->found || !a->path || builds_unowned(&b, s->store, a->path))
                        continue;
                from = add_build(&b, a->path, &a->from.id);
                from->modified_sec = a->from.modified_sec;
                from->birth_sec = a->from.birth_sec;
                pairs[i] = (struct Pair){ from, add_build(&b, a->path, &a->to) };
        }
        if (b.n && (!s->store || builds_recall(&b, s->store, NULL) == 0) && builds_identify(&b, NULL) == 0) {
                tracker_read(b.dpkg.root, NULL, b.arena, &t, &place, NULL);
                builds_keep_unowned(&b, s->store);
        } else {
                good = false;
        }
        for (size_t i = 0; i < s->asked.n; i++) {
                StepAsked *a = &s->asked.items[i];

                if (good && pairs[i].from)
                        finish(s, &b.dpkg, &t, pairs[i].from, pairs[i].to, a);
                a->found = true;
        }
        if (b.arena)
                builds_close(&b);
}

typedef struct Copy {
        Steps *s;
        Step *to;
} Copy;

static void take(void *data, const StoreFixes *kept) {
        const Copy *c = data;
        Step step = { .package = arena_strdup(c->s->arena, kept->package), .omitted = kept->omitted };
        char *at = arena_strdup(c->s->arena, kept->cves), *cve;

        step.cves = arena_newa(c->s->arena, const char *, EVENT_CVES);
        while (step.n < EVENT_CVES && (cve = strsep(&at, " ")))
                if (*cve)
                        step.cves[step.n++] = cve;
        *c->to = step;
}

static StepAsked *add(Steps *s, const char *old_id, const char *new_id, const Step *step) {
        vec_push(&s->asked, (StepAsked){ .image = "",
                                         .old_id = arena_strdup(s->arena, old_id),
                                         .new_id = arena_strdup(s->arena, new_id),
                                         .found = true,
                                         .step = *step });
        return &s->asked.items[s->asked.n - 1];
}

/* What was asked for, with what the state has of it; NULL: neither of them has it. */
static StepAsked *recall(Steps *s, const char *image, const char *old_id, const char *new_id) {
        StepAsked *a = find(s, image, old_id, new_id);
        Step step;

        if ((a && a->found) || !s->store ||
            store_get_fixes(s->store, old_id, new_id, take, &(Copy){ s, &step }, NULL) != 1)
                return a;
        if (!a)
                return add(s, old_id, new_id, &step);
        a->found = true;
        a->step = step;
        return a;
}

void steps_put(Steps *s, const char *old_id, const char *new_id, const Step *found) {
        Step step = { .package = arena_strdup(s->arena, found->package),
                      .cves = arena_newa(s->arena, const char *, found->n),
                      .n = found->n,
                      .omitted = found->omitted };

        for (size_t i = 0; i < found->n; i++)
                step.cves[i] = arena_strdup(s->arena, found->cves[i]);
        add(s, old_id, new_id, &step);
}

Step steps_of(Steps *s, const char *image, const char *old_id, const char *new_id, bool look) {
        const StepAsked *a = recall(s, image, old_id, new_id);

        if (a && !a->found && look)
                look_up(s);
        return a ? a->step : (Step){ 0 };
}

Step steps_of_package(Steps *s, const char *package, const char *arch, const char *from) {
        Step step = { .package = arena_strdup(s->arena, package) };
        const char *place, *source_version = NULL;
        Package *p = NULL;
        Tracker t = { 0 };
        Dpkg d;

        if (dpkg_open(s->root, &d, NULL) < 0)
                return step;
        if (dpkg_read(&d, NULL) == 0)
                p = dpkg_package(&d, package, arch);
        if (p)
                source_version = dpkg_source_version(p, from, d.arena);
        if (source_version && tracker_read(d.root, NULL, d.arena, &t, &place, NULL) == 0) {
                const Build was = { .package = p->name,
                                    .version = from,
                                    .source = p->source,
                                    .source_version = source_version },
                            is = { .package = p->name,
                                   .version = p->version,
                                   .source = p->source,
                                   .source_version = p->source_version,
                                   .owner = p };

                find_cves(s, &d, &t, &was, &is, &step);
        }
        dpkg_close(&d);
        return step;
}

static const char *value_of(const Event *event, const char *key) {
        for (size_t i = 0; i < event->n; i++)
                if (strcmp(event->fields[i].key, key) == 0 && event->fields[i].value)
                        return event->fields[i].value;
        return "";
}

int step_emit(const Step *step, const Event *event, const char *file, Error *e) {
        EventField fields[EVENT_FIELDS];
        Event more = *event;
        char omitted[24];
        size_t n = MIN(event->n, (size_t)EVENT_FIELDS - EVENT_CVES - 2);

        if (n)
                memcpy(fields, event->fields, n * sizeof(*fields));
        fields[n++] = (EventField){ "STAUNCH_PACKAGE", step->package };
        for (size_t i = 0; i < step->n; i++)
                fields[n++] = (EventField){ EVENT_CVE, step->cves[i] };
        snprintf(omitted, sizeof(omitted), "%lu", (unsigned long)step->omitted);
        fields[n++] = (EventField){ "STAUNCH_CVES_OMITTED", step->omitted ? omitted : NULL };
        more.fields = fields;
        more.n = n;
        return event_emit(&more, file, e);
}

int steps_emit(Steps *s, const Event *event, bool look, const char *file, Error *e) {
        const char *old_id = value_of(event, "STAUNCH_BUILD_ID_OLD"),
                   *new_id = value_of(event, "STAUNCH_BUILD_ID_NEW");
        Step step = { 0 };

        if (*old_id && *new_id)
                step = steps_of(s, value_of(event, "STAUNCH_IMAGE"), old_id, new_id, look);
        return step_emit(&step, event, file, e);
}
