/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/bind.h"
#include "apply/fault.h"
#include "apply/frames.h"
#include "apply/import.h"
#include "apply/session.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"
#include "proc/quota.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

/* One copy of an image in the process, to be moved to one patch. */
typedef struct Instance {
        const Patch *patch;
        uint64_t base;
        const Header *replaced; /* of the session: an older patch in its place; NULL: none */
        const Header *dead;     /* of the session: what it was about is gone; NULL: none */
        const Header
                *header; /* whose jumps are written: of the session (put to use again), or &staged.header */
        bool is_staged, kept; /* kept: must not be unmapped again */
        Staged staged;
        uint64_t *imports, *bound; /* bound: bind_variables */
        bool any_bound;
        int64_t deltas[PLACE_MAX]; /* where it may lie, the best first */
        size_t n_deltas;
} Instance;

typedef struct Plan {
        Instance *items;
        size_t n, room;
} Plan;

static void plan_free(Plan *p) {
        for (size_t i = 0; i < p->n; i++)
                free(p->items[i].imports), free(p->items[i].bound);
        free(p->items);
}

static int cache_get(ShadowCache *c, const Patch *p, int64_t delta, bool share, const Shadow **out,
                     Error *e) {
        Shadow *s;
        int r;

        for (size_t i = 0; i < c->n; i++)
                if (c->items[i]->patch == p && c->items[i]->delta == delta &&
                    c->items[i]->no_sharing == !share) {
                        *out = c->items[i];
                        return 0;
                }
        r = shadow_new(p, delta, share, &s, e);
        if (r)
                return r;
        if (c->n == c->room) {
                c->room = c->room ? c->room * 2 : 8;
                c->items = vec_grow(c->items, c->room, sizeof(*c->items));
        }
        c->items[c->n++] = s;
        *out = s;
        return 0;
}

/* The image's file is mapped, but not as code: the program moved its text elsewhere. */
static bool mapped_without_text(const Session *s, const BuildId *id) {
        for (size_t i = 0; i < s->maps.n; i++) {
                const Mapping *m = &s->maps.items[i];
                ElfHead head;
                int fd;

                if (!m->inode || m->offset || (m->prot & MAP_X))
                        continue;
                fd = mapping_open(s->pid, m);
                if (fd < 0)
                        continue;
                if (elf_head_read(fd, &head) == 0 && build_id_equal(&head.build_id, id)) {
                        close(fd);
                        return true;
                }
                close(fd);
        }
        return false;
}

/* Those that count, the active one first, then from the newest to the oldest. */
static size_t order_headers(const Session *s, const Instance *x, const Header **out) {
        size_t n = 0;

        for (size_t k = 0; k < s->n_headers; k++) {
                const Header *h = &s->headers[k];
                size_t at = n;

                if (h->image_base != x->base || !build_id_equal(&h->old_id, &x->patch->old_id) ||
                    (h->state != PATCH_STATE_ACTIVE && h->state != PATCH_STATE_REVERTED) ||
                    !header_counts(s, h))
                        continue;
                while (at > 0 && (h == x->replaced ||
                                  (out[at - 1] != x->replaced && out[at - 1]->time_sec < h->time_sec))) {
                        out[at] = out[at - 1];
                        at--;
                }
                out[at] = h;
                n++;
        }
        return n;
}

/* Where its variables are, and whether it lies there already as an earlier apply left it. */
static int plan_variables(Session *s, Instance *x, Error *e) {
        _cleanup_(freep) const Header **headers = vec_grow(NULL, s->n_headers + 1, sizeof(*headers));
        size_t n = order_headers(s, x, headers);
        int r = bind_variables(s, x->patch, headers, n, x->replaced != NULL, &x->bound, e);

        for (size_t k = 0; r == 0 && k < n && !x->header; k++)
                if (headers[k]->state == PATCH_STATE_REVERTED &&
                    bind_agrees(headers[k], x->patch, x->bound) &&
                    memcmp(headers[k]->digest, x->patch->digest, sizeof(headers[k]->digest)) == 0)
                        x->header = headers[k];
        return r;
}

/* Decides for each copy of the image what there is to do. */
static int plan_patch(Session *s, const Patch *p, Plan *plan, Error *e) {
        size_t found = 0;
        int r;

        for (size_t i = 0; i < s->n_loaded; i++) {
                const Loaded *l = &s->loaded[i];
                Instance x = { .patch = p, .base = l->base };
                bool current = false;

                if (!build_id_equal(&l->head.build_id, &p->old_id))
                        continue;
                found++;
                if (l->unusual || l->head.lo != p->old_lo || l->head.hi != p->old_hi)
                        return refuse(s->res, REFUSAL_CODE_IMAGE_UNUSUAL, l->text->path, "mapped at 0x%llx",
                                      (unsigned long long)l->base);
                for (size_t k = 0; k < s->n_headers; k++) {
                        const Header *h = &s->headers[k];
                        bool same = memcmp(h->digest, p->digest, sizeof(h->digest)) == 0;

                        if (h->image_base != l->base || !build_id_equal(&h->old_id, &p->old_id))
                                continue;
                        if (!header_counts(s, h)) { /* of an image that lay here before, and was unloaded */
                                x.dead = h;
                                continue;
                        }
                        if (h->state == PATCH_STATE_ACTIVE && same)
                                current = true;
                        else if (h->state == PATCH_STATE_ACTIVE)
                                x.replaced = h;
                }
                s->res->instances++;
                if (current)
                        continue;
                if (plan->n == plan->room) {
                        plan->room = plan->room ? plan->room * 2 : 4;
                        plan->items = vec_grow(plan->items, plan->room, sizeof(*plan->items));
                }
                plan->items[plan->n++] = x;
                r = plan_variables(s, &plan->items[plan->n - 1], e);
                if (r)
                        return r;
        }
        if (found)
                return 0;
        if (mapped_without_text(s, &p->old_id))
                return refuse(s->res, REFUSAL_CODE_IMAGE_UNUSUAL, p->name,
                              "its text is not mapped from the file");
        return refuse(s->res, REFUSAL_CODE_IMAGE_NOT_MAPPED, p->name, "process %d", s->pid);
}

/* Where it may lie; and what will lie there, while all run. */
static int prepare_instance(Session *s, Instance *x, bool share, Error *e) {
        uint64_t lo = UINT64_MAX, hi = 0;
        const Shadow *ignored;
        int r = 1;

        for (size_t i = 0; i < x->patch->n_variables; i++)
                if (x->bound[i]) {
                        lo = MIN(lo, x->bound[i]);
                        hi = MAX(hi, x->bound[i] + x->patch->variables[i].size);
                        x->any_bound = true;
                }
        x->n_deltas = place_candidates(x->patch, x->base, &s->maps, lo, hi, x->deltas);
        for (size_t i = 0; i < x->n_deltas && r > 0; i++)
                r = cache_get(s->cache, x->patch, x->deltas[i], share, &ignored, e);
        return MIN(r, 0);
}

static int map_instance(Session *s, Remote *remote, Instance *x, bool share, int mem_fd, Error *e) {
        struct rlimit limit;

        for (size_t i = 0; i < x->n_deltas; i++) {
                const Shadow *shadow;
                int r = cache_get(s->cache, x->patch, x->deltas[i], share, &shadow, e);

                if (r == 0)
                        r = stage_map(remote, shadow, x->base, mem_fd, &x->staged, e);
                if (r == -ENOMEM)
                        return refuse(s->res, REFUSAL_CODE_NO_ROOM, x->patch->name,
                                      "the kernel gives process %d no more memory or mappings", s->pid);
                if (r < 0)
                        return r;
                if (r == 0) {
                        x->is_staged = true;
                        x->header = &x->staged.header;
                        return 0;
                }
        }
        if (prlimit(s->pid, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
                return refuse(s->res, REFUSAL_CODE_NO_ROOM, x->patch->name,
                              "%zu places tried; its address space is limited to %llu MiB (RLIMIT_AS)",
                              x->n_deltas, (unsigned long long)limit.rlim_cur >> 20);
        return refuse(s->res, REFUSAL_CODE_NO_ROOM, x->patch->name, "%zu places tried", x->n_deltas);
}

/* With a thread that is stopped already, or (NULL) another. What was to be said of this apply is kept. */
static void unstage(Session *s, Remote *remote, Plan *plan) {
        EngineResult kept = *s->res;
        Remote own = { 0 };
        bool any = false;
        Error ignored;

        for (size_t i = 0; i < plan->n; i++)
                any |= plan->items[i].is_staged && !plan->items[i].kept;
        if (any && !remote && session_remote(s, &own, &ignored) == 0)
                remote = &own;
        for (size_t i = 0; remote && i < plan->n; i++)
                if (plan->items[i].is_staged && !plan->items[i].kept) {
                        stage_unmap(remote, plan->items[i].staged.start, plan->items[i].staged.end);
                        plan->items[i].is_staged = false;
                }
        remote_close(&own);
        kept.private_bytes = kept.shared_bytes = 0;
        *s->res = kept;
}

/* Only what a thread has to do itself is done while it is stopped. */
static int map_plan(Session *s, Plan *plan, bool share, int mem_fd, Error *e) {
        Remote remote = { 0 };
        int r = session_remote(s, &remote, e);

        for (size_t i = 0; i < s->n_headers && r == 0;
             i++) /* left behind by one that was killed while staging */
                if (s->headers[i].state == PATCH_STATE_STAGED)
                        stage_unmap(&remote, s->headers[i].self,
                                    s->headers[i].self + s->headers[i].size +
                                            (s->headers[i].hi - s->headers[i].lo));
        for (size_t i = 0; i < plan->n && r == 0; i++)
                if (!plan->items[i].header)
                        r = map_instance(s, &remote, &plan->items[i], share, mem_fd, e);
        if (r && remote.tid)
                unstage(s, &remote, plan);
        remote_close(&remote);
        return r;
}

/*
 * At the limit of its control group the kernel kills somebody in it for a page that we have written to. What
 * of the process's own code becomes private with the switch counts, too.
 */
static int leave_memory(Session *s, const Plan *plan) {
        enum { MARGIN = 65536 }; /* page tables, and what else its calls take for a moment */
        uint64_t need = MARGIN, left;

        for (size_t i = 0; i < plan->n; i++) {
                const Patch *p = plan->items[i].patch;
                uint64_t page = 0;

                for (size_t k = 0; k < p->n_sites; k++) {
                        need += p->sites[k].patch_addr / PAGE_SIZE_X86 == page ? 0 : PAGE_SIZE_X86;
                        page = p->sites[k].patch_addr / PAGE_SIZE_X86;
                }
                if (plan->items[i].header) /* it has the rest already */
                        continue;
                need += p->lo - shadow_lo(p) + p->n_words * PAGE_SIZE_X86;
                for (size_t k = 0; k < p->n_sections; k++)
                        need += p->sections[k].size ? align_up(p->sections[k].size, PAGE_SIZE_X86) : 0;
        }
        left = quota_memory_left(s->pid, need);
        if (need <= left)
                return 0;
        return refuse(s->res, REFUSAL_CODE_NO_ROOM, plan->items[0].patch->name,
                      "its control group is near its limit of memory: %llu KiB are left to process %d, %llu "
                      "may be needed",
                      (unsigned long long)left >> 10, s->pid, (unsigned long long)need >> 10);
}

static int stage_all(Session *s, Plan *plan, int mem_fd, Error *e) {
        bool needed = false, share = !(s->options && s->options->no_sharing);
        int r = 0;

        for (size_t i = 0; i < plan->n && r == 0; i++) {
                Instance *x = &plan->items[i];

                if (x->header)
                        continue;
                needed = true;
                r = imports_resolve(s, x->patch, x->base, mem_fd, &x->imports, e);
                if (r == 0)
                        r = prepare_instance(s, x, share, e);
        }
        if (!needed || r)
                return r;
        r = map_plan(s, plan, share, mem_fd, e);
        if (r)
                return r;
        for (size_t i = 0; i < plan->n && r == 0; i++) {
                Instance *x = &plan->items[i];

                if (!x->is_staged)
                        continue;
                r = stage_fill(
                        &x->staged, mem_fd,
                        &(StageValues){ .imports = x->imports, .bound = x->bound, .any_bound = x->any_bound },
                        e);
                if (r == 0) {
                        s->res->private_bytes += x->staged.private_bytes;
                        s->res->shared_bytes += x->staged.shared_bytes;
                        r = frames_register(s, &x->staged, mem_fd, &x->kept, e);
                }
        }
        if (r)
                unstage(s, NULL, plan);
        return r;
}

static void add_old_ranges(const Session *s, const Instance *x, SafeSet *set) {
        for (size_t i = 0; i < x->patch->n_ranges; i++) {
                const PatchRange *r = &x->patch->ranges[i];
                const PatchSite *site = &x->patch->sites[r->site];
                uint64_t start = x->base + r->addr, end = start + r->size;

                safe_set_add(set, (SafeRange){ .start = start,
                                               .end = end,
                                               .entry = site->old_addr == r->addr ? start : 0,
                                               .ask = true,
                                               .name = site->name });
        }
        add_site_bytes(x->header, set);
}

/* A header of an image that was loaded anew must not speak for the new one: it loses its magic. Its shadow
 * stays, since somebody may hold an address in it. */
static int bury(const Plan *plan, int mem_fd, Error *e) {
        static const uint8_t zeros[16];

        for (size_t i = 0; i < plan->n; i++)
                if (plan->items[i].dead) {
                        int r = mem_write(mem_fd, plan->items[i].dead->self, zeros, sizeof(zeros));

                        if (r < 0)
                                return error_errno(e, r, "write to 0x%llx",
                                                   (unsigned long long)plan->items[i].dead->self);
                }
        return 0;
}

/* Owners of edits: the place in the plan in the high half, the site in the low. */
static const char *owner_name(const Switch *sw, uint32_t owner) {
        const Plan *plan = sw->owners;
        size_t site = owner & 0xffffff, item = owner >> 24;

        return item < plan->n ? header_site_name(plan->items[item].header, site) : "";
}

static void add_edits(Session *s, const Plan *plan, Switch *sw) {
        for (size_t i = 0; i < plan->n; i++) {
                const Instance *x = &plan->items[i];

                if (x->replaced) {
                        add_header_edits(x->replaced, true, false, (uint32_t)(i << 24), &sw->edits);
                        add_shadow_ranges(s, x->replaced, &sw->safe);
                }
                add_header_edits(x->header, false, false, (uint32_t)(i << 24), &sw->edits);
                add_old_ranges(s, x, &sw->safe);
                s->res->functions += (uint32_t)x->header->n_sites;
        }
}

static void add_marks(const Plan *plan, Switch *sw) {
        sw->marks = vec_grow(NULL, 2 * plan->n + 1, sizeof(*sw->marks));
        /* Those that are replaced come first: a journal that ends early must tell what was there. */
        for (size_t i = 0; i < plan->n; i++) {
                const Header *h = plan->items[i].replaced;

                if (h)
                        sw->marks[sw->n_marks++] = (Mark){
                                .at = h->self, .from = *h, .op = OP_REPLACED, .to = PATCH_STATE_REVERTED
                        };
        }
        for (size_t i = 0; i < plan->n; i++) {
                const Header *h = plan->items[i].header;

                sw->marks[sw->n_marks++] =
                        (Mark){ .at = h->self,
                                .from = *h,
                                .op = OP_APPLY,
                                .to = PATCH_STATE_ACTIVE,
                                .time_sec = plan->items[i].is_staged ? 0 : (uint64_t)time(NULL) };
        }
}

int session_apply(Session *s, const Patch *const *patches, size_t n, Error *e) {
        _cleanup_(plan_free) Plan plan = { 0 };
        _cleanup_(switch_free) Switch sw = { .pid = s->pid,
                                             .mem_fd = s->mem_fd,
                                             .owner_name = owner_name,
                                             .owners = &plan,
                                             .maps = &s->maps,
                                             .loaded = s->loaded,
                                             .n_loaded = s->n_loaded };
        uint64_t begin = now_usec();
        int r = fault("begin", e);

        for (size_t i = 0; i < n && r == 0; i++)
                r = plan_patch(s, patches[i], &plan, e);
        if (r || !plan.n)
                return r;
        r = leave_memory(s, &plan);
        if (r == 0)
                r = bury(&plan, sw.mem_fd, e);
        if (r == 0)
                r = stage_all(s, &plan, sw.mem_fd, e);
        if (r)
                return r;
        if (getrandom(&sw.txn, sizeof(sw.txn), 0) != sizeof(sw.txn))
                return error_errno(e, -errno, "getrandom");
        add_edits(s, &plan, &sw);
        add_probes(s, &sw.safe);
        add_marks(&plan, &sw);
        s->res->stage_usec = now_usec() - begin;
        r = fault("staged", e);
        if (r == 0)
                r = switch_run(&sw, s->options, s->res, e);
        if (r) {
                unstage(s, NULL, &plan);
                s->res->functions = 0;
        }
        return r;
}
