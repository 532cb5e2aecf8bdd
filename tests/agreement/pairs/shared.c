/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static struct {
        void *first;
        size_t size;
        unsigned taken, given;
} pool;
static long lines, state = 88172645463325252;

void log_line(const char *what, long number) {
        if (++lines % 1000 == 0)
                printf("%ld %s %ld\n", lines, what, number);
}

unsigned hash_bytes(const void *bytes, size_t size) {
        const unsigned char *p = bytes;
        unsigned h = 2166136261u;

        while (size--)
                h = (h ^ *p++) * 16777619u;
        return h;
}

void *pool_take(size_t size) {
        void *p = pool.first;

        pool.taken++;
        if (p && pool.size >= size) {
                memcpy(&pool.first, p, sizeof(void *));
                return p;
        }
        return malloc(size);
}

void pool_give(void *p, size_t size) {
        pool.given++;
        if (size < sizeof(void *) || size < pool.size) {
                free(p);
                return;
        }
        memcpy(p, &pool.first, sizeof(void *));
        pool.first = p;
        pool.size = size;
}

long next_input(void) {
        state ^= state << 13;
        state ^= (long)((unsigned long)state >> 7);
        state ^= state << 17;
        return state & 0xffff;
}
