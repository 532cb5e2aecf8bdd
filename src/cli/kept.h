/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "deliver/quarantine.h"

/* What the agent does not apply, for harm or since it was taken out by hand: commands leave it alone, too. */
typedef struct Kept {
        VEC(StoreQuarantine) all;
        Arena *arena;
} Kept;

/* `state`: the agent's folder; NULL: the default. Where there is none, or it is not ours to read: nothing. */
int kept_read(const char *state, Kept *out, Error *e);
void kept_free(Kept *k);
/* What speaks against this pair of builds, but for what is `accepted` (by RefusalCode). NULL: nothing. */
const StoreQuarantine *kept_find(const Kept *k, const BuildId *old_id, const BuildId *new_id,
                                 const bool *accepted);
