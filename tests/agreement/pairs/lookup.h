/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of two types that are looked up together. A member is added to one where the other has one, in padding. */
#pragma once

#include "pair.h"

struct mail {
        int kind, size;
        char *name;
        char flag;
#ifdef NEW
        int rights;
#endif
        char *owner;
};
struct folder {
        int kind, count;
        char *name;
        char flag;
        int rights;
        char *owner;
};
static void *mails[8], *folders[8];

static inline void put_new(void) {
        struct folder *f = pool_take(sizeof(*f));
        struct mail *m = pool_take(sizeof(*m));

        *f = (struct folder){ 1, 2, "folder", 0, 7, "owner" };
        *m = (struct mail){ .kind = 0, .size = 2, .name = "mail", .owner = "owner" };
        folders[next_input() & 7] = f;
        mails[next_input() & 7] = m;
}
