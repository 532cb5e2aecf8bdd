/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/baseline.h"
#include "deliver/baseline-units.h"
#include "report/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int baseline_cli_begin(BaselineCli *c, const Options *o) {
        const char *root = o->root && strcmp(o->root, "/") != 0 ? o->root : "";
        Error e = { 0 };

        if (policy_load(o->config ? o->config : POLICY_FILE, &c->policy, &e) < 0)
                return report_error(&e);
        snprintf(c->events, sizeof(c->events), "%s%s", root, EVENT_FILE);
        snprintf(c->hold_file, sizeof(c->hold_file), "%s%s", root, BASELINE_HOLD_FILE);
        c->ops = baseline_units;
        c->ops.data = &c->policy;
        c->baseline = (Baseline){ .policy = &c->policy,
                                  .state = o->state ? o->state : "/var/lib/staunch",
                                  .root = *root ? root : "/",
                                  .events = c->events,
                                  .hold_file = c->hold_file,
                                  .ops = &c->ops };
        return -1;
}

void baseline_cli_end(BaselineCli *c) {
        if (c->policy.arena)
                policy_free(&c->policy);
}

SnapshotContext baseline_cli_snapshots(const BaselineCli *c) {
        return (SnapshotContext){ .policy = &c->policy.baseline.snapshot,
                                  .root = c->baseline.root,
                                  .state = c->baseline.state };
}

bool baseline_cli_number(const char *text, int64_t *out) {
        char *end;

        if (*text < '0' || *text > '9' || strlen(text) > 15)
                return false;
        *out = strtoll(text, &end, 10);
        return !*end && *out > 0;
}
