/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/running.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/outdated.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static RunningImage *add(Running *r, const Process *p, const char *path) {
        const Process *process = r->n ? r->images[r->n - 1].process : NULL;

        if (!process || process->pid != p->pid)
                process = arena_dup(r->builds.arena, p, sizeof(*p));
        if (r->n == r->room) {
                r->room = r->room ? r->room * 2 : 256;
                r->images = vec_grow(r->images, r->room, sizeof(*r->images));
        }
        r->images[r->n] = (RunningImage){ .process = process, .path = path };
        return &r->images[r->n++];
}

static void add_current(void *data, const Process *p, const char *path, int fd) {
        Running *r = data;
        Build *build = builds_current(&r->builds, p, path, fd);
        RunningImage *image;
        struct stat st;

        if (!build) {
                r->elsewhere += fstat(fd, &st) == 0 &&
                                !builds_path(&r->builds, p, path, &(FileId){ st.st_dev, st.st_ino });
                return;
        }
        image = add(r, p, arena_strdup(r->builds.arena, path));
        image->run = image->disk = image->effective = build;
}

static void add_outdated(Running *r, const Outdated *o) {
        for (size_t i = 0; i < o->n_processes; i++)
                for (size_t k = 0; k < o->processes[i].n; k++) {
                        const OutdatedImage *from = &o->processes[i].images[k];
                        const OutdatedPair *pair = from->pair == SIZE_MAX ? NULL : &o->pairs[from->pair];
                        const Process *p = &o->processes[i].process;
                        const char *path = builds_path(&r->builds, p, from->path, &from->now);
                        RunningImage *image;

                        if (from->base)
                                continue; /* add_current() was told of it */
                        if (!path) {
                                r->elsewhere++;
                                continue;
                        }
                        image = add(r, p, arena_strdup(r->builds.arena, from->path));
                        image->run = image->effective =
                                builds_add(&r->builds, path, &from->old_id, false, pair ? pair->old_fd : -1);
                        if (pair)
                                image->disk = builds_add(&r->builds, path, &from->new_id, true, pair->new_fd);
                }
}

static int by_process(const void *a, const void *b) {
        const RunningImage *x = a, *y = b;

        return x->process->pid < y->process->pid ? -1 : x->process->pid > y->process->pid;
}

static bool is_whole(const ProcessPatch *p) {
        return p->state == PATCH_STATE_ACTIVE && p->sites == p->sites_intact;
}

/* Notes what the patches of one process, whose images are the `n` at `images`, mean for them. */
static void note_patches(Running *r, RunningImage *images, size_t n, const ProcessPatch *have, size_t n_have,
                         bool read_back) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n_have; k++) {
                        RunningImage *image = &images[i];
                        const ProcessPatch *p = &have[k];

                        if (!build_id_equal(&p->old_id, &image->run->id) || p->state == PATCH_STATE_STAGED ||
                            p->state == PATCH_STATE_REVERTED)
                                continue;
                        /* Several copies of an image are patched together; one that is not whole decides. */
                        image->damaged |= !is_whole(p);
                        image->patched = !image->damaged;
                        image->patch = *p;
                        if (read_back && image->patched)
                                image->has_code = engine_read_back(image->process->pid, p->digest,
                                                                   image->code_sha256, NULL) == 0;
                }
        for (size_t i = 0; i < n; i++)
                if (images[i].patched)
                        images[i].effective =
                                builds_find(&r->builds, images[i].run->path, &images[i].patch.new_id);
}

static void ask_processes(Running *r, const RunningOptions *o) {
        for (size_t i = 0, n; i < r->n; i += n) {
                const Process *p = r->images[i].process;
                _cleanup_(freep) ProcessPatch *have = NULL;
                size_t n_have = 0;

                for (n = 1; i + n < r->n && r->images[i + n].process->pid == p->pid; n++)
                        ;
                if (o->progress)
                        o->progress("asking process %d %s", p->pid, p->comm);
                if (engine_status(p->pid, &have, &n_have, NULL) == 0 && n_have)
                        note_patches(r, r->images + i, n, have, n_have, o->read_back);
        }
}

static int recall(Running *r, const char *state, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        int code = state ? store_open_read(state, &store, e) : -ENOENT;

        return code == -ENOENT ? 0 : code < 0 ? code : builds_recall(&r->builds, store, e);
}

int running_read(const RunningOptions *o, Running *out, Error *e) {
        Running r = { 0 };
        OutdatedOptions find = { .pids = o->pids,
                                 .n_pids = o->n_pids,
                                 .root = o->root,
                                 .current = add_current,
                                 .current_data = &r,
                                 .progress = o->progress };
        Outdated outdated = { 0 };
        int code = builds_open(o->root, &r.builds, e);

        if (code < 0)
                return code;
        code = recall(&r, o->state, e);
        if (code == 0)
                code = outdated_find(&find, &outdated, e);
        if (code == 0) {
                add_outdated(&r, &outdated);
                r.looked_at = outdated.looked_at;
                r.hidden = outdated.hidden;
                outdated_free(&outdated);
                if (r.n)
                        qsort(r.images, r.n, sizeof(*r.images), by_process);
                code = builds_identify(&r.builds, e);
        }
        if (code < 0) {
                running_free(&r);
                return code;
        }
        ask_processes(&r, o);
        *out = r;
        return 0;
}

void running_free(Running *r) {
        free(TAKE_PTR(r->images));
        builds_close(&r->builds);
}
