/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hold.h"
#include "base/clock.h"
#include "base/macro.h"
#include "cli/cli.h"
#include "deliver/policy.h"
#include "patch/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fail(Hold *h, const Error *e) {
        if (!h->failed)
                fprintf(stderr,
                        "staunch: warning: %s: the patch is taken out but not held, so that the agent may "
                        "apply it "
                        "again. To keep it out, set patch_mode = \"manual\" in " POLICY_FILE
                        ", and 'systemctl reload staunch-agent'.\n",
                        e->text);
        h->failed = true;
        h->store = store_close(h->store);
}

void hold_open(Hold *h, const char *state) {
        Store *store = NULL;
        Error e = { 0 };
        int r;

        *h = (Hold){ 0 };
        r = store_open_read(state, &store, NULL);
        store_close(store);
        if (r == -ENOENT)
                return; /* no agent was ever here */
        if (store_open(state, &h->store, &e) < 0)
                fail(h, &e);
}

void hold_close(Hold *h) {
        h->store = store_close(h->store);
}

void hold_patch(Hold *h, const ProcessPatch *patch) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1], digest[2 * DIGEST_SIZE + 1];
        StoreQuarantine q = { build_id_text(&patch->old_id, old_text),
                              build_id_text(&patch->new_id, new_text),
                              digest_text(patch->digest, digest),
                              patch->name,
                              "taken out by 'staunch revert'",
                              wall_usec(),
                              true };
        Error e = { 0 };

        if (!h->store)
                return;
        if (store_put_quarantine(h->store, &q, &e) < 0) {
                fail(h, &e);
                return;
        }
        if (strncmp(h->digest, digest, sizeof(h->digest) - 1) != 0)
                h->n++;
        snprintf(h->digest, sizeof(h->digest), "%.16s", digest);
}

void hold_record(Hold *h, const Process *p, const ProcessPatch *patch, int returned,
                 const EngineResult *result) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1], digest[2 * DIGEST_SIZE + 1];
        const Refusal *refused = refusal_get(result->refusal);
        StoreAction a = { .time_usec = wall_usec(),
                          .pid = p->pid,
                          .comm = p->comm,
                          .unit = p->unit,
                          .image = patch->name,
                          .old_id = build_id_text(&patch->old_id, old_text),
                          .new_id = build_id_text(&patch->new_id, new_text),
                          .digest = digest_text(patch->digest, digest),
                          .action = "revert",
                          .outcome = returned == 0  ? "reverted"
                                     : returned > 0 ? "refused"
                                                    : "error",
                          .reason = returned > 0 && refused ? refused->code : "held",
                          .detail = returned > 0 ? result->detail : "taken out by 'staunch revert'",
                          .functions = patch->sites,
                          .pause_usec = result->pause_usec };
        Error e = { 0 };

        if (h->store && store_add_action(h->store, &a, &e) < 0)
                fail(h, &e);
}

void hold_say(const Hold *h) {
        if (!h->n)
                return;
        printf("Held: the agent does not apply %s again, nor restart anything for it, until 'staunch release "
               "%s'%s. "
               "A restart for another reason loads what is on disk: to go back there too, 'staunch rollback' "
               "or apt.\n",
               h->n > 1 ? "them" : "it", h->n > 1 ? "DIGEST" : h->digest,
               h->n > 1 ? " ('staunch list' shows them)" : "");
}
