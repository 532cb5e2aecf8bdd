/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

/* Two functions find objects of two types, and one caller asks both. A member is added to one of the types where
 * the other has one, in padding. */

static NOINLINE int find_mail(unsigned n, void **out) {
        *out = mails[n & 7];
        return *out == NULL;
}

static NOINLINE int find_folder(unsigned n, void **out) {
        *out = folders[n & 7];
        return *out == NULL;
}

static NOINLINE int folder_open(unsigned n) {
        struct folder *f = NULL;

        return find_folder(n, (void **)&f) ? -1 : f->rights & 1 ? f->count : (int)strlen(f->owner);
}

static NOINLINE int mail_read(unsigned n) {
        struct mail *m = NULL;
        struct folder *f = NULL;

        if (find_mail(n, (void **)&m) || find_folder(n, (void **)&f) || !(f->rights & 4))
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
