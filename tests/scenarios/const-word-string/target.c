/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* One text of a table that objects hold differs. */
struct Kind {
        int id;
        const char *name;
        const char *help;
};
static const struct Kind kinds[] = {
        { 1, "one", "the first of all kinds" },
        { 2, "two", PICK("the second kind", "the second kind, which is not the first") },
        { 3, "three", "the third kind there is" },
};
struct Thing {
        const struct Kind *kind;
        long n;
};
static struct Thing *things[6];
static const char *kept;
static long runs;

NOINLINE static const struct Kind *kind_of(int id) {
        for (size_t i = 0; i < 3; i++)
                if (kinds[i].id == id)
                        return &kinds[i];
        return NULL;
}
NOINLINE static const char *help(const struct Thing *t) { return t->kind->help; }
NOINLINE static bool is(const struct Thing *t, int id) { return t->kind == kind_of(id); }
NOINLINE static int version_here(void) { runs++; return PICK(1, 2); }

void target_start(void) {
        for (int i = 0; i < 6; i++) {
                things[i] = calloc(1, sizeof(struct Thing));
                things[i]->kind = kind_of(i % 3 + 1);
        }
        kept = help(things[1]);
}
void target_work(void) { version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        for (int i = 0; i < 6; i++)
                EXPECT(is(things[i], i % 3 + 1));
        EXPECT_STR(help(things[0]), "the first of all kinds");
        EXPECT_STR(help(things[4]), version >= 2 ? "the second kind, which is not the first" : "the second kind");
        EXPECT_STR(help(things[5]), "the third kind there is");
        EXPECT(strncmp(kept, "the second kind", 15) == 0);
}
