/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every scenario's target has in common. A target is built once for each VERSION (1: old, 2:
 * new, 3: newer), started, patched while it works and asked to check itself.
 *
 * The runner talks to it over stdin and stdout, one line each way:
 *   (start)            -> READY PID...        the processes to patch
 *   check VERSION ...  -> ok | FAIL what      the behaviour of VERSION is there, nothing else broke
 *   send WORD          -> ok | FAIL what      a command of the scenario's own
 *   quit               -> (exit 0, or 1 after a FAIL line)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION 1
#endif
#define NEW (VERSION >= 2)
#define PICK(old, new) (NEW ? (new) : (old))

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noipa))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The target's part; each is optional. */
void target_start(void);             /* before READY */
void target_work(void);              /* each turn of the main loop, about every 2 ms */
void target_check(int version);      /* EXPECTs the behaviour of that version */
void target_command(const char *word);
void target_stop(void);              /* harness_stopping() is true from now: wakes workers that wait */
void target_end(void);               /* before the exit, when the workers have ended */

/* The harness's part. */
void harness_begin(void);            /* for a target with its own main() */
bool harness_turn(void);             /* one turn of the main loop; false: asked to quit */
int harness_end(void);               /* the exit status */
void harness_pid(pid_t pid);         /* that process is to be patched (too); default: this one */
void harness_signals(void);          /* the main thread may see EINTR: signals are part of the scenario */
void harness_expect(bool ok, const char *what, int line);
void harness_expect_eq(long got, long want, const char *what, int line);
void harness_expect_str(const char *got, const char *want, const char *what, int line);
void harness_workers(int n, void (*body)(int index)); /* n threads that call body until the end */
void harness_workers_stop(void);
bool harness_stopping(void);
bool harness_flag(const char *word); /* the word stands behind `check VERSION` */
long harness_turns(void);
void harness_replied(void);          /* the command has answered for itself */
void harness_skip(const char *why);  /* says that the scenario cannot run here, and exits */
uint64_t harness_usec(void);         /* CLOCK_MONOTONIC */
uint32_t harness_hash(const void *p, size_t n);

#ifdef __cplusplus
}
#endif

#define EXPECT(cond) harness_expect((cond), #cond, __LINE__)
#define EXPECT_EQ(got, want) harness_expect_eq((long)(got), (long)(want), #got " == " #want, __LINE__)
#define EXPECT_STR(got, want) harness_expect_str((got), (want), #got " is " #want, __LINE__)
/* A system call that must not fail, least of all with EINTR. */
#define CALL(expr)                                                                     \
        ({                                                                             \
                long call_r = (long)(expr);                                            \
                if (call_r < 0) {                                                      \
                        char call_t[128];                                              \
                        snprintf(call_t, sizeof(call_t), "%.80s: errno %d", #expr, errno); \
                        harness_expect(false, call_t, __LINE__);                       \
                }                                                                      \
                call_r;                                                                \
        })
