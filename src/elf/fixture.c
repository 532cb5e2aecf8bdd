/* SPDX-License-Identifier: Apache-2.0 */
/* An image with one of everything that the reader reads. Linked in several ways by meson.build. */
#include <stdio.h>
#include <stdlib.h>

#ifdef FIXTURE_VERSIONS
/* Some libraries can be run (libc.so.6); that makes them no programs. */
const char interpreter[] __attribute__((section(".interp"), used)) = "/lib64/ld-linux-x86-64.so.2";

int versioned_v1(void);
int versioned_v2(void);
int versioned_v1(void) {
        return 1;
}
int versioned_v2(void) {
        return 2;
}
__asm__(".symver versioned_v1, versioned@FIXTURE_1\n"
        ".symver versioned_v2, versioned@@FIXTURE_2\n");
#endif

__thread int fixture_tls_data = 7;
__thread int fixture_tls_bss[16];
int fixture_counter;
int fixture_with_lsda(void);
int fixture_plain(int x);
int fixture_selected(void);

static volatile int started; /* no compiler may work out what the constructor does, or leave malloc out */
static void *volatile seen;
static int (*volatile print)(const char *) = puts; /* may throw, for all that is known of it */
static __attribute__((constructor)) void start(void) {
        started = 1;
}

static void release(void **p) {
        free(*p);
}

int fixture_with_lsda(void) {
        __attribute__((cleanup(release))) void *p = malloc(16);

        seen = p;
        print("cleanup");
        return p != NULL;
}

int __attribute__((noinline)) fixture_plain(int x) {
        return x * 3 + fixture_counter + started + fixture_tls_data + fixture_tls_bss[x & 15];
}

static int selected_a(void) {
        return 42;
}
static int (*select_one(void))(void) {
        return selected_a;
}
int fixture_selected(void) __attribute__((ifunc("select_one")));

/* Each needs a relative relocation; dense enough for a RELR bitmap, with holes. */
#define FOUR &fixture_counter, &fixture_counter, NULL, &fixture_counter
void *fixture_table[64] = { FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR,
                            FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR };

int main(int argc, char **argv) {
        int (*by_got)(const char *) = puts; /* called and its address taken: .plt.got */

        (void)argv;
        by_got("got");
        return fixture_with_lsda() + fixture_plain(argc) + fixture_selected() == 0;
}
