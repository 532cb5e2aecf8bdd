/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/*
 * System calls made by a thread of another process on our behalf, through a `syscall` instruction
 * that it has already. The thread's signals are blocked for the time, its registers are put back at
 * the end, and a system call it was interrupted in is restarted by the kernel.
 */
typedef struct Remote {
        pid_t pid, tid;
        struct user_regs_struct saved;
        uint64_t mask;
        uint64_t gate;  /* address of a `syscall` instruction */
        bool called;    /* no longer in the stop of the beginning */
        bool in_signal; /* in a stop before a signal: there the kernel acts on restart codes as in that of the
                           beginning */
        uint64_t held;  /* signals that came from elsewhere although they cannot be blocked: bit 0 is signal 1
                         */
        int silent; /* a signal that the thread neither catches nor blocks, and that does nothing; 0: none */
        bool spin;  /* wait_spinning is worth it */
} Remote;

/* Positive outcomes of remote_open: */
enum {
        REMOTE_BUSY = 1,  /* the thread did not stop in time, or must not be used right now; another may do */
        REMOTE_TRACED,    /* somebody else traces it */
        REMOTE_ELSEWHERE, /* there is no `syscall` instruction at `gate`: it has executed something, perhaps
                           */
        REMOTE_SECCOMP,   /* its filter cannot be suspended */
        REMOTE_EXECUTES,  /* whatever it maps to be read may be executed, too (READ_IMPLIES_EXEC) */
        REMOTE_PERMISSION,
};
/* Seizes and stops the thread. Waits at most `wait_usec`. A hold (proc/hold.h) from then until remote_close.
 */
int remote_open(pid_t pid, pid_t tid, uint64_t gate, uint64_t wait_usec, Remote *out, Error *e);
/*
 * *result is what the kernel returned: a value, or a negative errno. -ESRCH when the thread is gone, -EFAULT
 * when it could not make the call, -ETIMEDOUT when it did not get to it: it is frozen.
 */
int remote_call(Remote *r, long nr, const uint64_t args[6], int64_t *result);
/*
 * The registers that the thread has between our calls: it goes on from them if we die then.
 */
struct user_regs_struct remote_parked(const Remote *r);
/*
 * Lets the thread run machine code at `at`, with rbx, r15 and, in r12, the number of `silent` (which is not
 * 0). The code says that it has ended by sending itself that signal, and then has to do without us: if we
 * die, it goes on.
 */
int remote_go(Remote *r, uint64_t at, uint64_t rbx, uint64_t r15);
/* Waits until it has, and is at `at`; *rbx is what it has there. -EFAULT when it raised another signal,
 * -ETIMEDOUT as remote_call. */
int remote_await(Remote *r, uint64_t at, uint64_t *rbx);
/* SIGURG or SIGWINCH, if it is in neither of these sets: then the kernel drops it at once. 0: none. */
int remote_silent_signal(uint64_t caught, uint64_t blocked);
/* The thread waits in a system call of a kind that no allocator and no lock makes. */
bool remote_in_call(const Remote *r);
/*
 * Calls a function of the process, on a stack that is there for that only. -ETIMEDOUT when it has not
 * returned after `wait_usec` and waits, or has run for seconds (it is left where it is; nothing else of the
 * thread is disturbed), -EFAULT when it raised a signal, -ENOMEM when there is no memory for the stack,
 * -EOPNOTSUPP when the thread has a shadow stack (CET).
 */
int remote_invoke(Remote *r, int mem_fd, uint64_t function, const uint64_t args[3], uint64_t wait_usec,
                  uint64_t *result);
/*
 * For the calls above. All signals are blocked while a thread works for us, but those that it may raise
 * itself: the kernel would take the process's handler for a blocked one away. remote_raised: is this one that
 * it raised? Otherwise it came from elsewhere, and is kept until remote_close.
 */
uint64_t remote_mask(void);
bool remote_raised(Remote *r, int status);
/*
 * The next report of a thread that was let run. -ESRCH, or -ETIMEDOUT when it sleeps where no call of ours
 * does: its control group is frozen. Then it is in an event stop.
 */
int remote_report(Remote *r, int *status);
/* Puts everything back and lets go. */
void remote_close(Remote *r);
