/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

/* One function finds objects of two types, told by a number behind the argument where it leaves them. A member is added
 * to one of them where the other has one, in padding, and all others who ask touch that place. */

static NOINLINE int find(void **out, unsigned n, int kind) {
        *out = kind ? folders[n & 7] : mails[n & 7];
        return *out == NULL;
}

static NOINLINE int folder_open(unsigned n) {
        struct folder *f = NULL;

        return find((void **)&f, n, 1) ? -1 : f->rights & 1 ? f->count : (int)strlen(f->owner);
}

static NOINLINE int folder_list(unsigned n) {
        struct folder *f = NULL;

        return find((void **)&f, n, 1) ? -1 : f->rights & 2 ? f->kind : (int)strlen(f->owner);
}

static NOINLINE int folder_name(unsigned n) {
        struct folder *f = NULL;

        return find((void **)&f, n, 1) ? -1 : f->rights & 4 ? f->kind : (int)strlen(f->name);
}

static NOINLINE int mail_read(unsigned n) {
        struct mail *m = NULL;

        if (find((void **)&m, n, 0))
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
                log_line("folders", folder_open(i) + folder_list(i) + folder_name(i));
                log_line("mail", mail_read(i));
        }
        return 0;
}
