/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/converge.h"
#include "base/macro.h"
#include "deliver/package.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Says which process it is about from now on. */
static void enter(const ConvergeOptions *o, const Process *p) {
        if (o->find.enter)
                o->find.enter(o->find.enter_data, p);
}

static int read_digested(int fd, const char *path, FileBytes *out, uint8_t digest[DIGEST_SIZE], Error *e) {
        int r = file_read_fd(fd, path, IMAGE_MAX_SIZE, out, e);

        if (r == 0)
                r = digest_sha256(out->bytes, out->size, digest, e);
        return r;
}

int converge_compare(const OutdatedPair *pair, PairBytes *bytes, const ConvergeOptions *o, Comparison *out,
                     Error *e) {
        CompareOptions options = {
                .diff = { .no_debug = o->no_debug },
                .accepted = o->accepted,
                .old_path = pair->path,
                .new_path = pair->path,
        };
        FileBytes old = bytes->old, new = bytes->new;

        bytes->old = bytes->new = (FileBytes){ 0 };
        return compare_files(pair->path, &old, pair->path, &new, &options, out, e);
}

/* A pair that was compared whose files hold the same (copies of one package in several containers). */
static size_t same_content(const Converged *c, size_t pair) {
        const ConvergedPair *x = &c->pairs[pair];

        for (size_t i = 0; i < c->outdated.n_pairs; i++) {
                const ConvergedPair *y = &c->pairs[i];

                if (y->compared && memcmp(x->old_digest, y->old_digest, DIGEST_SIZE) == 0 &&
                    memcmp(x->new_digest, y->new_digest, DIGEST_SIZE) == 0 &&
                    strcmp(c->outdated.pairs[pair].path, c->outdated.pairs[i].path) == 0)
                        return i;
        }
        return SIZE_MAX;
}

static void join_pairs(Converged *c, size_t pair, size_t to) {
        for (size_t i = 0; i < c->outdated.n_processes; i++) {
                OutdatedProcess *p = &c->outdated.processes[i];

                for (size_t k = 0; k < p->n; k++)
                        if (p->images[k].pair == pair)
                                p->images[k].pair = to;
        }
        c->pairs[pair].wanted = false;
}

static void compare_pair(Converged *c, size_t i, const ConvergeOptions *o) {
        const OutdatedPair *pair = &c->outdated.pairs[i];
        ConvergedPair *to = &c->pairs[i];
        PairBytes bytes = { 0 };
        size_t same;
        int r;

        if (o->find.progress)
                o->find.progress("comparing %s (%zu of %zu)", base_name(pair->path), i + 1,
                                 c->outdated.n_pairs);
        enter(o, &pair->process);
        r = read_digested(pair->old_fd, pair->path, &bytes.old, bytes.old_digest, &to->error);
        if (r == 0)
                r = read_digested(pair->new_fd, pair->path, &bytes.new, bytes.new_digest, &to->error);
        enter(o, NULL);
        memcpy(to->old_digest, bytes.old_digest, DIGEST_SIZE);
        memcpy(to->new_digest, bytes.new_digest, DIGEST_SIZE);
        same = r == 0 ? same_content(c, i) : SIZE_MAX;
        if (same != SIZE_MAX)
                join_pairs(c, i, same);
        else if (r == 0)
                r = o->compare ? o->compare(o->compare_data, pair, &bytes, o, &to->comparison, &to->error)
                               : converge_compare(pair, &bytes, o, &to->comparison, &to->error);
        if (r < 0 && !to->error.code)
                to->error.code = -EIO;
        to->compared = r == 0 && same == SIZE_MAX;
        file_release(&bytes.old);
        file_release(&bytes.new);
}

static void find_urgent(Converged *c, const ConvergeOptions *o) {
        for (size_t i = 0; i < c->outdated.n_processes && o->urgent; i++) {
                const OutdatedProcess *p = &c->outdated.processes[i];

                for (size_t k = 0; k < p->n; k++) {
                        size_t pair = p->images[k].pair;

                        if (pair == SIZE_MAX || c->pairs[pair].urgent || !c->pairs[pair].wanted ||
                            !o->urgent(o->urgent_data, &p->process))
                                continue;
                        c->pairs[pair].urgent = true;
                        c->outdated.pairs[pair].process = p->process;
                }
        }
}

static void compare_pairs(Converged *c, const ConvergeOptions *o) {
        find_urgent(c, o);
        for (int urgent = 1; urgent >= 0; urgent--)
                for (size_t i = 0; i < c->outdated.n_pairs; i++)
                        if (c->pairs[i].wanted && c->pairs[i].urgent == urgent)
                                compare_pair(c, i, o);
        for (size_t i = 0; i < c->outdated.n_pairs; i++) {
                OutdatedPair *pair = &c->outdated.pairs[i];

                closep(&pair->old_fd);
                closep(&pair->new_fd);
                pair->old_fd = pair->new_fd = -1;
        }
}

static const Patch *patch_of(const Converged *c, const ConvergedImage *image) {
        return image->image->pair == SIZE_MAX ? NULL : c->pairs[image->image->pair].comparison.patch;
}

/* Notes the patches in force, and marks the images whose pair is active already. Negative: the process cannot
 * be asked. */
static int mark_current(ConvergedProcess *p, Error *e) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t n = 0;
        int r = engine_status(p->of->process.pid, &have, &n, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < p->of->n; i++)
                for (size_t k = 0; k < n; k++) {
                        ConvergedImage *image = &p->images[i];

                        if ((have[k].state != PATCH_STATE_ACTIVE && have[k].state != PATCH_STATE_SWITCHING) ||
                            !build_id_equal(&have[k].old_id, &image->image->old_id))
                                continue;
                        image->carries = true;
                        image->carried = have[k];
                        if (have[k].state == PATCH_STATE_ACTIVE && have[k].sites == have[k].sites_intact &&
                            build_id_equal(&have[k].new_id, &image->image->new_id)) {
                                image->outcome = IMAGE_CURRENT;
                                image->functions = have[k].sites;
                        }
                }
        return 0;
}

static bool reverts_unproved(const ConvergeOptions *o, const char *path) {
        return o->reverts_unproved ? o->reverts_unproved(o->patch_data, path)
                                   : o->accepted && o->accepted[REFUSAL_CODE_REVERT_UNPROVED];
}

static bool may_revert(const ConvergedImage *image, const ConvergeOptions *o) {
        return !image->carries || image->carried.way_back == WAY_BACK_PROVED ||
               reverts_unproved(o, image->image->path);
}

static void keep_patch(Converged *c, ConvergedImage *image, const char *why) {
        image->outcome = IMAGE_RESTART;
        image->refusal = REFUSAL_CODE_REVERT_UNPROVED;
        image->functions = 0;
        image->verdict = NULL;
        image->subject = base_name(image->image->path);
        image->detail = arena_printf(c->outdated.arena, "%s%s%s", why, *why ? "; " : "",
                                     image->carried.way_back_why[0] ? image->carried.way_back_why
                                                                    : "its way back was not judged");
}

/* A patch that did harm, and can't be taken out for what the old code would find. Only a new process is rid
 * of it. */
static void judge_harm(Converged *c, ConvergedProcess *p, const ConvergeOptions *o) {
        for (size_t i = 0; o->harm && i < p->of->n; i++) {
                ConvergedImage *image = &p->images[i];
                const char *harm = image->outcome == IMAGE_CURRENT && image->carries
                                           ? o->harm(o->patch_data, &image->carried)
                                           : NULL;

                if (harm && !may_revert(image, o))
                        keep_patch(c, image, arena_printf(c->outdated.arena, "%s", harm));
        }
}

/* Its patch is to be taken out, if old code may go on with what new code left. */
static void judge_revert(Converged *c, ConvergedImage *image, const ConvergeOptions *o) {
        image->outcome = IMAGE_WOULD_REVERT;
        image->functions = image->carried.sites;
        if (!may_revert(image, o))
                keep_patch(c, image, "");
}

/* What can be said of an image without touching the process. */
static void judge_image(Converged *c, ConvergedImage *image, const ConvergeOptions *o) {
        const OutdatedImage *from = image->image;
        const ConvergedPair *pair;

        if (image->outcome == IMAGE_CURRENT)
                return;
        if (from->base) {
                judge_revert(c, image, o);
                return;
        }
        if (from->pair == SIZE_MAX) {
                image->outcome = IMAGE_RESTART;
                image->refusal = from->code;
                image->subject = base_name(from->path);
                image->detail = from->detail;
                return;
        }
        pair = &c->pairs[from->pair];
        if (pair->error.code) {
                image->outcome = IMAGE_ERROR;
                image->error = pair->error.text;
                return;
        }
        image->verdict = &pair->comparison.verdict;
        switch (pair->comparison.outcome) {
        case OUTCOME_HOTPATCH:
                image->outcome = IMAGE_WOULD_PATCH;
                image->functions = pair->comparison.patch->n_sites;
                break;
        case OUTCOME_UNCHANGED: /* another build of the same code */
                image->outcome = IMAGE_CURRENT;
                if (image->carries)
                        judge_revert(c, image, o);
                break;
        default:
                image->outcome = IMAGE_RESTART;
        }
}

static void set_error(Converged *c, ConvergedProcess *p, const bool *chosen, const Error *e) {
        for (size_t i = 0; i < p->of->n; i++)
                if (chosen[i]) {
                        p->images[i].outcome = IMAGE_ERROR;
                        p->images[i].error =
                                arena_strdup(c->outdated.arena, e->text[0] ? e->text : strerror(-e->code));
                }
}

/* Applies the patches of the chosen images, all or nothing, and notes the outcome. Returns true when it is
 * worth trying some of them alone. */
static bool apply_chosen(Converged *c, ConvergedProcess *p, const bool *chosen, const ConvergeOptions *o) {
        EngineOptions options = { .deadline_usec = o->deadline_usec };
        _cleanup_(freep) const Patch **patches = calloc(p->of->n, sizeof(*patches));
        EngineResult result = { .refusal = REFUSAL_N };
        Error e = { 0 };
        size_t n = 0;
        int r;

        if (!patches)
                return false;
        for (size_t i = 0; i < p->of->n; i++)
                if (chosen[i]) {
                        const Patch *patch = patch_of(c, &p->images[i]);

                        patches[n++] = patch;
                        if (o->begins)
                                o->begins(o->begins_data, &p->of->process, false, p->images[i].image->path,
                                          &patch->old_id, &patch->new_id, patch->digest);
                }
        r = engine_apply(p->of->process.pid, patches, n, &options, &result, &e);
        if (r == -ESRCH || (r == ENGINE_REFUSED && result.refusal == REFUSAL_CODE_PROCESS_GONE)) {
                p->gone = true;
                return false;
        }
        p->applied = true;
        p->result = result;
        if (r < 0) {
                e.code = r;
                set_error(c, p, chosen, &e);
                return false;
        }
        for (size_t i = 0; i < p->of->n; i++) {
                if (!chosen[i])
                        continue;
                p->images[i].pause_usec = result.pause_usec;
                p->images[i].refusal = result.refusal;
                if (r == 0) {
                        p->images[i].outcome = IMAGE_PATCHED;
                        p->images[i].refusal = REFUSAL_N; /* of an attempt together with others */
                        continue;
                }
                p->images[i].outcome =
                        result.refusal == REFUSAL_CODE_PROCESS_PERMISSION ? IMAGE_ERROR : IMAGE_RESTART;
                p->images[i].refusal = result.refusal;
                p->images[i].subject = arena_strdup(c->outdated.arena, result.subject);
                p->images[i].detail = arena_strdup(c->outdated.arena, result.detail);
        }
        return r == ENGINE_REFUSED && n > 1;
}

bool converge_reverts(const ConvergedImage *image) {
        return image->image->base || image->outcome == IMAGE_REVERTED ||
               image->outcome == IMAGE_WOULD_REVERT || image->refusal == REFUSAL_CODE_REVERT_UNPROVED;
}

/* Which patches are in force, and is that none but those to be taken out? Then one stop is enough for them.
 */
static bool only_reverts(const ConvergedProcess *p) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t n = 0;

        if (engine_status(p->of->process.pid, &have, &n, NULL) < 0)
                return false;
        for (size_t k = 0; k < n; k++) {
                bool reverts = have[k].state == PATCH_STATE_STAGED || have[k].state == PATCH_STATE_REVERTED;

                for (size_t i = 0; i < p->of->n; i++)
                        reverts |= p->images[i].outcome == IMAGE_WOULD_REVERT &&
                                   memcmp(p->images[i].carried.digest, have[k].digest, 32) == 0;
                if (!reverts)
                        return false;
        }
        return true;
}

/* Is the patch in force still? By the process's own word. */
static bool is_in_force(const ConvergedProcess *p, const ConvergedImage *image) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        bool found = false;
        size_t n = 0;

        if (engine_status(p->of->process.pid, &have, &n, NULL) < 0)
                return false;
        for (size_t k = 0; k < n; k++)
                found |= have[k].state != PATCH_STATE_STAGED && have[k].state != PATCH_STATE_REVERTED &&
                         memcmp(have[k].digest, image->carried.digest, 32) == 0;
        return found;
}

/* Takes the patch of one image, or (`all`) those of all images to be reverted out, and notes the outcome. */
static int revert_image(Converged *c, ConvergedProcess *p, ConvergedImage *one, bool all,
                        const ConvergeOptions *o) {
        EngineOptions options = { .deadline_usec = o->deadline_usec,
                                  .unproved = reverts_unproved(o, one->image->path) };
        EngineResult result = { .refusal = REFUSAL_N };
        Error e = { 0 };
        int r;

        for (size_t i = 0; o->begins && i < p->of->n; i++) {
                const ConvergedImage *image = &p->images[i];

                if (image->outcome == IMAGE_WOULD_REVERT && (all || image == one))
                        o->begins(o->begins_data, &p->of->process, true, image->image->path,
                                  &image->carried.old_id, &image->carried.new_id, image->carried.digest);
        }
        r = engine_revert(p->of->process.pid, all ? NULL : one->carried.digest, &options, &result, &e);

        if (r == -ESRCH || (r == ENGINE_REFUSED && result.refusal == REFUSAL_CODE_PROCESS_GONE)) {
                p->gone = true;
                return -ESRCH;
        }
        if (r == 0 && is_in_force(p, one))
                r = error_set(&e, -EIO, "the patch is in force still, after it was taken out");
        p->applied = true;
        p->result = result;
        for (size_t i = 0; i < p->of->n; i++) {
                ConvergedImage *image = &p->images[i];

                if (image->outcome != IMAGE_WOULD_REVERT || (!all && image != one))
                        continue;
                image->pause_usec = result.pause_usec;
                image->refusal = result.refusal;
                image->subject = arena_strdup(c->outdated.arena, result.subject);
                image->detail = arena_strdup(c->outdated.arena, result.detail);
                image->outcome = r == 0                                                       ? IMAGE_REVERTED
                                 : r < 0 || result.refusal == REFUSAL_CODE_PROCESS_PERMISSION ? IMAGE_ERROR
                                                                                              : IMAGE_RESTART;
                if (image->outcome == IMAGE_ERROR)
                        image->error = arena_strdup(c->outdated.arena, r < 0 ? e.text : result.detail);
                if (image->outcome != IMAGE_REVERTED)
                        image->functions = 0;
        }
        return r;
}

/* Takes out what has to be. False: some of it stays, and nothing else of the process is changed now. */
static bool revert_process(Converged *c, ConvergedProcess *p, const ConvergeOptions *o) {
        bool all = only_reverts(p), well = true;

        for (size_t i = 0; i < p->of->n; i++) /* some of them only if that is accepted: one by one */
                all &= p->images[i].outcome != IMAGE_WOULD_REVERT ||
                       p->images[i].carried.way_back == WAY_BACK_PROVED;
        for (size_t i = 0; !p->gone && i < p->of->n; i++) {
                ConvergedImage *image = &p->images[i];

                well &= image->refusal != REFUSAL_CODE_REVERT_UNPROVED;
                if (image->outcome != IMAGE_WOULD_REVERT)
                        continue;
                if (!image->carries) /* taken out meanwhile */
                        image->outcome = IMAGE_CURRENT;
                else
                        well &= revert_image(c, p, image, all, o) == 0;
        }
        return well;
}

/* The images that could have been patched wait for the one whose patch could not be taken out. */
static void wait_for_revert(Converged *c, ConvergedProcess *p, const bool *chosen) {
        const ConvergedImage *first = NULL;

        for (size_t i = 0; !first && i < p->of->n; i++)
                if (converge_reverts(&p->images[i]) && p->images[i].outcome != IMAGE_REVERTED &&
                    p->images[i].outcome != IMAGE_CURRENT)
                        first = &p->images[i];
        for (size_t i = 0; first && i < p->of->n; i++) {
                if (!chosen[i])
                        continue;
                p->images[i].outcome = first->outcome;
                p->images[i].functions = 0;
                p->images[i].verdict = NULL;
                p->images[i].refusal = first->refusal;
                p->images[i].error = first->error;
                p->images[i].subject = first->subject;
                p->images[i].detail = arena_printf(
                        c->outdated.arena, "%s%sthe patch of %s is to be taken out first", first->detail,
                        *first->detail ? "; " : "", base_name(first->image->path));
        }
}

/* Images of one package are one update. */
static const char *package_name(Converged *c, const ConvergedImage *image, const ConvergeOptions *o) {
        ConvergedPair *pair = image->image->pair == SIZE_MAX ? NULL : &c->pairs[image->image->pair];
        const char *root = o->find.root ? o->find.root : "", *path = image->image->path;
        char info[PATH_MAX], name[256];

        if (!pair)
                return "";
        if (!pair->package) {
                snprintf(info, sizeof(info), "%s" PACKAGE_INFO, root);
                path += strncmp(path, root, strlen(root)) == 0 ? strlen(root) : 0;
                pair->package = package_of(info, path, name, sizeof(name))
                                        ? arena_strdup(c->outdated.arena, name)
                                        : "";
        }
        return pair->package;
}

static bool one_update(Converged *c, const ConvergedProcess *p, size_t i, size_t k,
                       const ConvergeOptions *o) {
        const char *a = package_name(c, &p->images[i], o);

        return *a && strcmp(a, package_name(c, &p->images[k], o)) == 0;
}

/* What can be patched waits with what can't: new code of a package beside old code of the same version was
 * tried by nobody. */
static void hold_back(Converged *c, ConvergedProcess *p, const ConvergeOptions *o) {
        for (size_t i = 0; i < p->of->n; i++)
                for (size_t k = 0; k < p->of->n && p->images[i].outcome == IMAGE_WOULD_PATCH; k++) {
                        if (p->images[k].outcome != IMAGE_RESTART ||
                            p->images[k].refusal == REFUSAL_CODE_UPDATE_PARTS || !one_update(c, p, i, k, o))
                                continue;
                        p->images[i].outcome = IMAGE_RESTART;
                        p->images[i].functions = 0;
                        p->images[i].verdict = NULL;
                        p->images[i].refusal = REFUSAL_CODE_UPDATE_PARTS;
                        p->images[i].subject = base_name(p->of->images[k].path);
                        p->images[i].detail =
                                arena_printf(c->outdated.arena, "of the same package, %s, it needs a restart",
                                             package_name(c, &p->images[i], o));
                }
}

static bool needs(const Comparison *a, const Comparison *b) {
        for (size_t i = 0; b->soname && i < a->n_needed; i++)
                if (strcmp(a->needed[i], b->soname) == 0)
                        return true;
        return false;
}

/* Extends `group` (which holds one chosen image) by all that depend on one in it, or the reverse, or are of
 * its package. */
static void close_group(Converged *c, const ConvergedProcess *p, const bool *chosen, bool *group,
                        const ConvergeOptions *o) {
        bool grew;

        do {
                grew = false;
                for (size_t i = 0; i < p->of->n; i++)
                        for (size_t k = 0; group[i] && k < p->of->n; k++) {
                                const Comparison *a = &c->pairs[p->of->images[i].pair].comparison;
                                const Comparison *b;

                                if (!chosen[k] || group[k])
                                        continue;
                                b = &c->pairs[p->of->images[k].pair].comparison;
                                if (needs(a, b) || needs(b, a) || one_update(c, p, i, k, o))
                                        group[k] = grew = true;
                        }
        } while (grew);
}

/* Images that depend on each other are switched together; one that stands alone is not held back by another.
 */
static void apply_groups(Converged *c, ConvergedProcess *p, const bool *chosen, const ConvergeOptions *o) {
        _cleanup_(freep) bool *done = calloc(p->of->n, sizeof(*done)),
                              *group = calloc(p->of->n, sizeof(*group));

        for (size_t i = 0; done && group && !p->gone && i < p->of->n; i++) {
                size_t in_group = 0, all = 0;

                if (!chosen[i] || done[i])
                        continue;
                memset(group, 0, p->of->n * sizeof(*group));
                group[i] = true;
                close_group(c, p, chosen, group, o);
                for (size_t k = 0; k < p->of->n; k++) {
                        in_group += group[k];
                        all += chosen[k];
                        done[k] |= group[k];
                }
                if (in_group < all)
                        apply_chosen(c, p, group, o);
        }
}

static void apply_process(Converged *c, ConvergedProcess *p, const ConvergeOptions *o) {
        _cleanup_(freep) bool *chosen = calloc(p->of->n, sizeof(*chosen));
        Error e = { 0 };
        size_t n = 0;
        int r;

        if (!chosen)
                return;
        r = mark_current(p, &e);
        if (r == -ESRCH) {
                p->gone = true;
                return;
        }
        for (size_t i = 0; i < p->of->n; i++)
                n += chosen[i] = p->images[i].outcome == IMAGE_WOULD_PATCH ||
                                 (r < 0 && p->images[i].outcome == IMAGE_WOULD_REVERT);
        if (r < 0)
                set_error(c, p, chosen, &e);
        else if (o->dry_run)
                return;
        else if (!revert_process(c, p, o))
                wait_for_revert(c, p, chosen);
        else if (n && apply_chosen(c, p, chosen, o))
                apply_groups(c, p, chosen, o);
}

/* What the engine would say of process 1, before the dry run promises anything else. */
static void spare_init(ConvergedProcess *p) {
        for (size_t i = 0; p->of->process.pid == 1 && i < p->of->n; i++) {
                ConvergedImage *image = &p->images[i];

                if (image->outcome != IMAGE_WOULD_PATCH && image->outcome != IMAGE_WOULD_REVERT)
                        continue;
                image->outcome = IMAGE_RESTART;
                image->functions = 0;
                image->verdict = NULL;
                image->refusal = REFUSAL_CODE_PROCESS_INIT;
        }
}

/* A process counts as what is worst in it. */
static void count(Converged *c, const ConvergedProcess *p) {
        size_t n[IMAGE_ERROR + 1] = { 0 };

        if (p->gone)
                return;
        for (size_t i = 0; i < p->of->n; i++)
                n[p->images[i].outcome]++;
        if (n[IMAGE_ERROR])
                c->errors++;
        else if (n[IMAGE_RESTART])
                c->restart++;
        else if (n[IMAGE_PATCHED])
                c->patched++;
        else if (n[IMAGE_REVERTED])
                c->reverted++;
        else if (n[IMAGE_WOULD_PATCH])
                c->would++;
        else if (n[IMAGE_WOULD_REVERT])
                c->would_revert++;
        else
                c->current++;
}

/* Asks one process what it carries, and wants the pairs that it does not. */
static void begin_process(Converged *c, size_t i) {
        ConvergedProcess *p = &c->processes[i];

        p->of = &c->outdated.processes[i];
        p->images = arena_newa(c->outdated.arena, ConvergedImage, p->of->n);
        for (size_t k = 0; k < p->of->n; k++)
                p->images[k] = (ConvergedImage){
                        .image = &p->of->images[k],
                        .outcome = IMAGE_WOULD_PATCH,
                        .refusal = REFUSAL_N,
                        .subject = "",
                        .detail = "",
                        .error = "",
                };
        mark_current(p, NULL); /* it is asked again before it is changed, and what fails then is reported */
        for (size_t k = 0; k < p->of->n; k++)
                if (p->images[k].outcome != IMAGE_CURRENT && p->of->images[k].pair != SIZE_MAX)
                        c->pairs[p->of->images[k].pair].wanted = true;
}

bool converge_is_passing(RefusalCode code) {
        return code == REFUSAL_CODE_PROCESS_BUSY || code == REFUSAL_CODE_PROCESS_TRACED ||
               code == REFUSAL_CODE_PROCESS_STOP || code == REFUSAL_CODE_UNWIND_FAILED;
}

int converge_run(const ConvergeOptions *o, Converged *out, Error *e) {
        OutdatedOptions find = o->find;
        Converged c = { 0 };
        int r;

        find.patches = true;
        r = outdated_find(&find, &c.outdated, e);

        if (r < 0)
                return r;
        c.pairs = arena_newa(c.outdated.arena, ConvergedPair, c.outdated.n_pairs);
        c.processes = arena_newa(c.outdated.arena, ConvergedProcess, c.outdated.n_processes);
        for (size_t i = 0; i < c.outdated.n_processes; i++) {
                enter(o, &c.outdated.processes[i].process);
                begin_process(&c, i);
        }
        compare_pairs(&c, o);
        for (size_t i = 0; i < c.outdated.n_processes; i++) {
                ConvergedProcess *p = &c.processes[i];

                if (o->find.progress)
                        o->find.progress("%d %s (%zu of %zu)", p->of->process.pid, p->of->process.comm, i + 1,
                                         c.outdated.n_processes);
                enter(o, &p->of->process);
                for (size_t k = 0; k < p->of->n; k++)
                        judge_image(&c, &p->images[k], o);
                spare_init(p);
                hold_back(&c, p, o);
                apply_process(&c, p, o);
                judge_harm(&c, p, o);
                count(&c, p);
        }
        enter(o, NULL);
        *out = c;
        return 0;
}

void converge_free(Converged *c) {
        for (size_t i = 0; i < c->outdated.n_pairs; i++)
                comparison_free(&c->pairs[i].comparison);
        outdated_free(&c->outdated);
}
