/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/remote.h"
#include "base/macro.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
enum { ERESTARTNOHAND_ = 514, STOP_EVENT = 128 /* PTRACE_EVENT_STOP */ };

static volatile sig_atomic_t bound_passed;

static void on_alarm(int sig) {
        bound_passed = 1;
}

void wait_bound_arm(uint64_t usec) {
        struct sigaction sa = { .sa_handler = on_alarm }; /* no SA_RESTART: waitpid must return */
        struct itimerval it = { .it_interval = { 0, 2000 },
                                .it_value = { (time_t)(usec / 1000000), (suseconds_t)(usec % 1000000) } };

        if (!usec)
                it.it_value.tv_usec = 1;
        bound_passed = 0;
        sigaction(SIGALRM, &sa, NULL);
        setitimer(ITIMER_REAL, &it, NULL);
}

void wait_bound_disarm(void) {
        struct itimerval it = { 0 };

        setitimer(ITIMER_REAL, &it, NULL);
}

bool wait_bound_passed(void) {
        return bound_passed;
}

bool restart_after_stop(struct user_regs_struct *regs) {
        /*
         * The kernel's own restart codes need no help. These calls turn an interruption into a plain
         * -EINTR, whether or not there was a signal. We are inside get_signal(): with ERESTARTNOHAND
         * the kernel restarts the call when no handler runs, and returns EINTR when one does: what
         * would have happened without us. close() is not among them: its descriptor is gone.
         */
        static const uint16_t restartable[] = {
                SYS_read,         SYS_write,       SYS_pread64,      SYS_pwrite64,     SYS_readv,
                SYS_writev,       SYS_preadv,      SYS_pwritev,      SYS_preadv2,      SYS_pwritev2,
                SYS_recvfrom,     SYS_recvmsg,     SYS_recvmmsg,     SYS_sendto,       SYS_sendmsg,
                SYS_sendmmsg,     SYS_accept,      SYS_accept4,      SYS_connect,      SYS_epoll_wait,
                SYS_epoll_pwait,  441,             SYS_semop,        SYS_semtimedop,   SYS_rt_sigtimedwait,
                SYS_io_getevents, 333,             426,              SYS_poll,         SYS_ppoll,
                SYS_select,       SYS_pselect6,    SYS_pause,        SYS_rt_sigsuspend, SYS_msgrcv,
                SYS_msgsnd,       SYS_nanosleep,   SYS_clock_nanosleep, SYS_futex,     SYS_wait4,
                SYS_waitid,       SYS_open,        SYS_openat,       SYS_flock,        SYS_fcntl,
                SYS_mq_timedreceive, SYS_mq_timedsend, SYS_sendfile, SYS_splice,       SYS_tee,
                SYS_getrandom,    SYS_fsync,       SYS_fdatasync,    SYS_stat,         SYS_lstat,
                SYS_newfstatat,   SYS_getdents64,
        };

        if ((int64_t)regs->rax != -EINTR || (int64_t)regs->orig_rax < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(restartable); i++)
                if (regs->orig_rax == restartable[i]) {
                        regs->rax = (unsigned long long)-(int64_t)ERESTARTNOHAND_;
                        return true;
                }
        return false;
}

/* A restartable sequence must not be left and re-entered in its middle: the kernel would not abort it. */
static bool inside_rseq(const Remote *r) {
        struct {
                uint64_t rseq_abi_pointer;
                uint32_t size, signature, flags, pad;
        } conf = { 0 };
        uint64_t descriptor = 0, fields[4];

        if (ptrace((enum __ptrace_request)0x420f /* PTRACE_GET_RSEQ_CONFIGURATION */, r->tid, (void *)sizeof(conf), &conf) < 0 ||
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

/* Waits until the thread is in an event stop; signals that arrive are handed on. */
static int wait_event_stop(pid_t tid) {
        for (;;) {
                int status;
                pid_t p = waitpid(tid, &status, __WALL);

                if (p < 0 && errno == EINTR) {
                        if (wait_bound_passed())
                                return -ETIMEDOUT;
                        continue;
                }
                if (p < 0 || !WIFSTOPPED(status))
                        return -ESRCH;
                if (status >> 16 == STOP_EVENT)
                        return 0;
                if (ptrace(PTRACE_CONT, tid, 0, (status >> 16) == 0 ? (void *)(intptr_t)(WSTOPSIG(status) & 0x7f) : 0) <
                            0 &&
                    errno != ESRCH)
                        return -errno;
        }
}

int remote_open(pid_t pid, pid_t tid, uint64_t gate, uint64_t wait_usec, Remote *out, Error *e) {
        Remote r = { .pid = pid, .tid = tid, .gate = gate };
        uintptr_t options = PTRACE_O_TRACESYSGOOD;
        TaskStatus status;
        int q;

        q = task_status(pid, tid, &status, e);
        if (q < 0)
                return q == -ESRCH ? REMOTE_BUSY : q;
        if (status.tracer)
                return REMOTE_TRACED;
        if (!strchr("RSTt", status.state))
                return REMOTE_BUSY;
        if (status.seccomp)
                options |= PTRACE_O_SUSPEND_SECCOMP;
        if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0) {
                if (errno == ESRCH)
                        return REMOTE_BUSY;
                if (errno != EPERM && errno != EACCES && errno != EINVAL && errno != EIO)
                        return error_errno(e, -errno, "thread %d: seize", tid);
                if (task_status(pid, tid, &status, e) == 0 && status.tracer)
                        return REMOTE_TRACED;
                if (!status.seccomp || ptrace(PTRACE_SEIZE, tid, 0, 0) < 0)
                        return REMOTE_PERMISSION;
                wait_bound_arm(wait_usec);
                if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0 && wait_event_stop(tid) == 0)
                        ptrace(PTRACE_DETACH, tid, 0, 0);
                wait_bound_disarm();
                return REMOTE_SECCOMP;
        }
        wait_bound_arm(wait_usec);
        q = ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ? -errno : wait_event_stop(tid);
        wait_bound_disarm();
        if (q == -ETIMEDOUT)
                return error_set(e, -ETIMEDOUT, "thread %d did not stop", tid);
        if (q < 0)
                return REMOTE_BUSY;
        if (ptrace(PTRACE_GETREGS, tid, 0, &r.saved) < 0 || ptrace(PTRACE_GETSIGMASK, tid, (void *)8, &r.mask) < 0) {
                ptrace(PTRACE_DETACH, tid, 0, 0);
                return REMOTE_BUSY;
        }
        if (restart_after_stop(&r.saved))
                ptrace(PTRACE_SETREGS, tid, 0, &r.saved);
        if (inside_rseq(&r) || (r.saved.cs & 0xffff) == 0x23) {
                ptrace(PTRACE_DETACH, tid, 0, 0);
                return REMOTE_BUSY;
        }
        if (dispatches_syscalls(tid)) {
                ptrace(PTRACE_DETACH, tid, 0, 0);
                return REMOTE_SECCOMP;
        }
        *out = r;
        return 0;
}

/* Runs to the next system-call stop (entry or exit). */
static int next_syscall_stop(pid_t tid) {
        if (ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
                return -errno;
        for (;;) {
                int status;
                pid_t p = waitpid(tid, &status, __WALL);

                if (p < 0 && errno == EINTR)
                        continue;
                if (p < 0 || !WIFSTOPPED(status))
                        return -ESRCH;
                if (WSTOPSIG(status) == (SIGTRAP | 0x80))
                        return 0;
                /* An event stop (a group stop began): go on; the kernel repeats it when we let go. All
                 * signals are blocked, so a delivered one can only be synchronous: hand it on. */
                if (ptrace(PTRACE_SYSCALL, tid, 0, status >> 16 ? 0 : (void *)(intptr_t)WSTOPSIG(status)) < 0)
                        return -errno;
        }
}

/*
 * The registers that the thread has between our calls: if we die then, it goes on from them. Outside
 * get_signal() the kernel does not look at the restart codes, so they are acted on here.
 */
static struct user_regs_struct parked(const Remote *r) {
        struct user_regs_struct regs = r->saved;

        if ((int64_t)regs.orig_rax >= 0) {
                int64_t v = (int64_t)regs.rax;

                if (v == -512 || v == -513 || v == -ERESTARTNOHAND_) {
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
        uint64_t all = ~UINT64_C(0);
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
        if (ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &all) < 0 || ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0)
                return -errno;
        q = next_syscall_stop(r->tid);
        if (q == 0)
                q = next_syscall_stop(r->tid);
        if (q < 0)
                return q;
        if (ptrace(PTRACE_GETREGS, r->tid, 0, &regs) < 0)
                return -errno;
        *result = (int64_t)regs.rax;
        regs = parked(r);
        if (ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0 || ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &r->mask) < 0)
                return -errno;
        return 0;
}

void remote_close(Remote *r) {
        uint64_t all = ~UINT64_C(0);
        int status;

        if (!r->tid)
                return;
        if (r->called) {
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
                ptrace(PTRACE_SETREGS, r->tid, 0, &r->saved);
                ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &r->mask);
        }
        ptrace(PTRACE_DETACH, r->tid, 0, 0);
out:
        r->tid = 0;
}
