/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* Waiting for traced threads: shared by remote.c and stop.c. */

/*
 * Waits until a seized and interrupted thread reports; the status of waitpid(). A thread that runs,
 * or is about to, is waited for until now_usec() passes `until`: it only lacks a processor. One that
 * sleeps uninterruptibly is waited for until `until_asleep`. Between hold_begin and hold_end only.
 * -ETIMEDOUT, -ESRCH.
 */
int wait_stop(pid_t tid, uint64_t until_asleep, uint64_t until, int *status);

/*
 * Looks for a report again and again for 20 us: a thread that runs on another processor is there sooner than
 * it takes to fall asleep and be woken. True, and *status, when one came. *worth is false from then on when
 * none did: on one processor with the thread it would only keep it waiting.
 */
bool wait_spinning(pid_t tid, int *status, bool *worth);

/* When a stop made a call return EINTR although no signal was delivered, lets the kernel restart it.
 * True when `regs` changed. */
bool restart_after_stop(struct user_regs_struct *regs);

/*
 * Threads that were asked to stop and have not: still ours, to be let go when they do. The kernel
 * lets go of those that are left when this process ends.
 */
void late_add(pid_t tid);
/* Lets a stopped thread go, with a signal or 0. One that was killed meanwhile is reaped: its process could
 * not end, nor execute anything, before. */
void let_go(pid_t tid, int signal);
/* True, and forgotten, when `tid` is one of them. */
bool late_take(pid_t tid);
/* Lets go of those that have stopped by now; how many are left. */
size_t late_release(void);
