/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/quarantine.h"

#include <string.h>

bool quarantine_judge(const StoreQuarantine *q, const OutdatedPair *pair, Comparison *out) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];

        if (strcmp(q->old_id, build_id_text(&pair->old_id, old_text)) != 0 ||
            strcmp(q->new_id, build_id_text(&pair->new_id, new_text)) != 0)
                return false;
        *out = (Comparison){ .arena = arena_new(),
                             .outcome = OUTCOME_RESTART,
                             .old_id = pair->old_id,
                             .new_id = pair->new_id };
        verdict_init(&out->verdict, out->arena);
        verdict_add(&out->verdict, quarantine_code(q), pair->path, "%s", q->reason);
        return true;
}

StoreQuarantine quarantine_copy(Arena *arena, const StoreQuarantine *q) {
        StoreQuarantine copy = *q;

        copy.old_id = arena_strdup(arena, q->old_id);
        copy.new_id = arena_strdup(arena, q->new_id);
        copy.digest = arena_strdup(arena, q->digest);
        copy.image = arena_strdup(arena, q->image);
        copy.reason = arena_strdup(arena, q->reason);
        return copy;
}
