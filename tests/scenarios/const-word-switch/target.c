/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/*
 * A description of a type names other functions to free a member; both builds have both. Objects that were
 * made by the old one's must not be freed by the new one's.
 */
struct Type {
        size_t size;
        void *(*make)(void);
        void (*end)(void *);
};
struct Plain {
        long n;
};
struct Listed {
        long n;
        long *list;
};
static long live;
NOINLINE static void *plain_make(void) {
        struct Plain *p = malloc(sizeof(*p));
        p->n = 1;
        live++;
        return p;
}
NOINLINE static void plain_end(void *v) {
        live--;
        free(v);
}
NOINLINE static void *listed_make(void) {
        struct Listed *p = malloc(sizeof(*p));
        p->n = 2;
        p->list = malloc(64);
        live++;
        return p;
}
NOINLINE static void listed_end(void *v) {
        struct Listed *p = v;
        live--;
        free(p->list);
        free(p);
}
static const struct Type first = { 16, PICK(plain_make, listed_make), PICK(plain_end, listed_end) };
static const struct Type second = { 16, listed_make, listed_end };
static const struct Type third = { 16, plain_make, plain_end };
static const struct Type *const types[] = { &first, &second, &third };
static void *held[3];
NOINLINE static void *make(int i) { return types[i]->make(); }
NOINLINE static void end(int i, void *v) { types[i]->end(v); }
NOINLINE static int version_here(void) { return PICK(1, 2) + (live > 1000000); }
void target_start(void) {
        for (int i = 0; i < 3; i++)
                held[i] = make(i);
}
void target_work(void) { version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        for (int i = 0; i < 3; i++) {
                end(i, held[i]);
                held[i] = make(i);
        }
        EXPECT_EQ(live, 3);
}
