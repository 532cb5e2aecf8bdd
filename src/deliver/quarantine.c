/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/quarantine.h"

#include <string.h>

bool quarantine_is_of(const StoreQuarantine *q, const BuildId *old_id, const BuildId *new_id) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];

        return strcmp(q->old_id, build_id_text(old_id, old_text)) == 0 &&
               strcmp(q->new_id, build_id_text(new_id, new_text)) == 0;
}

bool quarantine_judge(const StoreQuarantine *q, const OutdatedPair *pair, Comparison *out) {
        if (!quarantine_is_of(q, &pair->old_id, &pair->new_id))
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
