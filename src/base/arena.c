/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 1 << 20, ARENA_ALIGN = 16 };

typedef struct Block {
        struct Block *next;
        size_t size, used;
        _Alignas(ARENA_ALIGN) unsigned char data[];
} Block;

struct Arena {
        Block *first;
        size_t total;
};

static void out_of_memory(void) {
        fputs("staunch: out of memory\n", stderr);
        abort();
}

Arena *arena_new(void) {
        Arena *a = calloc(1, sizeof(*a));

        if (!a)
                out_of_memory();
        return a;
}

Arena *arena_free(Arena *a) {
        if (!a)
                return NULL;
        while (a->first) {
                Block *b = a->first;

                a->first = b->next;
                free(b);
        }
        free(a);
        return NULL;
}

void *arena_alloc(Arena *a, size_t size) {
        Block *b = a->first;
        void *p;

        if (size > SIZE_MAX / 2)
                out_of_memory();
        size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        if (!b || b->size - b->used < size) {
                size_t n = size > ARENA_BLOCK ? size : ARENA_BLOCK;

                b = calloc(1, sizeof(*b) + n);
                if (!b)
                        out_of_memory();
                b->size = n;
                /* A large block goes behind the current one, whose rest stays usable. */
                if (size > ARENA_BLOCK / 2 && a->first) {
                        b->next = a->first->next;
                        a->first->next = b;
                } else {
                        b->next = a->first;
                        a->first = b;
                }
        }
        p = b->data + b->used;
        b->used += size;
        a->total += size;
        return p;
}

void *arena_array(Arena *a, size_t count, size_t size) {
        size_t n;

        if (__builtin_mul_overflow(count, size, &n))
                out_of_memory();
        return arena_alloc(a, n);
}

void *arena_dup(Arena *a, const void *from, size_t size) {
        void *p = arena_alloc(a, size);

        if (size)
                memcpy(p, from, size);
        return p;
}

char *arena_strdup(Arena *a, const char *s) {
        return arena_dup(a, s, strlen(s) + 1);
}

char *arena_printf(Arena *a, const char *format, ...) {
        va_list ap;
        char *p;
        int n;

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n < 0)
                out_of_memory();
        p = arena_alloc(a, (size_t)n + 1);
        va_start(ap, format);
        vsnprintf(p, (size_t)n + 1, format, ap);
        va_end(ap);
        return p;
}

size_t arena_used(const Arena *a) {
        return a->total;
}
