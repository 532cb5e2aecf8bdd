/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every generated program stands on. Linked to each as a file of its own, the same in old and new. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef u64 (*Fn)(u64, u64);

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noipa))
#endif

#ifdef __cplusplus
extern "C" {
#endif

extern u64 fuel; /* calls that this step may still make */
u64 hash_str(const char *s);
u64 hash_add(u64 h, u64 v);
u64 hash_double(double d);
void note(const char *format, ...)
        __attribute__((format(printf, 1, 2))); /* text becomes part of the digest */
u64 on_worker(Fn fn, u64 a, u64 b);            /* fn(a, b) in another thread, which is waited for */
double bounded(double d);

/* The generated part. */
void program_start(u64 zero);
u64 program_step(u64 k);
extern int oracle_new;                  /* the oracle's: which version runs */
void oracle_switch(int version_is_new); /* the oracle's: constants become those of the version */

#ifdef __cplusplus
}
#endif
