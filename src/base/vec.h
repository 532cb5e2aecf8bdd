/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A growable array: VEC(T) declares its type; vec_push appends (memory out: the process ends, as
 * with the arena). Freed with vec_free.
 */
#define VEC(T)                  \
        struct {                \
                T *items;       \
                size_t n, room; \
        }

#define vec_push(v, ...)                                                                   \
        do {                                                                               \
                if ((v)->n == (v)->room) {                                                 \
                        (v)->room = (v)->room ? (v)->room * 2 : 16;                        \
                        (v)->items = vec_grow((v)->items, (v)->room, sizeof(*(v)->items)); \
                }                                                                          \
                (v)->items[(v)->n++] = (__VA_ARGS__);                                      \
        } while (0)

/* All of `from`, which stays as it is. */
#define vec_append(v, from)                                                                          \
        do {                                                                                         \
                if ((v)->n + (from)->n > (v)->room) {                                                \
                        (v)->room = (v)->n + (from)->n;                                              \
                        (v)->items = vec_grow((v)->items, (v)->room, sizeof(*(v)->items));           \
                }                                                                                    \
                if ((from)->n)                                                                       \
                        memcpy((v)->items + (v)->n, (from)->items, (from)->n * sizeof(*(v)->items)); \
                (v)->n += (from)->n;                                                                 \
        } while (0)

#define vec_free(v)                     \
        do {                            \
                free((v)->items);       \
                (v)->items = NULL;      \
                (v)->n = (v)->room = 0; \
        } while (0)

static inline void *vec_grow(void *items, size_t room, size_t size) {
        void *p = reallocarray(items, room, size);

        if (!p) {
                fputs("staunch: out of memory\n", stderr);
                abort();
        }
        return p;
}

/* For qsort(). */
static inline int u64_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}
