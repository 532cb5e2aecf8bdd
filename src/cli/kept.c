/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kept.h"
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

static void keep(void *data, const StoreQuarantine *q) {
        Kept *k = data;

        vec_push(&k->all, quarantine_copy(k->arena, q));
}

int kept_read(const char *state, Kept *out, Error *e) {
        Store *store = NULL;
        int r;

        *out = (Kept){ .arena = arena_new() };
        r = store_open_read(state ? state : STATE_DIR, &store, e);
        if (r == -ENOENT || r == -EACCES)
                return 0; /* there is no agent, or it is not ours to know: nor are its rounds */
        if (r == 0)
                r = store_each_quarantine(store, keep, out, e);
        store_close(store);
        return r;
}

void kept_free(Kept *k) {
        vec_free(&k->all);
        k->arena = arena_free(k->arena);
}

const StoreQuarantine *kept_find(const Kept *k, const BuildId *old_id, const BuildId *new_id,
                                 const bool *accepted) {
        for (size_t i = 0; i < k->all.n; i++)
                if (!accepted[quarantine_code(&k->all.items[i])] &&
                    quarantine_is_of(&k->all.items[i], old_id, new_id))
                        return &k->all.items[i];
        return NULL;
}
