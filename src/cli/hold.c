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
        h->store = NULL;
}

void hold_open(Hold *h, const Recording *recording) {
        *h = (Hold){ .store = recording->store };
        if (recording->failed.code)
                fail(h, &recording->failed);
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
