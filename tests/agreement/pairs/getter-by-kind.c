/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

/* One function returns objects of two types, told by a number. A member is added to one of them where the other has
 * one, in padding, and all others who ask touch that place. */

static NOINLINE void *find(int kind, unsigned n) {
        return kind ? folders[n & 7] : mails[n & 7];
}

static NOINLINE int folder_open(unsigned n) {
        const struct folder *f = find(1, n);

        return !f ? -1 : f->rights & 1 ? f->count : (int)strlen(f->owner);
}

static NOINLINE int folder_list(unsigned n) {
        const struct folder *f = find(1, n);

        return !f ? -1 : f->rights & 2 ? f->kind : (int)strlen(f->name);
}

static NOINLINE int folder_name(unsigned n) {
        const struct folder *f = find(1, n);

        return !f ? -1 : (int)hash_bytes(f->name, (size_t)f->rights);
}

static NOINLINE int mail_read(unsigned n) {
        const struct mail *m = find(0, n);

        if (!m)
                return -1;
#ifdef NEW
        if (!(m->rights & 1))
                return -2;
#endif
        return m->size + (int)strlen(m->owner);
}

static NOINLINE struct folder *folder_new(void) {
        struct folder *f = calloc(1, sizeof(*f));

        f->kind = 1;
        f->count = 2;
        f->name = "folder";
        f->rights = 7;
        f->owner = "owner";
        return f;
}

static NOINLINE struct mail *mail_new(void) {
        struct mail *m = calloc(1, sizeof(*m));

        m->size = 2;
        m->name = "mail";
        m->owner = "owner";
        return m;
}

int main(void) {
        for (unsigned i = 0; i < 1000; i++) {
                folders[next_input() & 7] = folder_new();
                mails[next_input() & 7] = mail_new();
                log_line("folders", folder_open(i) + folder_list(i) + folder_name(i));
                log_line("mail", mail_read(i));
        }
        return 0;
}
