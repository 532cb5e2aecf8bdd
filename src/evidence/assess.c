/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/assess.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/cache.h"
#include "elf/deb.h"
#include "evidence/read.h"
#include "evidence/version.h"
#include "proc/maps.h"

#include <errno.h>
#include <string.h>

const char *assess_outcome_text(AssessOutcome o) {
        static const char *const text[] = { "unchanged", "hotpatch", "unknown", "restart" };

        return text[o];
}

static bool is_build(int fd, const char *path, const BuildId *id) {
        BuildId have = { 0 };

        return image_build_id_fd(fd, path, &have, NULL) == 0 && build_id_equal(&have, id);
}

/* Opens the build that the image's process runs: the file on disk when it is that, else through the process.
 */
static int open_run(const Exposure *x, const RunningImage *image) {
        _cleanup_(maps_free) Maps maps = { 0 };
        int fd = image->run->on_disk ? root_open_path(x->running.builds.dpkg.root, image->run->path, NULL)
                                     : -1;

        if (fd >= 0 && is_build(fd, image->path, &image->run->id))
                return fd;
        closep(&fd);
        if (maps_read(image->process->pid, &maps, NULL) < 0)
                return -ESRCH;
        for (size_t i = 0; i < maps.n; i++) {
                if (!(maps.items[i].prot & MAP_X) || !maps.items[i].inode)
                        continue;
                fd = mapping_open(image->process->pid, &maps.items[i]);
                if (fd >= 0 && is_build(fd, image->path, &image->run->id))
                        return fd;
                closep(&fd);
        }
        return -ENOENT;
}

/* /lib/x and /usr/lib/x are one place where /usr is merged. */
static bool same_place(const char *a, const char *b) {
        a += strncmp(a, "/usr/", 5) == 0 ? 4 : 0;
        b += strncmp(b, "/usr/", 5) == 0 ? 4 : 0;
        return strcmp(a, b) == 0;
}

static size_t folder_length(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

static bool is_beside(const char *a, const char *b) {
        size_t n;

        a += strncmp(a, "/usr/", 5) == 0 ? 4 : 0;
        b += strncmp(b, "/usr/", 5) == 0 ? 4 : 0;
        n = folder_length(a);
        return n == folder_length(b) && strncmp(a, b, n) == 0;
}

/* A parsed copy of a file's bytes; NULL: no image. */
static Image *parse_copy(const char *name, const FileBytes *file) {
        FileBytes copy = { 0 };
        Image *image = NULL;

        if (file_dup(file->bytes, file->size, &copy, NULL) < 0 || image_parse(name, &copy, &image, NULL) != 0)
                return NULL;
        return image;
}

/* The member that takes the file's place: that with its path, or, when its file name holds a version, that
 * with its soname beside it. */
static const DebMember *member_for(const Deb *deb, const char *path, const FileBytes *old) {
        _cleanup_(image_freep) Image *image = NULL;

        for (size_t i = 0; i < deb->n; i++)
                if (same_place(deb->members[i].path, path))
                        return &deb->members[i];
        image = parse_copy(path, old);
        for (size_t i = 0; image && image->soname && i < deb->n; i++) {
                _cleanup_(image_freep) Image *other = NULL;

                if (!is_beside(deb->members[i].path, path))
                        continue;
                other = parse_copy(deb->members[i].path, &deb->members[i].file);
                if (other && other->soname && strcmp(other->soname, image->soname) == 0)
                        return &deb->members[i];
        }
        return NULL;
}

static void unknown(AssessedPair *pair, const char *why) {
        pair->outcome = ASSESS_UNKNOWN;
        pair->why = why;
}

static void judge(AssessedPair *pair) {
        switch (pair->comparison.outcome) {
        case OUTCOME_HOTPATCH:
                pair->outcome = ASSESS_HOTPATCH;
                break;
        case OUTCOME_UNCHANGED:
                pair->outcome = ASSESS_UNCHANGED;
                break;
        default:
                pair->outcome = ASSESS_RESTART;
        }
}

static void accept_codes(const AssessOptions *o, const char *package, bool accepted[REFUSAL_N]) {
        policy_accepted(o->policy, package, accepted);
        for (size_t i = 0; i < REFUSAL_N; i++)
                accepted[i] |= o->accepted[i];
}

/* Takes the member's bytes as a copy: several builds of it may run. */
static int compare(const Assessed *a, const DebMember *m, FileBytes *old, const AssessOptions *o,
                   AssessedPair *pair, Error *e) {
        uint8_t old_digest[DIGEST_SIZE], new_digest[DIGEST_SIZE];
        bool accepted[REFUSAL_N] = { 0 };
        const CompareOptions options = { .accepted = accepted,
                                         .old_path = pair->run->path,
                                         .new_path = m->path,
                                         .old_version = pair->run->version,
                                         .new_version = a->new };
        FileBytes new = { 0 };
        int r;

        accept_codes(o, a->name, accepted);
        r = digest_sha256(old->bytes, old->size, old_digest, e);
        if (r == 0)
                r = digest_sha256(m->file.bytes, m->file.size, new_digest, e);
        if (r < 0)
                return r;
        if (o->cache && cache_get(o->cache, old_digest, new_digest, accepted, &pair->comparison) == 0)
                return 0;
        r = file_dup(m->file.bytes, m->file.size, &new, e);
        if (r < 0)
                return r;
        r = compare_files(pair->run->path, old, m->path, &new, &options, &pair->comparison, e);
        if (r == 0 && o->cache) /* losing it costs time only */
                cache_put(o->cache, old_digest, new_digest, &pair->comparison, accepted, NULL);
        return r;
}

static void assess_pair(Exposure *x, const Assessed *a, const Deb *deb, const AssessOptions *o,
                        AssessedPair *pair) {
        _cleanup_(closep) int fd = open_run(x, pair->images[0]);
        _cleanup_(image_freep) Image *image = NULL;
        const DebMember *m;
        FileBytes old = { 0 };
        Error e = { 0 };
        int r;

        if (fd < 0 || file_read_fd(fd, pair->run->path, IMAGE_MAX_SIZE, &old, &e) < 0) {
                unknown(pair, "the build that runs cannot be read");
                return;
        }
        m = member_for(deb, pair->run->path, &old);
        if (!m) {
                file_release(&old);
                pair->outcome = ASSESS_RESTART;
                pair->why = "the new package has nothing in its place";
                return;
        }
        image = parse_copy(m->path, &m->file);
        if (image)
                pair->new_id = image->build_id;
        if (image && build_id_equal(&pair->new_id, &pair->run->id)) {
                file_release(&old);
                pair->outcome = ASSESS_UNCHANGED;
                return;
        }
        if (o->progress)
                o->progress("comparing %s with %s %s", pair->run->path, a->name, a->new);
        r = compare(a, m, &old, o, pair, &e);
        file_release(&old);
        if (r < 0) {
                unknown(pair, arena_strdup(x->arena, e.text));
                return;
        }
        pair->compared = true;
        judge(pair);
}

/* The builds of the package that run, each with its images. `deb`: what is in it counts too, whoever owns it.
 */
static void find_pairs(Exposure *x, Assessed *a, const Deb *deb) {
        const Running *r = &x->running;
        VEC(AssessedPair) pairs = { 0 };

        for (size_t i = 0; i < r->n; i++) {
                const Build *b = r->images[i].run;
                const char *name = b->package ? b->package
                                   : b->owner ? b->owner->name
                                              : NULL,
                           *arch = b->package ? b->arch
                                   : b->owner ? b->owner->arch
                                              : NULL;
                bool of = name && strcmp(name, a->name) == 0 && strcmp(arch, a->arch) == 0;
                AssessedPair *pair = NULL;
                const RunningImage **images;

                for (size_t k = 0; !of && deb && k < deb->n; k++)
                        of = !name && same_place(deb->members[k].path, b->path);
                if (!of || !b->id.n)
                        continue;
                for (size_t k = 0; !pair && k < pairs.n; k++)
                        if (build_id_equal(&pairs.items[k].run->id, &b->id) &&
                            strcmp(pairs.items[k].run->path, b->path) == 0)
                                pair = &pairs.items[k];
                if (!pair) {
                        AssessedPair fresh = { .run = b, .why = "" };

                        vec_push(&pairs, fresh);
                        pair = &pairs.items[pairs.n - 1];
                }
                images = arena_newa(x->arena, const RunningImage *, pair->n + 1);
                if (pair->n)
                        memcpy(images, pair->images, pair->n * sizeof(*images));
                images[pair->n++] = &r->images[i];
                pair->images = images;
        }
        if (pairs.n)
                a->pairs = arena_dup(x->arena, pairs.items, pairs.n * sizeof(*pairs.items));
        a->n = pairs.n;
        vec_free(&pairs);
}

typedef VEC(const char *) Names;

static void add_name(Names *names, const char *name) {
        for (size_t i = 0; i < names->n; i++)
                if (strcmp(names->items[i], name) == 0)
                        return;
        vec_push(names, name);
}

/* From the new package's changelog, those of entries that the installed one does not have yet; from the
 * tracker, what the installed one is vulnerable to and the new one is not. */
static void find_cves(Exposure *x, Assessed *a, const Deb *deb) {
        const char *source = a->installed ? a->installed->source : a->name;
        size_t from, n;
        Names names = { 0 };
        Changelog c = { 0 };
        FileBytes text = { 0 };

        if (deb && deb->changelog.size &&
            file_dup(deb->changelog.bytes, deb->changelog.size, &text, NULL) == 0 &&
            inflate_bytes("changelog", &text, CHANGELOG_MAX, NULL) == 0)
                changelog_parse("changelog", &text, x->arena, &c, NULL);
        file_release(&text);
        for (size_t i = 0; a->installed && i < c.n; i++) {
                if (strcmp(c.entries[i].source, source) != 0)
                        continue;
                a->cves_known = true;
                if (version_compare(c.entries[i].version, a->installed->source_version) > 0)
                        for (size_t k = 0; k < c.entries[i].n_cves; k++)
                                add_name(&names, c.entries[i].cves[k]);
        }
        tracker_of(&x->tracker, source, &from, &n);
        a->cves_known |= x->tracker_path != NULL;
        for (size_t i = from; a->installed && i < from + n; i++) {
                const TrackerEntry *t = &x->tracker.entries[i];
                const char *version =
                        arena_printf(x->arena, "%.*s", (int)version_source_length(a->new), a->new);

                if (!t->binary && tracker_vulnerable(t, a->installed->source_version) &&
                    !tracker_vulnerable(t, version))
                        add_name(&names, t->cve);
        }
        if (names.n)
                a->cves = arena_dup(x->arena, names.items, names.n * sizeof(*names.items));
        a->n_cves = names.n;
        vec_free(&names);
}

static void finish(Exposure *x, Assessed *a, const Deb *deb, const AssessOptions *o) {
        find_pairs(x, a, deb);
        find_cves(x, a, deb);
        for (size_t i = 0; i < a->n; i++) {
                if (deb)
                        assess_pair(x, a, deb, o, &a->pairs[i]);
                else
                        unknown(&a->pairs[i], a->why);
                a->outcome = MAX(a->outcome, a->pairs[i].outcome);
        }
}

int assess_file(Exposure *x, const char *path, const AssessOptions *o, Assessed *out, Error *e) {
        _cleanup_(deb_freep) Deb *deb = NULL;
        Assessed a = { .file = path, .why = "" };
        int r = deb_open(path, &deb, e);

        if (r < 0)
                return r;
        if (!deb->package || !deb->version || !deb->architecture)
                return error_set(e, -EINVAL,
                                 "%s: its control file names no package, version and architecture", path);
        a.name = arena_strdup(x->arena, deb->package);
        a.arch = arena_strdup(x->arena, deb->architecture);
        a.new = arena_strdup(x->arena, deb->version);
        a.installed = dpkg_package(&x->running.builds.dpkg, a.name, a.arch);
        finish(x, &a, deb, o);
        *out = a;
        return 0;
}

int assess_upgrade(Exposure *x, const Upgrade *u, const AssessOptions *o, Assessed *out, Error *e) {
        Assessed a = { .name = u->name,
                       .arch = u->arch,
                       .new = u->new,
                       .installed = dpkg_package(&x->running.builds.dpkg, u->name, u->arch),
                       .why = "the package is not in apt's cache; --download gets it" };
        _cleanup_(deb_freep) Deb *deb = NULL;
        int r;

        find_pairs(x, &a, NULL);
        r = upgrades_package(o->root, u, a.n ? o->downloads : NULL, x->arena, &a.file,
                             e); /* only what runs */
        if (r == 0)
                r = deb_open(a.file, &deb, e);
        if (r < 0 && r != -ENOENT)
                return r;
        if (deb)
                a.why = "";
        finish(x, &a, deb, o);
        *out = a;
        return 0;
}

void assessed_free(Assessed *a) {
        for (size_t i = 0; i < a->n; i++)
                if (a->pairs[i].compared)
                        comparison_free(&a->pairs[i].comparison);
}
