/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/mman.h>
struct buf {
        long n;
        char *data;
};
static struct buf *bufs[8];
NOINLINE static void buf_fill(struct buf *b, int c) {
#if NEW
        b->data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#else
        b->data = malloc(4096);
#endif
        memset(b->data, c, 4096);
        b->n++;
}
NOINLINE static void buf_clear(struct buf *b) {
#if NEW
        if (munmap(b->data, 4096) < 0)
                abort();
#else
        free(b->data);
#endif
        b->n--;
}
NOINLINE static long buf_use(struct buf *b) {
        return b->data[100] + b->n;
}
void target_start(void) {
        for (int i = 0; i < 8; i++) {
                bufs[i] = calloc(1, sizeof(struct buf));
                buf_fill(bufs[i], i);
        }
}
void target_work(void) {
        unsigned at = (unsigned)harness_turns() & 7;
        buf_use(bufs[at]);
        buf_clear(bufs[at]);
        buf_fill(bufs[at], (int)at);
}
void target_check(int version) {
        (void)version;
        for (int i = 0; i < 8; i++)
                EXPECT_EQ(buf_use(bufs[i]), i + 1);
}
