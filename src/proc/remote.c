/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/remote.h"
#include "base/macro.h"
#include "proc/hold.h"
#include "proc/mem.h"
#include "proc/task.h"
#include "proc/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
enum {
        STOP_EVENT = 128, /* PTRACE_EVENT_STOP */
        ASLEEP_USEC = 20000,
        FROZEN_USEC = 1000000, /* so long nobody sleeps in calls that return at once */
};

/* A restartable sequence must not be left and re-entered in its middle: the kernel would not abort it. */
static bool inside_rseq(const Remote *r) {
        struct {
                uint64_t rseq_abi_pointer;
                uint32_t size, signature, flags, pad;
        } conf = { 0 };
        uint64_t descriptor = 0, fields[4];

        if (ptrace((enum __ptrace_request)0x420f /* PTRACE_GET_RSEQ_CONFIGURATION */, r->tid,
                   (void *)sizeof(conf), &conf) < 0 ||
            !conf.rseq_abi_pointer)
                return false;
        if (mem_read(r->pid, conf.rseq_abi_pointer + 8, &descriptor, sizeof(descriptor)) < 0 || !descriptor)
                return false;
        if (mem_read(r->pid, descriptor, fields, sizeof(fields)) < 0)
                return true;
        return r->saved.rip - fields[1] < fields[2]; /* start_ip, post_commit_offset */
}

static bool dispatches_syscalls(pid_t tid) {
        struct {
                uint64_t mode, selector, offset, len;
        } conf = { 0 };

        return ptrace((enum __ptrace_request)0x4211 /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG */, tid,
                      (void *)sizeof(conf), &conf) == 0 &&
               conf.mode != 0;
}

/* What it maps to be written could be executed: we never want that, and what we look for in maps would look
 * otherwise. */
static bool reads_imply_executing(pid_t pid, pid_t tid) {
        enum { READ_IMPLIES_EXEC_ = 0x0400000 };
        char path[64], text[16];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/personality", pid, tid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false; /* a kernel without it */
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[MAX(n, 0)] = 0;
        return strtoul(text, NULL, 16) & READ_IMPLIES_EXEC_;
}

/* Waits until the thread is in an event stop; signals that arrive are handed on. */
static int wait_event_stop(pid_t tid, uint64_t wait_usec) {
        uint64_t now = now_usec();

        for (;;) {
                int status, r = wait_stop(tid, now + ASLEEP_USEC, now + wait_usec, &status);

                if (r < 0)
                        return r;
                if (status >> 16 == STOP_EVENT)
                        return 0;
                if (ptrace(PTRACE_CONT, tid, 0,
                           (status >> 16) == 0 ? (void *)(intptr_t)(WSTOPSIG(status) & 0x7f) : 0) < 0 &&
                    errno != ESRCH)
                        return -errno;
        }
}

static int open_held(pid_t pid, pid_t tid, uint64_t gate, uint64_t wait_usec, Remote *out, Error *e) {
        Remote r = { .pid = pid, .tid = tid, .gate = gate, .spin = true };
        const uintptr_t options = PTRACE_O_TRACESYSGOOD;
        bool suspended = false;
        TaskStatus status;
        uint8_t code[2];
        int q;

        q = task_status(pid, tid, &status, e);
        if (q < 0)
                return q == -ESRCH ? REMOTE_BUSY : q;
        late_release();
        if (status.tracer && status.tracer != getpid())
                return REMOTE_TRACED;
        if (status.tracer)
                return REMOTE_BUSY;
        if (!strchr("RSTt", status.state) || status.dumping ||
            (tid != status.tgid && task_look(pid, tid).worker))
                return REMOTE_BUSY;
        /* Also of a thread that has no filter: another may give it one at any moment. */
        if (ptrace(PTRACE_SEIZE, tid, 0, options | PTRACE_O_SUSPEND_SECCOMP) == 0) {
                suspended = true;
        } else if (errno == ESRCH) {
                return REMOTE_BUSY;
        } else if (errno != EPERM && errno != EACCES && errno != EINVAL && errno != EIO) {
                return error_errno(e, -errno, "thread %d: seize", tid);
        } else if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0) {
                if (errno == ESRCH)
                        return REMOTE_BUSY;
                return task_status(pid, tid, &status, e) == 0 && status.tracer ? REMOTE_TRACED
                                                                               : REMOTE_PERMISSION;
        }
        q = ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ? -errno : wait_event_stop(tid, wait_usec);
        if (q == -ETIMEDOUT)
                late_add(tid);
        if (q < 0)
                return REMOTE_BUSY;
        if (ptrace(PTRACE_GETREGS, tid, 0, &r.saved) < 0 ||
            ptrace(PTRACE_GETSIGMASK, tid, (void *)8, &r.mask) < 0) {
                let_go(tid, 0);
                return REMOTE_BUSY;
        }
        if (restart_after_stop(&r.saved))
                ptrace(PTRACE_SETREGS, tid, 0, &r.saved);
        /* No stack and no code: a worker of the kernel (vhost). */
        if (inside_rseq(&r) || (r.saved.cs & 0xffff) == 0x23 || (!r.saved.rip && !r.saved.rsp)) {
                let_go(tid, 0);
                return REMOTE_BUSY;
        }
        if (mem_read(tid, gate, code, sizeof(code)) < 0 || code[0] != 0x0f || code[1] != 0x05) {
                let_go(tid, 0);
                return REMOTE_ELSEWHERE;
        }
        if (dispatches_syscalls(tid) ||
            (!suspended && (task_status(pid, tid, &status, NULL) < 0 || status.seccomp))) {
                let_go(tid, 0);
                return REMOTE_SECCOMP;
        }
        if (reads_imply_executing(pid, tid)) {
                let_go(tid, 0);
                return REMOTE_EXECUTES;
        }
        r.silent = remote_silent_signal(status.caught, r.mask);
        *out = r;
        return 0;
}

int remote_open(pid_t pid, pid_t tid, uint64_t gate, uint64_t wait_usec, Remote *out, Error *e) {
        int r;

        hold_begin();
        r = open_held(pid, tid, gate, wait_usec, out, e);
        if (r)
                hold_end();
        return r;
}

uint64_t remote_mask(void) {
        static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
        uint64_t mask = ~UINT64_C(0);

        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                mask &= ~(UINT64_C(1) << (own[i] - 1));
        return mask;
}

bool remote_raised(Remote *r, int status) {
        int sig = WSTOPSIG(status);
        siginfo_t si;

        if (status >> 16 || sig == SIGSTOP || sig == (SIGTRAP | 0x80))
                return false;
        if (ptrace(PTRACE_GETSIGINFO, r->tid, 0, &si) < 0 || si.si_code > 0)
                return true;
        r->held |= UINT64_C(1) << (sig - 1);
        return false;
}

int remote_report(Remote *r, int *status) {
        uint64_t until = 0;
        TaskStat s;

        if (wait_spinning(r->tid, status, &r->spin))
                return WIFSTOPPED(*status) ? 0 : -ESRCH;
        for (;;) {
                pid_t p = waitpid(r->tid, status, __WALL);
                uint64_t now;

                if (p >= 0 || errno != EINTR)
                        return p < 0 || !WIFSTOPPED(*status) ? -ESRCH : 0;
                now = now_usec();
                until = until ? until : now + FROZEN_USEC;
                if (now < until || task_stat(r->tid, &s) < 0 || s.state != 'S')
                        continue;
                if (ptrace(PTRACE_INTERRUPT, r->tid, 0, 0) < 0)
                        return -ESRCH;
                while ((p = waitpid(r->tid, status, __WALL)) < 0 && errno == EINTR)
                        ;
                if (p < 0 || !WIFSTOPPED(*status))
                        return -ESRCH;
                if (*status >> 16 != STOP_EVENT)
                        return 0; /* it went on in this very moment */
                r->in_signal = true;
                return -ETIMEDOUT;
        }
}

/* Runs to the next system-call stop (entry or exit). */
static int next_syscall_stop(Remote *r) {
        pid_t tid = r->tid;

        if (ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
                return -errno;
        for (;;) {
                int status, q = remote_report(r, &status);

                if (q < 0)
                        return q;
                if (WSTOPSIG(status) == (SIGTRAP | 0x80))
                        return 0;
                if (remote_raised(r, status)) { /* there is no call to be made there */
                        r->in_signal = true;
                        return -EFAULT;
                }
                /* A stop of the whole process: the kernel repeats it when we let go. */
                if (ptrace(PTRACE_SYSCALL, tid, 0,
                           !(status >> 16) && WSTOPSIG(status) == SIGSTOP ? (void *)(intptr_t)SIGSTOP : 0) <
                    0)
                        return -errno;
        }
}

/* Outside get_signal() the kernel does not look at the restart codes, so they are acted on here. */
struct user_regs_struct remote_parked(const Remote *r) {
        struct user_regs_struct regs = r->saved;

        if ((int64_t)regs.orig_rax >= 0) {
                int64_t v = (int64_t)regs.rax;

                if (v == -512 || v == -513 || v == -514) {
                        regs.rax = regs.orig_rax;
                        regs.rip -= 2;
                } else if (v == -516) {
                        regs.rax = SYS_restart_syscall;
                        regs.rip -= 2;
                }
        }
        regs.orig_rax = (unsigned long long)-1;
        return regs;
}

int remote_call(Remote *r, long nr, const uint64_t args[6], int64_t *result) {
        struct user_regs_struct regs = r->saved;
        uint64_t mask = remote_mask();
        int q;

        regs.rip = r->gate;
        regs.rax = (unsigned long long)nr;
        regs.orig_rax = (unsigned long long)-1;
        regs.rdi = args[0];
        regs.rsi = args[1];
        regs.rdx = args[2];
        regs.r10 = args[3];
        regs.r8 = args[4];
        regs.r9 = args[5];
        regs.eflags &= ~UINT64_C(0x100);
        r->called = true;
        r->in_signal = false;
        if (ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &mask) < 0 ||
            ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0)
                return -errno;
        q = next_syscall_stop(r);
        if (q == 0)
                q = next_syscall_stop(r);
        if (q < 0)
                return q;
        if (ptrace(PTRACE_GETREGS, r->tid, 0, &regs) < 0)
                return -errno;
        *result = (int64_t)regs.rax;
        regs = remote_parked(r);
        if (ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0 ||
            ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &r->mask) < 0)
                return -errno;
        return 0;
}

void remote_close(Remote *r) {
        uint64_t all = ~UINT64_C(0);
        int status, first = 0;

        if (!r->tid)
                return;
        if (r->called && !r->in_signal) {
                /* Back to a stop inside get_signal(), where the kernel itself acts on the restart codes. */
                if (ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &all) < 0 ||
                    ptrace(PTRACE_INTERRUPT, r->tid, 0, 0) < 0 || ptrace(PTRACE_CONT, r->tid, 0, 0) < 0)
                        goto out;
                for (;;) {
                        pid_t p = waitpid(r->tid, &status, __WALL);

                        if (p < 0 && errno == EINTR)
                                continue;
                        if (p < 0 || !WIFSTOPPED(status))
                                goto out;
                        if (status >> 16 == STOP_EVENT)
                                break;
                        ptrace(PTRACE_CONT, r->tid, 0, status >> 16 ? 0 : (void *)(intptr_t)WSTOPSIG(status));
                }
        }
        if (r->called) {
                ptrace(PTRACE_SETREGS, r->tid, 0, &r->saved);
                ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &r->mask);
        }
out:
        /* The first goes with the thread; if there are others they are sent again. */
        for (int sig = 1; sig < 64 && r->held; sig++) {
                uint64_t bit = UINT64_C(1) << (sig - 1);

                if (!(r->held & bit))
                        continue;
                r->held &= ~bit;
                if (first)
                        syscall(SYS_tgkill, r->pid, r->tid, sig);
                else
                        first = sig;
        }
        let_go(r->tid, first);
        hold_end();
        r->tid = 0;
}
