/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _unused_ __attribute__((unused))
#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
/* Each evaluates its arguments once. The names are of their own, so that one may stand inside of another. */
#define MIN(a, b) CHOOSE_(a, <, b, __COUNTER__)
#define MAX(a, b) CHOOSE_(a, >, b, __COUNTER__)
#define CHOOSE_(a, than, b, n) CHOOSE__(a, than, b, n)
#define CHOOSE__(a, than, b, n)                        \
        ({                                             \
                __typeof__(1 ? (a) : (b)) _a##n = (a); \
                __typeof__(1 ? (a) : (b)) _b##n = (b); \
                _a##n than _b##n ? _a##n : _b##n;      \
        })

#define PAGE_SIZE_X86 UINT64_C(4096)

static inline uint64_t align_down(uint64_t v, uint64_t a) {
        return v & ~(a - 1);
}
static inline uint64_t align_up(uint64_t v, uint64_t a) {
        return (v + a - 1) & ~(a - 1);
}

static inline void freep(void *p) {
        free(*(void **)p);
}
static inline void closep(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

/* Takes the value out of `p`, leaves `empty`: hands ownership to the caller. */
#define TAKE(p, empty)                      \
        ({                                  \
                __typeof__(p) _taken = (p); \
                (p) = (empty);              \
                _taken;                     \
        })
#define TAKE_PTR(p) TAKE(p, NULL)
#define TAKE_FD(fd) TAKE(fd, -1)
