/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "proc/remote.h"
#include "proc/wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int remote_silent_signal(uint64_t caught, uint64_t blocked) {
        static const int candidates[] = { SIGURG, SIGWINCH };

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                if (!((caught | blocked) >> (candidates[i] - 1) & 1))
                        return candidates[i];
        return 0;
}

int remote_go(Remote *r, uint64_t at, uint64_t rbx, uint64_t r15) {
        struct user_regs_struct regs = r->saved;
        uint64_t mask = remote_mask() & ~(UINT64_C(1) << (r->silent - 1));

        regs.rip = at;
        regs.rbx = rbx;
        regs.r12 = (unsigned long long)r->silent;
        regs.r15 = r15;
        regs.orig_rax = (unsigned long long)-1;
        regs.eflags &= ~UINT64_C(0x500); /* no single steps; direction up */
        r->called = true;
        r->in_signal = false;
        if (ptrace(PTRACE_SETSIGMASK, r->tid, (void *)8, &mask) < 0 ||
            ptrace(PTRACE_SETREGS, r->tid, 0, &regs) < 0 || ptrace(PTRACE_CONT, r->tid, 0, 0) < 0)
                return -errno;
        return 0;
}

int remote_await(Remote *r, uint64_t at, uint64_t *rbx) {
        for (;;) {
                struct user_regs_struct regs;
                int status, sig, q = remote_report(r, &status);

                if (q < 0)
                        return q;
                sig = status >> 16 ? 0 : WSTOPSIG(status);
                if (sig == r->silent) {
                        if (ptrace(PTRACE_GETREGS, r->tid, 0, &regs) < 0)
                                return -errno;
                        if (regs.rip == at) {
                                r->in_signal = true;
                                *rbx = regs.rbx;
                                return 0;
                        }
                } else if (remote_raised(r, status)) {
                        r->in_signal = true;
                        return -EFAULT;
                } else if (sig != SIGSTOP) {
                        sig = 0;
                }
                /* An event stop (a group stop began): the kernel repeats it when we let go. */
                if (ptrace(PTRACE_CONT, r->tid, 0, (void *)(intptr_t)sig) < 0)
                        return -errno;
        }
}
