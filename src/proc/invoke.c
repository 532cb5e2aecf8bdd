/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "proc/mem.h"
#include "proc/remote.h"
#include "proc/task.h"
#include "proc/wait.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        STOP_EVENT = 128,
        NT_X86_SHSTK_ = 0x204,
        STACK_BYTES = 65536, /* for what is called, and a page below that nobody may touch */
        GUARD_BYTES = 4096,
        LOOK_USEC = 20,
        LATE_LOOK_USEC = 1000,
        XSTATE_BYTES = 16384,
        RUNAWAY_USEC = 3000000, /* of processor time: what is called takes microseconds */
};

/* Processor time that the thread has had; 0 when the kernel does not tell. */
static uint64_t ran_usec(pid_t tid) {
        char path[64];
        unsigned long long nsec = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/schedstat", tid);
        f = fopen(path, "re");
        if (f) {
                if (fscanf(f, "%llu", &nsec) != 1)
                        nsec = 0;
                fclose(f);
        }
        return nsec / 1000;
}

/*
 * The next stop of the thread. -ETIMEDOUT when there is none by `until` and it sleeps: it waits for
 * somebody; or when it has run for so long (ran_usec) that it will not return. Another that runs is never
 * given up on: it may be in the middle of anything.
 */
static int next_stop(pid_t tid, uint64_t until, uint64_t until_ran, int *status) {
        for (;;) {
                pid_t p = waitpid(tid, status, __WALL | WNOHANG);
                bool late = now_usec() >= until;
                TaskStat s;

                if (p == tid)
                        return WIFSTOPPED(*status) ? 0 : -ESRCH;
                if (p < 0 && errno != EINTR)
                        return -ESRCH;
                if (late && (task_stat(tid, &s) < 0 || s.state == 'S' || ran_usec(tid) > until_ran))
                        return -ETIMEDOUT;
                usleep(late ? LATE_LOOK_USEC : LOOK_USEC);
        }
}

static int go_on(pid_t tid, int status, uint64_t until, uint64_t until_ran, int *next) {
        bool stop = !(status >> 16) && WSTOPSIG(status) == SIGSTOP;

        if (ptrace(PTRACE_SYSCALL, tid, 0, stop ? (void *)(intptr_t)SIGSTOP : 0) < 0)
                return -errno;
        return next_stop(tid, until, until_ran, next);
}

bool remote_in_call(const Remote *r) {
        switch ((int64_t)r->saved.orig_rax) {
        case SYS_read:
        case SYS_readv:
        case SYS_poll:
        case SYS_ppoll:
        case SYS_select:
        case SYS_pselect6:
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
        case SYS_epoll_pwait2:
        case SYS_accept:
        case SYS_accept4:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_recvmmsg:
        case SYS_nanosleep:
        case SYS_clock_nanosleep:
        case SYS_pause:
        case SYS_rt_sigsuspend:
        case SYS_rt_sigtimedwait:
        case SYS_wait4:
        case SYS_waitid:
        case SYS_io_getevents:
        case SYS_semop:
        case SYS_semtimedop:
        case SYS_msgrcv:
        case SYS_restart_syscall:
                return true;
        case SYS_futex: /* a condition variable or semaphore; a plain lock waits otherwise */
                return (r->saved.rsi & 0x7f) == 9 /* FUTEX_WAIT_BITSET */;
        default:
                return false;
        }
}

/* The thread's returns are checked against a stack that nobody else writes to: ours would not be found on it.
 */
static bool has_shadow_stack(pid_t tid) {
        uint64_t pointer;
        struct iovec iov = { &pointer, sizeof(pointer) };

        return ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_SHSTK_, &iov) == 0;
}

/*
 * A stack of its own for what is called: nobody knows how much the thread has left of its own, and what lies
 * below it may be anything where a program makes its stacks itself.
 */
static int map_stack(Remote *r, uint64_t *start) {
        const uint64_t map[6] = { 0,
                                  GUARD_BYTES + STACK_BYTES,
                                  PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                  (uint64_t)-1,
                                  0 };
        int64_t at, result = 0;
        int q = remote_call(r, SYS_mmap, map, &at);

        if (q == 0 && at < 0)
                return (int)at;
        if (q == 0)
                q = remote_call(r, SYS_mprotect,
                                (const uint64_t[6]){ (uint64_t)at + GUARD_BYTES, STACK_BYTES,
                                                     PROT_READ | PROT_WRITE },
                                &result);
        if (q == 0 && result < 0) {
                const uint64_t unmap[6] = { (uint64_t)at, GUARD_BYTES + STACK_BYTES };
                int64_t ignored;

                remote_call(r, SYS_munmap, unmap, &ignored);
                return (int)result;
        }
        if (q == 0)
                *start = (uint64_t)at;
        return q;
}

/*
 * The function returns to the `syscall` instruction; the stop before that call is where it ends, and
 * the call itself is skipped.
 */
static int invoke_on(Remote *r, int mem_fd, uint64_t sp, uint64_t function, const uint64_t args[3],
                     uint64_t wait_usec, uint64_t *result) {
        static const uint64_t none[6];
        struct user_regs_struct regs = r->saved;
        uint64_t mask = remote_mask(), until = now_usec() + wait_usec,
                 until_ran = ran_usec(r->tid) + RUNAWAY_USEC;
        int status = (SIGTRAP | STOP_EVENT << 8) << 8 | 0x7f, q;
        _cleanup_(freep) uint8_t *xstate = malloc(XSTATE_BYTES);
        struct iovec iov = { xstate, XSTATE_BYTES };
        int64_t ignored;

        if (!xstate)
                return -ENOMEM;
        if (ptrace(PTRACE_GETREGSET, r->tid, (void *)NT_X86_XSTATE, &iov) < 0)
                return -errno;
        q = mem_write(mem_fd, sp, &r->gate, sizeof(r->gate));
        if (q < 0)
                return q;
        regs.rip = function;
        regs.rsp = sp;
        regs.rax = 0;
        regs.orig_rax = (unsigned long long)-1;
        regs.rdi = args[0];
        regs.rsi = args[1];
        regs.rdx = args[2];
        regs.eflags &= ~UINT64_C(0x500); /* no single steps; direction up */
        r->called = true;
        if (ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &mask) < 0 ||
            ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0)
                return -errno;
        for (;;) {
                q = go_on(r->tid, status, until, until_ran, &status);
                if (q == -ETIMEDOUT) { /* it waits for a lock, most likely: not now */
                        if (ptrace(PTRACE_INTERRUPT, r->tid, 0, 0) < 0 ||
                            next_stop(r->tid, UINT64_MAX, 0, &status) < 0)
                                return -ESRCH;
                        break;
                }
                if (q < 0)
                        return q;
                if (remote_raised(r, status)) {
                        q = -EFAULT;
                        break;
                }
                if (WSTOPSIG(status) != (SIGTRAP | 0x80))
                        continue;
                if (ptrace(PTRACE_GETREGS, r->tid, 0, &regs) < 0)
                        return -errno;
                if (regs.rip == r->gate + 2 && regs.rsp == sp + 8) {
                        *result = regs.orig_rax;
                        regs.orig_rax = (unsigned long long)-1;
                        if (ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0)
                                return -errno;
                        q = go_on(r->tid, status, UINT64_MAX, 0, &status);
                        break;
                }
        }
        if (q != -ESRCH)
                ptrace(PTRACE_SETREGSET, r->tid, (void *)NT_X86_XSTATE, &iov);
        /* One harmless call leaves the thread as remote_call() leaves it. */
        if (q == -ESRCH || remote_call(r, SYS_getpid, none, &ignored) < 0)
                return -ESRCH;
        return q;
}

int remote_invoke(Remote *r, int mem_fd, uint64_t function, const uint64_t args[3], uint64_t wait_usec,
                  uint64_t *result) {
        uint64_t start = 0;
        int64_t ignored;
        int q;

        if (has_shadow_stack(r->tid))
                return -EOPNOTSUPP;
        q = map_stack(r, &start);
        if (q < 0)
                return q;
        q = invoke_on(r, mem_fd, start + GUARD_BYTES + STACK_BYTES - 64 - sizeof(uint64_t), function, args,
                      wait_usec, result);
        if (q != -ESRCH)
                remote_call(r, SYS_munmap, (const uint64_t[6]){ start, GUARD_BYTES + STACK_BYTES }, &ignored);
        return q;
}
