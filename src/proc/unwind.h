/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proc/loaded.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/*
 * Walking a stopped thread's stack by call frame information (.eh_frame): exactly, or not at all.
 * There is no guessing by frame pointers: a frame without information is a failure.
 */
typedef struct Unwinder Unwinder;

/* `maps` and `loaded` must outlive it. */
Unwinder *unwinder_new(pid_t pid, const Maps *maps, const Loaded *loaded, size_t n);
Unwinder *unwinder_free(Unwinder *u);

/* Reads one word of the thread's memory; false when it cannot. */
typedef bool (*UnwindRead)(void *context, uint64_t addr, uint64_t *word);
/* Called for each frame, innermost first. `exact`: the thread is at pc (innermost, or interrupted by
 * a signal); otherwise pc is the address it will return to. Non-zero ends the walk. */
typedef int (*UnwindFrame)(void *context, uint64_t pc, bool exact);

/* The outermost frame was reached (0), the callback ended the walk (its value), or -ENODATA: it is
 * not known how the stack goes on. */
int unwind_thread(Unwinder *u, const struct user_regs_struct *regs, UnwindRead read, UnwindFrame frame,
                  void *context);
