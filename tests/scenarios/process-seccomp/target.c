/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }

#define ALLOW(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

void target_start(void) {
        struct sock_filter f[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_poll), ALLOW(SYS_restart_syscall), ALLOW(SYS_exit_group),
                ALLOW(SYS_rt_sigreturn), ALLOW(SYS_futex), ALLOW(SYS_fstat), ALLOW(SYS_newfstatat),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog p = { sizeof(f) / sizeof(*f), f };
        harness_pid(getpid());
        CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p));
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
