/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

/* One function finds objects of two types, and one caller asks for both. A member is added to one of them where the
 * other has one, in padding. */

static NOINLINE int find(int kind, unsigned n, void **out) {
        *out = kind ? folders[n & 7] : mails[n & 7];
        return *out == NULL;
}

static NOINLINE int folder_open(unsigned n) {
        struct folder *f = NULL;

        return find(1, n, (void **)&f) ? -1 : f->rights & 1 ? f->count : (int)strlen(f->owner);
}

static NOINLINE int mail_read(unsigned n) {
        struct mail *m = NULL;
        struct folder *f = NULL;

        if (find(0, n, (void **)&m) || find(1, n, (void **)&f) || !(f->rights & 4))
                return -1;
#ifdef NEW
        if (!(m->rights & 1))
                return -2;
#endif
        return m->size + (int)strlen(m->owner);
}

int main(void) {
        for (unsigned i = 0; i < 1000; i++) {
                put_new();
                log_line("folders", folder_open(i));
                log_line("mail", mail_read(i));
        }
        return 0;
}
