/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/policy-read.h"

#include <stddef.h>

static const Word snapshot_words[] = { { "auto", SNAPSHOT_AUTO },
                                       { "btrfs", SNAPSHOT_BTRFS },
                                       { "lvm", SNAPSHOT_LVM },
                                       { "packages", SNAPSHOT_PACKAGES },
                                       { "hook", SNAPSHOT_HOOK },
                                       { "none", SNAPSHOT_NONE },
                                       { NULL, 0 } };

enum { DAY = 86400 };
#define AT(member) offsetof(PolicyBaseline, member)
static const Field fields[] = {
        { "snapshot", FIELD_ENUM, AT(snapshot.kind), 0, 0, snapshot_words, false },
        { "keep", FIELD_COUNT, AT(snapshot.keep), 1, 1000, NULL, false },
        { "keep_for", FIELD_SEC, AT(snapshot.keep_for_sec), 3600, 3650.0 * DAY, NULL, false },
        { "min_free", FIELD_SIZE, AT(snapshot.min_free), 0, 1e15, NULL, false },
        { "max_size", FIELD_SIZE, AT(snapshot.max_size), 0, 1e15, NULL, false },
        { "hook", FIELD_STRINGS, AT(snapshot.hook), 0, 0, NULL, false },
        { "hook_timeout", FIELD_USEC, AT(snapshot.hook_timeout_usec), 1, 3600, NULL, false },
        { "limit", FIELD_USEC, AT(hook_limit_usec), 1, 3600, NULL, false },
        { "settle", FIELD_USEC, AT(settle_usec), 0, DAY, NULL, false },
        { "automatic_rollback", FIELD_BOOL, AT(automatic_rollback), 0, 0, NULL, false },
        { "require_snapshot", FIELD_BOOL, AT(require_snapshot), 0, 0, NULL, false },
};

void policy_baseline_defaults(Policy *p) {
        p->baseline = (PolicyBaseline){ .snapshot = { .kind = SNAPSHOT_AUTO,
                                                      .keep = 10,
                                                      .keep_for_sec = 90 * DAY,
                                                      .min_free = UINT64_C(1) << 30,
                                                      .max_size = UINT64_C(2) << 30,
                                                      .hook_timeout_usec = UINT64_C(300000000) },
                                        .settle_usec = UINT64_C(120000000),
                                        .hook_limit_usec = UINT64_C(300000000),
                                        .automatic_rollback = true };
}

void policy_read_baseline(PolicyReader *r, const TomlNode *t) {
        PolicyBaseline *b = &r->policy->baseline;

        if (!policy_read_table(r, t, fields, ELEMENTSOF(fields), b))
                return;
        if (b->snapshot.n_hook && b->snapshot.hook[0][0] != '/')
                policy_mistake(r, toml_get(t, "hook"), "begins with the absolute path of a program");
        else if (toml_get(t, "hook") && b->snapshot.n_hook)
                policy_need_program(r, toml_get(t, "hook"), b->snapshot.hook[0], "root");
        if (b->snapshot.kind == SNAPSHOT_HOOK && !b->snapshot.n_hook)
                policy_mistake(r, t, "snapshot = \"hook\" needs hook = [\"COMMAND\", ...]");
}
