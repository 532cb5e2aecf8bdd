/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sandbox.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Each tries one thing and returns 0 when it went well, else errno. */
static pid_t outside; /* a process that is not sandboxed */
static char word[] = "secret";
static char folder[] = "/tmp/staunch-sandbox-XXXXXX", state_file[64], control_socket[64];

static int try_inet(void) {
        return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}
static int try_inet6(void) {
        return socket(AF_INET6, SOCK_DGRAM, 0) < 0 ? errno : 0;
}
static int try_packet(void) {
        return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0;
}
static int try_vsock(void) {
        return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? errno : 0;
}
static int try_unix(void) {
        return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}
static int try_raw(void) {
        return socket(AF_INET, SOCK_RAW, 1) < 0 ? errno : 0;
}
static int try_netlink(void) {
        return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? errno : 0;
}
static int try_net_admin(void) {
        return prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 1 ? 0 : EPERM;
}
static int try_ptrace(void) {
        if (ptrace(PTRACE_SEIZE, outside, 0, 0) < 0)
                return errno;
        ptrace(PTRACE_INTERRUPT, outside, 0, 0);
        waitpid(outside, NULL, __WALL);
        ptrace(PTRACE_DETACH, outside, 0, 0);
        return 0;
}
static int try_memory(void) {
        char have[sizeof(word)];
        struct iovec to = { have, sizeof(have) }, from = { word, sizeof(word) };

        return process_vm_readv(outside, &to, 1, &from, 1, 0) < 0 ? errno : 0;
}
static int try_proc_mem(void) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/mem", outside);
        return open(path, O_RDWR) < 0 ? errno : 0;
}
static int try_writev(void) {
        char other[sizeof(word)] = "broken";
        struct iovec from = { other, sizeof(other) }, to = { word, sizeof(word) };

        return process_vm_writev(outside, &from, 1, &to, 1, 0) < 0 ? errno : 0;
}
static int try_state(void) {
        return open(state_file, O_RDONLY) < 0 ? errno : 0;
}
static int try_control(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", control_socket);
        return fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}
static int try_pidfd(void) {
        int fd = (int)syscall(SYS_pidfd_open, outside, 0);

        return fd < 0 || syscall(SYS_pidfd_getfd, fd, 0, 0) < 0 ? errno : 0;
}
static int try_listen(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0
                       ? errno
                       : 0;
}
static int try_shadow(void) {
        return open("/etc/shadow", O_RDONLY) < 0 ? errno : 0;
}
static int try_passwd(void) {
        return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}
static int try_create(void) {
        return open("/tmp/staunch-sandbox-test", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
}
static int try_exec(void) {
        char *const args[] = { (char *)"/bin/true", NULL };

        execv("/bin/true", args);
        return errno;
}
static int try_module(void) {
        return syscall(SYS_init_module, "", 0UL, "") < 0 ? errno : 0;
}
static int try_bpf(void) {
        return syscall(SYS_bpf, 0, NULL, 0) < 0 ? errno : 0;
}
static int try_root(void) {
        return setresuid(0, 0, 0) < 0 ? errno : 0;
}
static int try_kill(void) {
        return kill(outside, 0) < 0 ? errno : 0;
}
static int try_unshare(void) {
        return syscall(SYS_unshare, 0x10000000) < 0 ? errno : 0;
}
static int try_memfd(void) {
        return memfd_create("x", MFD_CLOEXEC) < 0 ? errno : 0;
}
/* The kernel lets nobody do that who has a filter himself. */
static int try_suspend(void) {
        if (ptrace(PTRACE_SEIZE, outside, 0, PTRACE_O_SUSPEND_SECCOMP) < 0)
                return errno;
        ptrace(PTRACE_INTERRUPT, outside, 0, 0);
        waitpid(outside, NULL, __WALL);
        ptrace(PTRACE_DETACH, outside, 0, 0);
        return 0;
}
static int try_hosts(void) {
        return open("/etc/hosts", O_RDONLY) < 0 ? errno : 0;
}

enum { ALLOWED, REFUSED, EITHER /* what the kernel says */ };
static const struct {
        const char *name;
        int (*try)(void);
        int applier, executor, vault, net;
} trials[] = {
        { "IPv4 socket", try_inet, ALLOWED, REFUSED, REFUSED, ALLOWED },
        { "IPv6 socket", try_inet6, ALLOWED, REFUSED, REFUSED, ALLOWED },
        { "packet socket", try_packet, REFUSED, REFUSED, REFUSED, REFUSED },
        { "vsock", try_vsock, EITHER, REFUSED, REFUSED, REFUSED },
        { "UNIX socket", try_unix, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "netlink socket", try_netlink, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "administer networks", try_net_admin, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "ptrace", try_ptrace, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "another's memory", try_memory, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "/proc/PID/mem", try_proc_mem, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "/etc/shadow", try_shadow, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "/etc/passwd", try_passwd, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "/etc/hosts", try_hosts, ALLOWED, ALLOWED, REFUSED, ALLOWED },
        { "make a file", try_create, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "execute", try_exec, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "load a module", try_module, REFUSED, REFUSED, REFUSED, REFUSED },
        { "bpf", try_bpf, EITHER, REFUSED, REFUSED, REFUSED },
        { "become root", try_root, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "signal another", try_kill, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "listen", try_listen, ALLOWED, REFUSED, REFUSED, ALLOWED },
        { "raw socket", try_raw, REFUSED, REFUSED, REFUSED, REFUSED },
        { "the control socket", try_control, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "write another's memory", try_writev, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "another's descriptor", try_pidfd, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "the state", try_state, ALLOWED, ALLOWED, REFUSED, REFUSED },
        { "new user namespace", try_unshare, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "suspend another's filter", try_suspend, ALLOWED, REFUSED, REFUSED, REFUSED },
        { "memfd", try_memfd, ALLOWED, ALLOWED, ALLOWED, ALLOWED },
};

/* In a child: enters the role, tries one thing. Its errno; -1: could not enter. */
static int inside(SandboxRole role, int (*try)(void)) {
        int status;
        pid_t p = fork();

        assert_true(p >= 0);
        if (p == 0) {
                SandboxReport report;

                _exit(sandbox_enter(role, &report, NULL) < 0 ? 255 : try());
        }
        assert_int_equal(waitpid(p, &status, 0), p);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void check(SandboxRole role, size_t i, int expected, const char *name) {
        int r = expected == EITHER ? 0 : inside(role, trials[i].try);

        if (expected == EITHER)
                return;
        if (r == 255)
                fail_msg("%s: cannot enter the sandbox", name);
        if ((r != 0) != (expected == REFUSED))
                fail_msg("%s: '%s' is %s (%s)", name, trials[i].name, r ? "refused" : "allowed", strerror(r));
}

static void boundaries(void **state) {
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(trials); i++) {
                check(SANDBOX_APPLIER, i, trials[i].applier, "applier");
                check(SANDBOX_EXECUTOR, i, trials[i].executor, "executor");
                if (abi < 1 && (trials[i].try == try_passwd || trials[i].try == try_create ||
                                trials[i].try == try_hosts))
                        continue; /* this kernel has no Landlock: only ownership guards them */
                check(SANDBOX_VAULT, i, trials[i].vault, "vault");
                check(SANDBOX_NET, i, trials[i].net, "net");
        }
        unlink("/tmp/staunch-sandbox-test");
}

static void *nothing(void *x) {
        return x;
}

static int try_thread(void) {
        pthread_t t;

        return sandbox_childless(NULL) < 0 ? 255
                                           : pthread_create(&t, NULL, nothing, NULL) | pthread_join(t, NULL);
}

static int try_fork(void) {
        pid_t p = sandbox_childless(NULL) < 0 ? 0 : fork();

        if (p == 0)
                _exit(0);
        return p < 0 ? errno : 0;
}

static int try_vfork_clone(void) {
        return sandbox_childless(NULL) == 0 &&
                               syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) < 0
                       ? errno
                       : 0;
}

/* One comparison has threads and no children. */
static void childless(void **state) {
        (void)state;
        assert_int_equal(inside(SANDBOX_VAULT, try_thread), 0);
        assert_int_equal(inside(SANDBOX_VAULT, try_fork), EPERM);
        assert_int_equal(inside(SANDBOX_VAULT, try_vfork_clone), EPERM);
}

/* The same things go well without the sandbox, or the test would prove nothing. */
static void outside_all_is_allowed(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(trials); i++) {
                int status;
                pid_t p;

                if (trials[i].try == try_module || trials[i].try == try_bpf || trials[i].try == try_vsock)
                        continue; /* fail for other reasons */
                p = fork();
                if (p == 0)
                        _exit(trials[i].try());
                assert_int_equal(waitpid(p, &status, 0), p);
                if (WEXITSTATUS(status))
                        fail_msg("'%s' fails outside, too: %s", trials[i].name,
                                 strerror(WEXITSTATUS(status)));
        }
        unlink("/tmp/staunch-sandbox-test");
}

/* A state as the agent's, and a control socket that answers nobody. */
static int begin(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), file;

        if (!mkdtemp(folder))
                return -1;
        snprintf(state_file, sizeof(state_file), "%s/state.db", folder);
        snprintf(control_socket, sizeof(control_socket), "%s/control", folder);
        file = open(state_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        closep(&file);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", control_socket);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
                abort();
        return fd;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(outside_all_is_allowed),
                cmocka_unit_test(boundaries),
                cmocka_unit_test(childless),
        };
        int r, listener;

        if (geteuid() != 0) {
                puts("only root can give up being root");
                return 77;
        }
        outside = fork();
        if (outside == 0)
                for (;;)
                        pause();
        listener = begin();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        close(listener);
        unlink(control_socket);
        unlink(state_file);
        rmdir(folder);
        kill(outside, SIGKILL);
        waitpid(outside, NULL, 0);
        return r;
}
