/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/exposure.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/fix.h"
#include "evidence/scripts.h"
#include "evidence/version.h"

#include <errno.h>
#include <string.h>

const char *cve_state_text(CveState s) {
        static const char *const text[] = { "not-affected", "current",           "hotpatched",
                                            "unknown",      "exposed-in-memory", "exposed" };

        return text[s];
}

const char *cve_source_text(unsigned sources) {
        static const char *const text[] = { "none", "changelog", "tracker", "changelog and tracker" };

        return text[sources & 3];
}

/* One package, by what its processes' images say it is, with those images. */
typedef struct Subject {
        Package *package;
        const char *name, *source, *arch;
        VEC(const RunningImage *) images;
} Subject;

typedef struct Work {
        Exposure *x;
        const ExposureOptions *o;
        VEC(Subject) subjects;
        VEC(Cve) cves;
} Work;

static FixIn build_has_fix(const Fix *fix, const Build *b, const Subject *s) {
        if (!b || !b->version || strcmp(b->source, s->source) != 0)
                return FIX_UNKNOWN;
        return fix_in(fix, b->version, b->source_version);
}

static CveImage judge_image(const Work *w, const Fix *fix, const Subject *s, const RunningImage *image,
                            FixIn on_disk) {
        FixIn run = build_has_fix(fix, image->run, s), effective = build_has_fix(fix, image->effective, s);
        CveImage out = { .image = image, .state = CVE_UNKNOWN, .why = "" };

        if (image->patched && effective == FIX_THERE)
                out.state = run == FIX_THERE ? CVE_CURRENT : CVE_HOTPATCHED;
        else if (!image->patched && run == FIX_THERE)
                out.state = CVE_CURRENT;
        else if (effective == FIX_LACKING)
                out.state = on_disk == FIX_LACKING ? CVE_EXPOSED : CVE_EXPOSED_IN_MEMORY;
        else if (image->patched && !(image->effective && image->effective->version))
                out.why = "the version that its patch leads to is unknown";
        else
                out.why = *image->run->why ? image->run->why : "the CVE is not known to what is here";
        /* Nothing tells whether the fix is in the part that ran, by the old code, before the patch came. */
        if (out.state == CVE_HOTPATCHED && image->patch.startup_only) {
                out.state = CVE_UNKNOWN;
                out.why = "some of the code that changed had run once before the patch (startup-only): a "
                          "restart puts all "
                          "of it in force";
        }
        /* A build that is not what is on disk came with scripts of its own version. */
        if ((out.state == CVE_HOTPATCHED || (out.state == CVE_CURRENT && image->run == image->disk)) &&
            scripts_may_be_old(&w->x->running, image, s->package)) {
                out.state = CVE_UNKNOWN;
                out.why = "the package has scripts, and the process started before this version was unpacked";
        }
        return out;
}

static bool judge_package(const Work *w, const Subject *s, const char *cve, CvePackage *out) {
        const Changelog *changelog =
                s->package ? dpkg_changelog(&w->x->running.builds.dpkg, s->package) : NULL;
        CveState plain;
        FixIn disk;
        Fix k;

        if (!fix_find(changelog, &w->x->tracker, s->source, s->name, cve, &k))
                return false;
        disk = s->package ? fix_in(&k, s->package->version, s->package->source_version) : FIX_UNKNOWN;
        plain = disk == FIX_THERE ? CVE_CURRENT : disk == FIX_LACKING ? CVE_EXPOSED : CVE_UNKNOWN;
        *out = (CvePackage){
                .package = s->package,
                .name = s->name,
                .source = s->source,
                .arch = s->arch,
                .fixed = k.fixed                                   ? k.fixed
                         : k.source && *k.source->unstable_version ? k.source->unstable_version
                                                                   : "",
                .by = (k.fixed ? CVE_BY_CHANGELOG : 0u) | (k.source || k.binary ? CVE_BY_TRACKER : 0u),
                .on_disk = disk == FIX_THERE,
                .available = (k.source && k.source->available) || (k.binary && k.binary->available),
                .images = arena_newa(w->x->arena, CveImage, s->images.n),
                .n = s->images.n,
                .state = s->images.n && disk != FIX_LACKING ? CVE_NOT_AFFECTED : plain,
        };
        for (size_t i = 0; i < s->images.n; i++) {
                out->images[i] = judge_image(w, &k, s, s->images.items[i], disk);
                out->state = MAX(out->state, out->images[i].state);
        }
        return true;
}

static Cve *cve_entry(Work *w, const char *name) {
        size_t i;

        for (i = 0; i < w->cves.n; i++)
                if (strcmp(w->cves.items[i].name, name) == 0)
                        return &w->cves.items[i];
        vec_push(&w->cves, (Cve){ .name = name });
        return &w->cves.items[i];
}

/* Adds what one CVE means for one package to the answer. */
static void answer(Work *w, const Subject *s, const char *cve) {
        CvePackage p, *all;
        Cve *to;

        if (!judge_package(w, s, cve, &p))
                return;
        if (!w->o->cve && !w->o->current && p.state <= CVE_CURRENT)
                return;
        to = cve_entry(w, cve);
        for (size_t i = 0; i < to->n; i++)
                if (strcmp(to->packages[i].name, p.name) == 0 && strcmp(to->packages[i].arch, p.arch) == 0)
                        return; /* named by both changelog and tracker */
        all = arena_newa(w->x->arena, CvePackage, to->n + 1);
        if (to->n)
                memcpy(all, to->packages, to->n * sizeof(*all));
        all[to->n] = p;
        to->packages = all;
        to->n++;
        to->state = MAX(to->state, p.state);
}

static Subject *subject_of(Work *w, Package *package, const char *name, const char *source,
                           const char *arch) {
        size_t i;

        for (i = 0; i < w->subjects.n; i++)
                if (strcmp(w->subjects.items[i].name, name) == 0 &&
                    strcmp(w->subjects.items[i].arch, arch) == 0)
                        return &w->subjects.items[i];
        vec_push(&w->subjects, (Subject){ .package = package, .name = name, .source = source, .arch = arch });
        return &w->subjects.items[i];
}

/* Which package's image it is: of the build that runs, or, when that is unknown, whoever has its path now. */
static void add_image(Work *w, const RunningImage *image) {
        const Build *b = image->run;
        Package *installed =
                b->package ? dpkg_package(&w->x->running.builds.dpkg, b->package, b->arch) : b->owner;
        Subject *s;

        if (!b->package && !b->owner)
                return; /* of no package */
        w->x->unknown += !b->version;
        s = b->package ? subject_of(w, installed, b->package, b->source, b->arch)
                       : subject_of(w, b->owner, b->owner->name, b->owner->source, b->owner->arch);
        vec_push(&s->images, image);
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const Subject *)a)->name, ((const Subject *)b)->name);
}

static int by_cve(const void *a, const void *b) {
        const char *x = ((const Cve *)a)->name, *y = ((const Cve *)b)->name;

        return version_compare(x, y); /* numbers as numbers */
}

static void find_subjects(Work *w) {
        Running *r = &w->x->running;

        for (size_t i = 0; i < r->n; i++)
                add_image(w, &r->images[i]);
        for (size_t i = 0; i < w->subjects.n; i++)
                if (!w->subjects.items[i].package ||
                    !dpkg_changelog(&r->builds.dpkg, w->subjects.items[i].package)->n)
                        w->x->no_changelog++;
        for (size_t i = 0; w->o->cve && i < r->builds.dpkg.n; i++) {
                Package *p = &r->builds.dpkg.packages[i];

                subject_of(w, p, p->name, p->source, p->arch);
        }
        if (w->subjects.n)
                qsort(w->subjects.items, w->subjects.n, sizeof(*w->subjects.items), by_name);
}

/* Every CVE that could be worth a word: those of entries newer than the oldest version that runs, and the
 * tracker's. With `current`: all that the changelog names. */
static void answer_all(Work *w, const Subject *s) {
        const Changelog *c = s->package ? dpkg_changelog(&w->x->running.builds.dpkg, s->package) : NULL;
        const char *oldest = NULL, *const names[] = { s->source, s->name };

        for (size_t i = 0; i < s->images.n; i++) {
                const Build *b = s->images.items[i]->run;

                if (b->source_version && (!oldest || version_compare(b->source_version, oldest) < 0))
                        oldest = b->source_version;
        }
        for (size_t i = 0; c && i < c->n; i++)
                if (w->o->current || (oldest && version_compare(c->entries[i].version, oldest) > 0))
                        for (size_t n = 0; n < c->entries[i].n_cves; n++)
                                answer(w, s, c->entries[i].cves[n]);
        for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                size_t from, n;

                tracker_of(&w->x->tracker, names[k], &from, &n);
                for (size_t i = from; i < from + n; i++)
                        answer(w, s, w->x->tracker.entries[i].cve);
        }
}

int exposure_read(const ExposureOptions *o, Exposure *out, Error *e) {
        Exposure x = { .arena = arena_new() };
        Work w = { .x = &x, .o = o };
        int r = running_read(&o->running, &x.running, e);

        if (r < 0) {
                arena_free(x.arena);
                return r;
        }
        r = tracker_read(x.running.builds.dpkg.root, o->tracker, x.arena, &x.tracker, &x.tracker_path, e);
        if (r < 0) {
                exposure_free(&x);
                return r;
        }
        find_subjects(&w);
        if (o->cve) { /* with no package it stays in the answer, as unknown */
                Cve *asked = cve_entry(&w, o->cve);

                asked->state = CVE_UNKNOWN;
                for (size_t i = 0; i < w.subjects.n; i++) {
                        asked->state = asked->n ? asked->state : CVE_NOT_AFFECTED;
                        answer(&w, &w.subjects.items[i], o->cve);
                }
                if (!asked->n)
                        asked->state = tracker_names(&x.tracker, o->cve) ? CVE_NOT_AFFECTED : CVE_UNKNOWN;
        } else {
                for (size_t i = 0; i < w.subjects.n; i++)
                        answer_all(&w, &w.subjects.items[i]);
        }
        if (w.cves.n) {
                qsort(w.cves.items, w.cves.n, sizeof(*w.cves.items), by_cve);
                x.cves = arena_dup(x.arena, w.cves.items, w.cves.n * sizeof(*w.cves.items));
                x.n = w.cves.n;
        }
        for (size_t i = 0; i < w.subjects.n; i++)
                vec_free(&w.subjects.items[i].images);
        vec_free(&w.subjects);
        vec_free(&w.cves);
        *out = x;
        return 0;
}

void exposure_free(Exposure *x) {
        running_free(&x->running);
        x->arena = arena_free(x->arena);
}

void exposure_count(const Exposure *x, size_t counts[CVE_STATE_N]) {
        memset(counts, 0, CVE_STATE_N * sizeof(*counts));
        for (size_t i = 0; i < x->n; i++)
                counts[x->cves[i].state]++;
}
