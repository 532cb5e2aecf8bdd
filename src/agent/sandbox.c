/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sandbox.h"
#include "base/macro.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What the vault may open by name, read-only: debug information. */
static const char *const vault_reads[] = { "/usr/lib/debug", NULL };

/* What net may open by name, read-only: how names are resolved (the C library loads a part of itself for
 * that), and which certificates are trusted. */
static const char *const net_reads[] = { "/etc/resolv.conf",
                                         "/etc/hosts",
                                         "/etc/host.conf",
                                         "/etc/gai.conf",
                                         "/etc/services",
                                         "/etc/nsswitch.conf",
                                         "/etc/ssl/certs",
                                         "/etc/ssl/openssl.cnf",
                                         "/usr/share/ca-certificates",
                                         "/etc/ld.so.cache",
                                         "/usr/lib",
                                         "/lib",
                                         "/run/systemd/resolve",
                                         NULL };

/* What the applier keeps: reading and stopping processes (PTRACE; SYS_ADMIN for their map_files and for
 * holding a seccomp filter), their files (DAC_*), signals, the process events connector (NET_ADMIN), a
 * real-time moment (NICE), the kernel's lines about crashes (SYSLOG), a higher limit of open files
 * (RESOURCE), and starting a vault again as narrow as the first (SETUID, SETGID, SETPCAP). */
static const int applier_keeps[] = { CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                                     CAP_KILL,       CAP_NET_ADMIN, CAP_SYS_NICE,     CAP_SYSLOG,
                                     CAP_SETUID,     CAP_SETGID,    CAP_SETPCAP,      CAP_SYS_RESOURCE };

/* The first of them are the executor's, which restarts units and looks at processes but changes none. */
enum { EXECUTOR_KEEPS = 4 };

/* All that the vault may call: memory, threads and forks, the files and the channel that it was given. Names
 * that this libseccomp does not know are passed over; everything else is refused with EPERM. */
// clang-format off
static const char *const vault_calls[] = {
        "read", "write", "readv", "writev", "pread64", "pwrite64", "close", "close_range", "fstat", "newfstatat", "stat",
        "lstat", "statx", "lseek", "openat", "open", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
        "getdents64", "fcntl", "fadvise64", "socketpair", "ftruncate", "fallocate", "getcwd", "ioctl", "memfd_create",
        "mmap", "munmap", "mprotect", "mremap", "madvise", "brk",
        "clone", "clone3", "fork", "vfork", "exit", "exit_group", "wait4", "waitid", "futex", "rseq", "set_robust_list",
        "get_robust_list", "set_tid_address", "sched_yield", "sched_getaffinity", "sched_getparam",
        "sched_getscheduler", "getcpu", "membarrier",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "restart_syscall",
        "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrandom",
        "seccomp", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage",
        "prlimit64", "getrlimit", "setrlimit", "arch_prctl", "prctl", "poll", "ppoll", "sendmsg", "recvmsg",
        NULL,
};
// clang-format on

/* And what net may call besides: IP sockets (socket itself is allowed by add_streams), and what its loop and
 * its resolver's threads use. What the vault has for images and forks comes along and can do no more there.
 */
// clang-format off
static const char *const net_calls[] = {
        "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt",
        "shutdown", "sendto", "recvfrom", "sendmmsg", "recvmmsg", "select", "pselect6", "epoll_create1", "epoll_create",
        "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "pipe2", "sendfile",
        NULL,
};
// clang-format on

/* What the executor never needs, refused with EPERM; the rest is allowed. */
// clang-format off
static const char *const executor_refused[] = {
        "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
        "bpf", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon",
        "swapoff", "acct", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "iopl", "ioperm",
        "io_uring_setup", "io_uring_enter", "io_uring_register", "perf_event_open", "userfaultfd", "add_key",
        "request_key", "keyctl", "mount", "umount2", "pivot_root", "chroot", "setns", "move_mount", "fsopen", "fsmount",
        "open_tree", "quotactl", "sethostname", "setdomainname", "unshare", "personality",
        NULL,
};
// clang-format on

static bool is_unprivileged(SandboxRole role) {
        return role == SANDBOX_VAULT || role == SANDBOX_NET;
}

static size_t keeps(SandboxRole role) {
        return role == SANDBOX_APPLIER    ? ELEMENTSOF(applier_keeps)
               : role == SANDBOX_EXECUTOR ? EXECUTOR_KEEPS
                                          : 0;
}

static int drop_user(SandboxReport *out, Error *e) {
        const struct passwd *pw = geteuid() == 0 ? getpwnam(SANDBOX_USER) : NULL;

        if (!pw && geteuid() == 0)
                pw = getpwnam("nobody");
        if (!pw)
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
            setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
                return error_errno(e, -errno, "become user %s", pw->pw_name);
        out->user = true;
        return 0;
}

/* The bounding set first: it can't be lowered without CAP_SETPCAP. */
static int drop_capabilities(SandboxRole role, SandboxReport *out, Error *e) {
        bool could = capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
        bool has[ELEMENTSOF(applier_keeps)];

        for (size_t i = 0; i < ELEMENTSOF(applier_keeps); i++)
                has[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)applier_keeps[i]);
        capng_clear(CAPNG_SELECT_ALL);
        for (size_t i = 0; i < keeps(role); i++)
                if (has[i])
                        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
                                     (unsigned)applier_keeps[i]);
        if (could && capng_apply(CAPNG_SELECT_BOUNDS) != 0)
                return error_set(e, -EPERM, "drop the capability bounding set");
        out->capabilities = could || geteuid() != 0;
        return 0;
}

static int apply_capabilities(SandboxRole role, Error *e) {
        if (!is_unprivileged(role) && geteuid() != 0)
                return 0; /* it has what its user has, which is for tests */
        return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : error_set(e, -EPERM, "drop capabilities");
}

static int add_rule(int ruleset, const char *path, uint64_t access) {
        struct landlock_path_beneath_attr beneath = { .allowed_access = access };
        _cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return 0; /* what is not there need not be allowed */
        if (!S_ISDIR(st.st_mode))
                beneath.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
        beneath.parent_fd = fd;
        return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0
                       ? -errno
                       : 0;
}

static int enter_landlock(const char *const *reads, SandboxReport *out, Error *e) {
        struct landlock_ruleset_attr attr = { .handled_access_fs =
                                                      (UINT64_C(1) << 13) - 1 }; /* all of ABI 1 */
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        _cleanup_(closep) int ruleset = -1;

        if (abi < 1)
                return 0;
        ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (ruleset < 0)
                return error_errno(e, -errno, "landlock_create_ruleset");
        for (; *reads; reads++)
                if (add_rule(ruleset, *reads, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) < 0)
                        return error_errno(e, -errno, "landlock: %s", *reads);
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return error_errno(e, -errno, "landlock_restrict_self");
        out->landlock = abi;
        return 0;
}

static int add_calls(scmp_filter_ctx ctx, uint32_t action, const char *const *names) {
        for (; *names; names++) {
                int nr = seccomp_syscall_resolve_name(*names);

                if (nr != __NR_SCMP_ERROR && seccomp_rule_add(ctx, action, nr, 0) < 0)
                        return -EINVAL;
        }
        return 0;
}

/* Sockets of these families only. */
static int add_families(scmp_filter_ctx ctx, const int *families, size_t n) {
        /* A rule can't say "none of these": each family from 0 up is refused but for those, then all above.
         */
        enum { HIGHEST = AF_MAX };
        for (int family = 0; family < HIGHEST; family++) {
                bool keep = false;

                for (size_t i = 0; i < n; i++)
                        keep |= families[i] == family;
                if (!keep && seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family)) < 0)
                        return -EINVAL;
        }
        return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_GE, HIGHEST)) < 0
                       ? -EINVAL
                       : 0;
}

/* TCP and UDP over IP: no raw sockets, no other family. */
static int add_streams(scmp_filter_ctx ctx) {
        static const scmp_datum_t families[] = { AF_INET, AF_INET6 }, types[] = { SOCK_STREAM, SOCK_DGRAM };

        for (size_t f = 0; f < ELEMENTSOF(families); f++)
                for (size_t t = 0; t < ELEMENTSOF(types); t++)
                        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                             SCMP_A0(SCMP_CMP_EQ, families[f]),
                                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, types[t])) < 0)
                                return -EINVAL;
        return 0;
}

static int enter_seccomp(SandboxRole role, SandboxReport *out, Error *e) {
        static const int executor_families[] = { AF_UNIX };
        uint32_t rest = !is_unprivileged(role) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
        scmp_filter_ctx ctx = seccomp_init(rest);
        int r = 0;

        if (!ctx)
                return error_errno(e, -ENOMEM, "seccomp");
        if (!is_unprivileged(role)) {
                r = add_calls(ctx, SCMP_ACT_ERRNO(EPERM), executor_refused);
                if (r == 0)
                        r = add_families(ctx, executor_families, ELEMENTSOF(executor_families));
        } else {
                r = add_calls(ctx, SCMP_ACT_ALLOW, vault_calls);
                if (r == 0 && role == SANDBOX_NET)
                        r = add_calls(ctx, SCMP_ACT_ALLOW, net_calls);
                if (r == 0 && role == SANDBOX_NET)
                        r = add_streams(ctx);
        }
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return 0;
        if (r < 0)
                return error_errno(e, r, "seccomp");
        out->seccomp = true;
        return 0;
}

int sandbox_enter(SandboxRole role, SandboxReport *out, Error *e) {
        SandboxReport report = { 0 };
        int r = drop_capabilities(role, &report, e);

        if (r == 0 && is_unprivileged(role))
                r = drop_user(&report, e);
        if (r == 0)
                r = apply_capabilities(role, e);
        if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                r = error_errno(e, -errno, "no_new_privs");
        if (r == 0 && prctl(PR_SET_DUMPABLE, !is_unprivileged(role), 0, 0, 0) < 0)
                r = error_errno(e, -errno, "PR_SET_DUMPABLE");
        if (r == 0 && is_unprivileged(role))
                r = enter_landlock(role == SANDBOX_NET ? net_reads : vault_reads, &report, e);
        if (r == 0 && role != SANDBOX_APPLIER)
                r = enter_seccomp(role, &report, e);
        if (r == 0)
                *out = report;
        return r;
}

int sandbox_childless(Error *e) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
        int r;

        if (!ctx)
                return error_errno(e, -ENOMEM, "seccomp");
        /* What clone3() is asked for lies in memory, where no filter sees it; without it clone() is used. */
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fork), 0);
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(vfork), 0);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return 0; /* the kernel has no filters */
        return r < 0 ? error_errno(e, r, "seccomp") : 0;
}
