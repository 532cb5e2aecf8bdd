/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/fault.h"
#include "apply/session.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char *owner_name(const Switch *sw, uint32_t owner) {
        const Session *s = sw->owners;
        size_t header = owner >> 24;

        return header < s->n_headers ? header_site_name(&s->headers[header], owner & 0xffffff) : "";
}

static int open_switch(Session *s, Switch *sw, Error *e) {
        *sw = (Switch){ .pid = s->pid,
                        .mem_fd = s->mem_fd,
                        .owner_name = owner_name,
                        .owners = s,
                        .maps = &s->maps,
                        .loaded = s->loaded,
                        .n_loaded = s->n_loaded };
        if (getrandom(&sw->txn, sizeof(sw->txn), 0) != sizeof(sw->txn))
                return error_errno(e, -errno, "getrandom");
        sw->marks = vec_grow(NULL, s->n_headers + 1, sizeof(*sw->marks));
        add_probes(s, &sw->safe);
        return 0;
}

/* The original code comes back. */
static void take_out(Session *s, Switch *sw, size_t i, bool repair) {
        const Header *h = &s->headers[i];

        add_header_edits(h, true, repair, (uint32_t)(i << 24), &sw->edits);
        add_shadow_ranges(s, h, &sw->safe);
}

/* Old code that is put back runs on what new code made. */
static int judge_way_back(Session *s, const Header *h) {
        if (h->way_back == WAY_BACK_PROVED || (s->options && s->options->unproved))
                return 0;
        return refuse(s->res, REFUSAL_CODE_REVERT_UNPROVED, h->name, "%s",
                      h->way_back_why[0]                 ? h->way_back_why
                      : h->way_back == WAY_BACK_UNPROVED ? "not the same layout for the old code"
                                                         : "put in by a program that did not ask");
}

int session_revert(Session *s, const uint8_t *digest, Error *e) {
        _cleanup_(switch_free) Switch sw = { 0 };
        int r = open_switch(s, &sw, e);

        if (r)
                return r;
        for (size_t i = 0; i < s->n_headers; i++) {
                const Header *h = &s->headers[i];

                if (h->state != PATCH_STATE_ACTIVE || !header_counts(s, h) ||
                    (digest && memcmp(digest, h->digest, sizeof(h->digest)) != 0))
                        continue;
                r = judge_way_back(s, h);
                if (r)
                        return r;
                take_out(s, &sw, i, false);
                sw.marks[sw.n_marks++] =
                        (Mark){ .at = h->self, .from = *h, .op = OP_REVERT, .to = PATCH_STATE_REVERTED };
                s->res->functions += (uint32_t)h->n_sites;
                s->res->instances++;
        }
        if (!sw.n_marks)
                return 0;
        r = switch_run(&sw, s->options, s->res, e);
        if (r)
                s->res->functions = 0;
        return r;
}

/*
 * Headers of one interrupted switch carry its number. It wrote them all before the code and marked
 * them all after the code, so: when one of them is marked already the code is complete, and what is
 * left is to mark the others; otherwise the code is in between, and goes back to what it was (for a
 * revert: forward, which is the original code, too).
 */
static bool was_complete(const Session *s, uint64_t txn) {
        for (size_t i = 0; i < s->n_headers; i++)
                if (s->headers[i].txn == txn && s->headers[i].state != PATCH_STATE_SWITCHING &&
                    s->headers[i].state != PATCH_STATE_STAGED)
                        return true;
        return false;
}

static int repair_one(Session *s, uint64_t txn, Error *e) {
        _cleanup_(switch_free) Switch sw = { 0 };
        bool complete = was_complete(s, txn);
        EngineResult counters = { .refusal = REFUSAL_N }; /* not those of what was asked for */
        EngineResult *res = s->res;
        int r = open_switch(s, &sw, e);

        if (r)
                return r;
        /* First everything back to the original code, then the jumps of a patch that stays. */
        for (unsigned round = 0; round < 2; round++)
                for (size_t i = 0; i < s->n_headers; i++) {
                        const Header *h = &s->headers[i];
                        Mark m = { .at = h->self, .from = *h, .op = h->op };
                        bool there = header_counts(s, h); /* its image may have been unloaded since */
                        bool stays = h->op == OP_REPLACED && !complete && there;

                        if (h->txn != txn || h->state != PATCH_STATE_SWITCHING)
                                continue;
                        if (round == 0 && !complete && there)
                                take_out(s, &sw, i, true);
                        if (round == 1 && stays)
                                add_header_edits(h, false, true, (uint32_t)(i << 24), &sw.edits);
                        if (round == 0)
                                continue;
                        m.to = stays || (complete && there && h->op == OP_APPLY) ? PATCH_STATE_ACTIVE
                                                                                 : PATCH_STATE_REVERTED;
                        sw.marks[sw.n_marks++] = m;
                }
        r = switch_run(&sw, s->options, &counters, e);
        if (r == ENGINE_REFUSED) {
                memcpy(res->subject, counters.subject, sizeof(res->subject));
                memcpy(res->detail, counters.detail, sizeof(res->detail));
                res->refusal = counters.refusal;
        }
        return r;
}

int session_repair(Session *s, Error *e) {
        size_t left =
                s->n_headers; /* of switches that can have been interrupted; what comes back is forged */

        for (size_t i = 0; i < s->n_headers; i++) {
                int r;

                if (s->headers[i].state != PATCH_STATE_SWITCHING || !header_counts(s, &s->headers[i]))
                        continue;
                if (!left--)
                        return refuse(s->res, REFUSAL_CODE_IMAGE_MODIFIED, s->headers[i].name,
                                      "process %d does not leave what it says of itself as it was written",
                                      s->pid);
                r = repair_one(s, s->headers[i].txn, e);
                if (r == 0)
                        r = session_read(s, e);
                if (r)
                        return r;
                i = (size_t)-1;
        }
        return 0;
}
