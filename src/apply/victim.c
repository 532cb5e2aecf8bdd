/* SPDX-License-Identifier: Apache-2.0 */
/* What the live tests of the engine patch: it answers on a pipe, and checks itself. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int counter;
static atomic_bool quit;
static atomic_uint wrong, rounds, seen_new;

int answer(int x);
int caller(int x);
void hold(int fd);
void linger(void);

/* Replaced by the tests. The first instructions are long enough for a jump. */
__attribute__((weak, aligned(32))) int answer(int x) {
        counter += x;
        return 1;
}

/* Both halves must be of one version at any time: a switch is all or nothing. */
__attribute__((weak, aligned(32))) int caller(int x) {
        counter += x;
        return 1;
}

/* Stays inside until a byte comes. */
__attribute__((weak, aligned(32))) void hold(int fd) {
        char c;

        counter++;
        if (read(fd, &c, 1) != 1)
                exit(3);
        counter++;
}

/* At work for most of the time. */
__attribute__((weak, aligned(32))) void linger(void) {
        struct timespec begin, now;

        counter++;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        do {
                for (volatile int i = 0; i < 10000000; i = i + 1)
                        ;
                clock_gettime(CLOCK_MONOTONIC, &now);
        } while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 1500000000L);
}

static void *work_hard(void *arg) {
        while (!atomic_load(&quit)) {
                linger();
                usleep(100000);
        }
        return arg;
}

/* Two words of constant tables, on pages of their own, which the tests rewrite to lead to new code. */
static int first(int x) {
        return 1 + x;
}
static int (*const table_a[1024])(int) __attribute__((used, aligned(4096))) = { [3] = first };
static int (*const table_b[8])(int) __attribute__((used)) = { [5] = first };
static int (*const *volatile tables[2])(int) = { table_a, table_b };

static void *work(void *arg) {
        while (!atomic_load(&quit)) {
                int a = answer(0);

                if (a != 1 && a != 2 && a != 3)
                        atomic_fetch_add(&wrong, 1);
                if (a != 1)
                        atomic_fetch_add(&seen_new, 1);
                a = tables[0][3](0);
                if (a != 1 && a != 2 && a != 3)
                        atomic_fetch_add(&wrong, 1);
                atomic_fetch_add(&rounds, 1);
                if (arg)
                        usleep(100);
        }
        return NULL;
}

static void *breed(void *arg) {
        while (!atomic_load(&quit)) {
                pthread_t t;

                if (pthread_create(&t, NULL, (void *(*)(void *))(void *)answer, NULL) == 0)
                        pthread_join(t, NULL);
        }
        return arg;
}

static int fds[2];
static atomic_uint signals;

static void wait_byte(void) {
        char c;

        if (read(fds[0], &c, 1) != 1)
                exit(3);
}

static void on_signal_wait(int sig) {
        (void)sig;
        wait_byte();
}

static void on_signal_count(int sig) {
        (void)sig;
        atomic_fetch_add(&signals, 1);
}

int interrupted(void);
/* Interrupted by a signal whose handler runs on another stack and stays there. */
__attribute__((weak, aligned(32))) int interrupted(void) {
        counter++;
        raise(SIGUSR2);
        counter++;
        return 1;
}

static void *on_alternate_stack(void *arg) {
        stack_t ss = { .ss_size = 65536, .ss_sp = malloc(65536) };
        struct sigaction sa = { .sa_handler = on_signal_wait, .sa_flags = SA_ONSTACK };

        sigaltstack(&ss, NULL);
        sigaction(SIGUSR2, &sa, NULL);
        interrupted();
        return arg;
}

static void *return_address;

__attribute__((noinline)) static void leaf(void) {
        return_address = __builtin_return_address(0);
        __asm__ volatile("" ::: "memory");
}

int visit(int x);
/* Called and left again: its return addresses stay behind on the stack. */
__attribute__((weak, aligned(32))) int visit(int x) {
        volatile char pad[1024];

        pad[0] = (char)x;
        leaf();
        counter += pad[0];
        return 1;
}

/* Lies over the dead frames of visit(), and waits. */
__attribute__((noinline)) static int over_stale(void) {
        void *volatile words[1024];
        int found = 0;

        for (unsigned i = 0; i < 1024; i++)
                found += words[i] == return_address;
        printf("%d 0\n", found);
        wait_byte();
        return words[0] == NULL;
}

static void *stale(void *arg) {
        visit(1);
        over_stale();
        return arg;
}

static void *in_vfork(void *arg) {
        pid_t pid = vfork();

        if (pid == 0) {
                char c;

                _exit(read(fds[0], &c, 1) != 1);
        }
        waitpid(pid, NULL, 0);
        return arg;
}

/* The pages of the stack of a thread: one that it is on, one that userfaultfd keeps back, one more. */
static uint8_t *with_hole(void) {
        enum { PAGE = 4096 };
        int fd = (int)syscall(SYS_userfaultfd, 0);
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
        uint8_t *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (fd < 0 || p == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0)
                return NULL;
        p[0] = p[2 * PAGE] = 1;
        range.range.start = (uintptr_t)p;
        range.range.len = 3 * PAGE;
        return ioctl(fd, UFFDIO_REGISTER, &range) < 0 ? NULL : p + PAGE - 256;
}

static void *read_on(void *stack) {
        char c;
        long r = SYS_read;

        __asm__ volatile("xchg %%rsp, %%rbx\n\tsyscall\n\txchg %%rsp, %%rbx"
                         : "+a"(r), "+b"(stack)
                         : "D"((long)fds[0]), "S"(&c), "d"(1L)
                         : "rcx", "r11", "memory");
        return r == 1 ? NULL : stack;
}

/* Counts down in the red zone, with known values in all registers and the carry flag set: 0, or one of them
 * changed. */
int spin_once(void);
__asm__(".text\n"
        "spin_once:\n"
        "       push %rbx\n       push %rbp\n       push %r12\n       push %r13\n       push %r14\n       "
        "push %r15\n"
        "       mov $0x101, %rax\n       mov $0x102, %rbx\n       mov $0x103, %rcx\n       mov $0x104, %rdx\n"
        "       mov $0x105, %rsi\n       mov $0x106, %rdi\n       mov $0x107, %rbp\n       mov $0x108, %r8\n"
        "       mov $0x109, %r9\n       mov $0x10a, %r10\n       mov $0x10b, %r11\n       mov $0x10c, %r12\n"
        "       mov $0x10d, %r13\n       mov $0x10e, %r14\n       mov $0x10f, %r15\n"
        "       movl $1000000, -8(%rsp)\n"
        "       stc\n"
        "1:     decl -8(%rsp)\n" /* keeps the carry flag */
        "       jnz 1b\n"
        "       jnc 2f\n"
        "       cmp $0x101, %rax\n       jne 2f\n       cmp $0x102, %rbx\n       jne 2f\n       cmp $0x103, "
        "%rcx\n       jne 2f\n"
        "       cmp $0x104, %rdx\n       jne 2f\n       cmp $0x105, %rsi\n       jne 2f\n       cmp $0x106, "
        "%rdi\n       jne 2f\n"
        "       cmp $0x107, %rbp\n       jne 2f\n       cmp $0x108, %r8\n       jne 2f\n       cmp $0x109, "
        "%r9\n       jne 2f\n"
        "       cmp $0x10a, %r10\n       jne 2f\n       cmp $0x10b, %r11\n       jne 2f\n       cmp $0x10c, "
        "%r12\n       jne 2f\n"
        "       cmp $0x10d, %r13\n       jne 2f\n       cmp $0x10e, %r14\n       jne 2f\n       cmp $0x10f, "
        "%r15\n       jne 2f\n"
        "       xor %eax, %eax\n"
        "       jmp 3f\n"
        "2:     mov $1, %eax\n"
        "3:     pop %r15\n       pop %r14\n       pop %r13\n       pop %r12\n       pop %rbp\n       pop "
        "%rbx\n"
        "       ret\n");

static int spin_bad, spin_rounds;

static void spin(void) {
        do {
                spin_bad += spin_once();
                spin_rounds++;
        } while (poll(&(struct pollfd){ .fd = 0, .events = POLLIN }, 1, 0) == 0);
}

static void on_urgent(int sig) {
        (void)sig;
        _exit(4);
}

static int sharer(void *arg) {
        (void)arg;
        hold(fds[0]);
        _exit(0);
}

static int second(void *arg) {
        (void)arg;
        hold(fds[0]);
        syscall(SYS_exit, 0); /* the last of its process */
        return 0;
}

/* It leaves the memory to another thread of its process, and is only a name from then on. */
static int sharer_that_ends(void *arg) {
        static char stack[65536] __attribute__((aligned(16)));

        if (clone(second, stack + sizeof(stack), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES, arg) <
            0)
                _exit(5);
        syscall(SYS_exit, 0);
        return 0;
}

static int deny_all_else(void) {
        static const int allowed[] = { SYS_read,
                                       SYS_write,
                                       SYS_exit,
                                       SYS_exit_group,
                                       SYS_futex,
                                       SYS_restart_syscall,
                                       SYS_clock_nanosleep,
                                       SYS_rt_sigreturn,
                                       SYS_brk,
                                       SYS_newfstatat,
                                       SYS_getrandom };
        struct sock_filter f[2 + 2 * sizeof(allowed) / sizeof(*allowed)] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        };
        unsigned n = 1;

        for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
                f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
                f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        }
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ (unsigned short)n, f }, 0, 0);
}

/* Crashes in that folder, with a memory that takes some time to be written to a core file. */
static int crash(const char *folder) {
        enum { SIZE = 128 << 20 };
        const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
        uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || setrlimit(RLIMIT_CORE, &limit) < 0 || chdir(folder) < 0)
                return -1;
        memset(p, 1, SIZE);
        printf("0 0\n");
        abort();
}

static void *commands(void *arg) {
        pthread_t holder = 0;
        char line[64];

        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = 0;
                if (strcmp(line, "call") == 0) {
                        int a = answer(1), b = caller(1);

                        printf("%d %d\n", a, b);
                } else if (strcmp(line, "tables") == 0) {
                        printf("%d %d\n", tables[0][3](0), tables[1][5](0));
                } else if (strcmp(line, "counter") == 0) {
                        printf("%d 0\n", counter);
                } else if (strcmp(line, "hold") == 0) {
                        printf("%d 0\n", pthread_create(&holder, NULL, (void *(*)(void *))(void *)hold,
                                                        (void *)(intptr_t)fds[0]));
                } else if (strcmp(line, "linger") == 0) {
                        printf("%d 0\n", pthread_create(&holder, NULL, work_hard, NULL));
                } else if (strcmp(line, "stale") == 0) {
                        pthread_create(&holder, NULL, stale, NULL);
                } else if (strcmp(line, "alternate") == 0) {
                        printf("%d 0\n", pthread_create(&holder, NULL, on_alternate_stack, NULL));
                } else if (strcmp(line, "hole") == 0) {
                        void *stack = with_hole();

                        printf("%d 0\n", stack ? pthread_create(&holder, NULL, read_on, stack) : -1);
                } else if (strcmp(line, "vfork") == 0) {
                        printf("%d 0\n", pthread_create(&holder, NULL, in_vfork, NULL));
                } else if (strcmp(line, "share") == 0) {
                        char *stack = malloc(65536);

                        printf("%d 0\n", clone(sharer, stack + 65536, CLONE_VM | SIGCHLD, NULL));
                } else if (strcmp(line, "share and end") == 0) {
                        char *stack = malloc(65536);

                        printf("%d 0\n", clone(sharer_that_ends, stack + 65536, CLONE_VM | SIGCHLD, NULL));
                } else if (strcmp(line, "release") == 0) {
                        int failed = write(fds[1], "x", 1) != 1;

                        if (holder)
                                pthread_join(holder, NULL);
                        else
                                wait(NULL);
                        printf("%d 0\n", failed);
                } else if (strcmp(line, "fork") == 0) {
                        pid_t parent = getpid(), pid = fork();

                        if (pid == 0) {
                                prctl(PR_SET_PDEATHSIG, SIGKILL);
                                while (getppid() == parent) /* it may have ended before that */
                                        usleep(1000);
                        }
                        printf("%d 0\n", pid);
                } else if (strncmp(line, "crash ", 6) == 0) {
                        printf("%d 0\n", crash(line + 6));
                } else if (strcmp(line, "spin") == 0) {
                        printf("0 0\n");
                        spin();
                } else if (strcmp(line, "spun") == 0) {
                        printf("%d %d\n", spin_bad, spin_rounds);
                } else if (strcmp(line, "signals") == 0) {
                        printf("%u 0\n", atomic_load(&signals));
                } else if (strcmp(line, "check") == 0) {
                        printf("%u %u\n", atomic_load(&wrong), atomic_load(&rounds));
                } else if (strcmp(line, "new") == 0) {
                        printf("%u 0\n", atomic_load(&seen_new));
                }
        }
        exit(0);
        return arg;
}

/*
 * Arguments: a letter and a number each. wN, sN: N threads that call answer() without and with a
 * pause; bN: N that make and join threads; m: MDWE; c: a seccomp filter; r: counts real-time
 * signals; l: the main thread ends, another reads the commands; u: catches SIGURG and SIGWINCH.
 */
int main(int argc, char **argv) {
        pthread_t t;
        char how = 0;

        setvbuf(stdout, NULL, _IONBF, 0);
        if (pipe(fds) < 0)
                return 1;
        for (int i = 1; i < argc; i++) {
                int n = atoi(argv[i] + 1);

                how = argv[i][0];
                for (int k = 0; strchr("wsb", how) && k < n; k++)
                        if (pthread_create(&t, NULL, how == 'b' ? breed : work, how == 's' ? &quit : NULL) !=
                            0)
                                return 1;
                if (how == 'm' && prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0) < 0)
                        return 1;
                if (how == 'r' &&
                    sigaction(SIGRTMIN,
                              &(struct sigaction){ .sa_handler = on_signal_count, .sa_flags = SA_RESTART },
                              NULL) < 0)
                        return 1;
                if (how == 'u' &&
                    (signal(SIGURG, on_urgent) == SIG_ERR || signal(SIGWINCH, on_urgent) == SIG_ERR))
                        return 1;
        }
        if (how == 'l') {
                if (pthread_create(&t, NULL, commands, NULL) != 0)
                        return 1;
                printf("ready\n");
                pthread_exit(NULL);
        }
        printf("ready\n");
        if (how == 'c' && deny_all_else() < 0)
                return 1;
        commands(NULL);
}
