/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"
#include "deliver/outdated.h"
#include "store/store.h"

bool quarantine_is_of(const StoreQuarantine *q, const BuildId *old_id, const BuildId *new_id);
/* If `q` is of this pair: the verdict `held` or `quarantined`, which needs no comparison. False: it is of
 * another. */
bool quarantine_judge(const StoreQuarantine *q, const OutdatedPair *pair, Comparison *out);
/* A copy whose texts live in the arena: those that a walk through the store shows end with it. */
StoreQuarantine quarantine_copy(Arena *arena, const StoreQuarantine *q);
static inline RefusalCode quarantine_code(const StoreQuarantine *q) {
        return q->by_hand ? REFUSAL_CODE_HELD : REFUSAL_CODE_QUARANTINED;
}
