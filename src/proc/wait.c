/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/wait.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/task.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { ERESTARTNOHAND_ = 514, SPIN_NSEC = 20000 };

static uint64_t now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

bool wait_spinning(pid_t tid, int *status, bool *worth) {
        uint64_t until = *worth ? now_nsec() + SPIN_NSEC : 0;

        while (*worth) {
                if (waitpid(tid, status, __WALL | WNOHANG) == tid)
                        return true;
                *worth = now_nsec() < until;
        }
        return false;
}

int wait_stop(pid_t tid, uint64_t until_asleep, uint64_t until, int *status) {
        pid_t p;

        while ((p = waitpid(tid, status, __WALL)) < 0 && errno == EINTR) {
                uint64_t now = now_usec();
                TaskStat s;

                if (now >= until || (now >= until_asleep && task_stat(tid, &s) == 0 && s.state == 'D'))
                        return -ETIMEDOUT;
        }
        return p < 0 || !WIFSTOPPED(*status) ? -ESRCH : 0;
}

bool restart_after_stop(struct user_regs_struct *regs) {
        /*
         * The kernel's own restart codes need no help. These calls turn an interruption into a plain
         * -EINTR, whether or not there was a signal. We are inside get_signal(): with ERESTARTNOHAND
         * the kernel restarts the call when no handler runs, and returns EINTR when one does: what
         * would have happened without us. close() is not among them: its descriptor is gone.
         */
        static const uint16_t restartable[] = {
                SYS_read,
                SYS_write,
                SYS_pread64,
                SYS_pwrite64,
                SYS_readv,
                SYS_writev,
                SYS_preadv,
                SYS_pwritev,
                SYS_preadv2,
                SYS_pwritev2,
                SYS_recvfrom,
                SYS_recvmsg,
                SYS_recvmmsg,
                SYS_sendto,
                SYS_sendmsg,
                SYS_sendmmsg,
                SYS_accept,
                SYS_accept4,
                SYS_connect,
                SYS_epoll_wait,
                SYS_epoll_pwait,
                441,
                SYS_semop,
                SYS_semtimedop,
                SYS_rt_sigtimedwait,
                SYS_io_getevents,
                333,
                426,
                SYS_poll,
                SYS_ppoll,
                SYS_select,
                SYS_pselect6,
                SYS_pause,
                SYS_rt_sigsuspend,
                SYS_msgrcv,
                SYS_msgsnd,
                SYS_nanosleep,
                SYS_clock_nanosleep,
                SYS_futex,
                SYS_wait4,
                SYS_waitid,
                SYS_open,
                SYS_openat,
                SYS_flock,
                SYS_fcntl,
                SYS_mq_timedreceive,
                SYS_mq_timedsend,
                SYS_sendfile,
                SYS_splice,
                SYS_tee,
                SYS_getrandom,
                SYS_fsync,
                SYS_fdatasync,
                SYS_stat,
                SYS_lstat,
                SYS_newfstatat,
                SYS_getdents64,
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

static VEC(pid_t) late;

void late_add(pid_t tid) {
        vec_push(&late, tid);
}

void let_go(pid_t tid, int signal) {
        int status;

        if (ptrace(PTRACE_DETACH, tid, 0, (void *)(intptr_t)signal) < 0 &&
            waitpid(tid, &status, __WALL | WNOHANG) == 0)
                late_add(tid);
}

bool late_take(pid_t tid) {
        for (size_t i = 0; i < late.n; i++)
                if (late.items[i] == tid) {
                        late.items[i] = late.items[--late.n];
                        return true;
                }
        return false;
}

size_t late_release(void) {
        for (size_t i = 0; i < late.n;) {
                pid_t tid = late.items[i];
                struct user_regs_struct regs;
                int status;
                pid_t p = waitpid(tid, &status, __WALL | WNOHANG);

                if (p == 0 || (p < 0 && errno == EINTR)) {
                        i++;
                        continue;
                }
                if (p == tid && WIFSTOPPED(status)) {
                        if (ptrace(PTRACE_GETREGS, tid, 0, &regs) == 0 && restart_after_stop(&regs))
                                ptrace(PTRACE_SETREGS, tid, 0, &regs);
                        if (ptrace(PTRACE_DETACH, tid, 0,
                                   status >> 16 ? 0 : (void *)(intptr_t)WSTOPSIG(status)) < 0) {
                                i++; /* killed: it is reaped the next time */
                                continue;
                        }
                }
                late.items[i] = late.items[--late.n];
        }
        return late.n;
}
