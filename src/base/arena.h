/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * An arena owns everything that is allocated from it; all of it goes at once with arena_free.
 * Not thread-safe: one arena per thread, or allocate before the threads start.
 * Allocation never returns NULL: when memory is out the process ends with a message (a build is a
 * computation that can be repeated; nothing is half done, since outputs are written at the end).
 */
typedef struct Arena Arena;

Arena *arena_new(void);
Arena *arena_free(Arena *a); /* accepts NULL; returns NULL */
static inline void arena_freep(Arena **a) {
        arena_free(*a);
}

/* Zeroed memory, aligned to 16. */
void *arena_alloc(Arena *a, size_t size);
void *arena_array(Arena *a, size_t count, size_t size); /* count * size is checked for overflow */
void *arena_dup(Arena *a, const void *from, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Total bytes handed out so far. */
size_t arena_used(const Arena *a);

#define arena_new0(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define arena_newa(a, T, n) ((T *)arena_array((a), (n), sizeof(T)))
