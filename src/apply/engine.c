/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/engine.h"
#include "apply/guardian.h"
#include "apply/header.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/loaded.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <string.h>

struct EngineCall {
        GuardianCall call;
        bool init; /* process 1: refused, and nothing was begun */
};

static int check_pid(pid_t pid, Error *e) {
        if (pid < 1)
                return error_set(e, -EINVAL, "%d is no process", pid);
        if (pid == getpid())
                return error_set(e, -EINVAL, "process %d is this program itself", pid);
        return 0;
}

static int refuse_init(EngineResult *result) {
        *result = (EngineResult){ .refusal = REFUSAL_CODE_PROCESS_INIT };
        return ENGINE_REFUSED;
}

int engine_apply_begin(EngineCall **out, pid_t pid, const Patch *const *patches, size_t n_patches,
                       const EngineOptions *options, Error *e) {
        static const uint8_t none[32];
        GuardianRequest q = { .op = GUARDIAN_APPLY, .pid = pid, .has_options = options != NULL };
        EngineCall *c;
        int r = check_pid(pid, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n_patches; i++)
                if (memcmp(patches[i]->digest, none, sizeof(none)) == 0)
                        return error_set(e, -EINVAL, "patch %s has no digest: it was never written",
                                         patches[i]->name);
        if (options)
                q.options = *options;
        c = vec_grow(NULL, 1, sizeof(*c));
        c->init = pid == 1;
        if (!c->init)
                guardian_begin(&c->call, &q, patches, n_patches);
        *out = c;
        return 0;
}

int engine_apply_finish(EngineCall *c, EngineResult *result, Error *e) {
        int r = c->init ? refuse_init(result) : guardian_finish(&c->call, result, e);

        free(c);
        return r;
}

int engine_apply(pid_t pid, const Patch *const *patches, size_t n_patches, const EngineOptions *options,
                 EngineResult *result, Error *e) {
        EngineCall *c;
        int r = engine_apply_begin(&c, pid, patches, n_patches, options, e);

        return r < 0 ? r : engine_apply_finish(c, result, e);
}

int engine_revert(pid_t pid, const uint8_t digest[32], const EngineOptions *options, EngineResult *result,
                  Error *e) {
        GuardianRequest q = { .op = GUARDIAN_REVERT,
                              .pid = pid,
                              .has_digest = digest != NULL,
                              .has_options = options != NULL };
        GuardianCall call;
        int r = check_pid(pid, e);

        if (r < 0)
                return r;
        if (pid == 1)
                return refuse_init(result);
        if (digest)
                memcpy(q.digest, digest, sizeof(q.digest));
        if (options)
                q.options = *options;
        guardian_begin(&call, &q, NULL, 0);
        return guardian_finish(&call, result, e);
}

static uint32_t count_intact(pid_t pid, const Header *h) {
        uint32_t intact = 0;

        for (size_t i = 0; i < h->n_sites; i++) {
                const HeaderSite *s = &h->sites[i];
                const uint8_t *want = h->state == PATCH_STATE_ACTIVE ? s->after : s->before;
                uint8_t have[PATCH_SITE_BYTES];

                if (mem_read_code(pid, h->image_base + s->patch_addr, have, s->n) == 0 &&
                    memcmp(have, want, s->n) == 0)
                        intact++;
        }
        for (size_t i = 0; i < h->n_words; i++) {
                uint64_t want = h->state == PATCH_STATE_ACTIVE ? header_word_after(h, i)
                                                               : header_word_before(h, i),
                         have;

                if (mem_read(pid, h->image_base + h->words[i].where, &have, sizeof(have)) == 0 &&
                    have == want)
                        intact++;
        }
        return intact;
}

int engine_status(pid_t pid, ProcessPatch **out, size_t *n, Error *e) {
        _cleanup_(maps_free) Maps maps = { 0 };
        int r;

        pid = task_with_memory(pid);
        if (pid < 0)
                return error_errno(e, pid, "the process has ended");
        r = maps_read(pid, &maps, e);
        return r < 0 ? r : engine_status_at(pid, &maps, out, n, e);
}

int engine_status_at(pid_t pid, const Maps *maps, ProcessPatch **out, size_t *n, Error *e) {
        _cleanup_(freep) Loaded *loaded = NULL;
        VEC(ProcessPatch) v = { 0 };
        Header *headers = NULL;
        size_t n_headers = 0, n_loaded = 0;
        int r = header_find(pid, maps, &headers, &n_headers, e);

        if (r == 0 && n_headers)
                r = loaded_list(pid, maps, &loaded, &n_loaded, e);
        for (size_t i = 0; r == 0 && i < n_headers; i++) {
                const Header *h = &headers[i];
                ProcessPatch p = { .old_id = h->old_id,
                                   .new_id = h->new_id,
                                   .state = h->state,
                                   .image_base = h->image_base,
                                   .shadow_base = h->shadow_base,
                                   .low = h->shadow_base + h->lo,
                                   .high = h->shadow_base + h->hi,
                                   .sites = (uint32_t)(h->n_sites + h->n_words),
                                   .time_sec = h->time_sec };

                if (h->state != PATCH_STATE_STAGED && !header_is_current(pid, h, loaded, n_loaded))
                        continue;
                memcpy(p.digest, h->digest, sizeof(p.digest));
                memcpy(p.name, h->name, sizeof(p.name));
                p.way_back = h->way_back;
                p.startup_only = h->startup_only;
                memcpy(p.way_back_why, h->way_back_why, sizeof(p.way_back_why));
                p.sites_intact = count_intact(pid, h);
                vec_push(&v, p);
        }
        headers_free(&headers, n_headers);
        if (r < 0)
                return r;
        *out = v.items;
        *n = v.n;
        return 0;
}
