/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all pairs share. A pair is one source; with -DNEW it is the new build. A file name that starts
 * with "same-" is a pair whose layout does not change.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))
#ifdef NEW
#define PICK(old, new) new
#else
#define PICK(old, new) old
#endif

#ifdef __cplusplus
extern "C" {
#endif
/* shared.c: code that is the same in both builds, with state of its own. */
void log_line(const char *what, long number);
unsigned hash_bytes(const void *bytes, size_t size);
void *pool_take(size_t size);
void pool_give(void *p, size_t size);
long next_input(void);
#ifdef __cplusplus
}
#endif
