/* SPDX-License-Identifier: Apache-2.0 */
/* A process with habits that few have; it answers on a pipe like victim.c. */
#include <dlfcn.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

extern const char __ehdr_start __attribute__((visibility("hidden")));
int counter;
static int fds[2];

int answer(int x);
int beside_answer(void);
int outer(int x);
int probing(int fd);
int probed(int fd);

/* Replaced by the tests. */
__attribute__((weak, aligned(32))) int answer(int x) {
        counter += x;
        return 1;
}

/* Has a probe put on it. */
__attribute__((weak, aligned(32))) int beside_answer(void) {
        return counter;
}

static int wait_byte(int fd) {
        char c;

        return read(fd, &c, 1) == 1 ? c : 0;
}

/* A stack that is of several mappings: a page of it is locked while it waits. */
__attribute__((noinline)) static int on_split_stack(int fd) {
        volatile uint8_t room[8 * PAGE];
        uintptr_t middle = ((uintptr_t)room + 4 * PAGE) & ~(uintptr_t)(PAGE - 1);
        int r;

        room[0] = room[sizeof(room) - 1] = 1;
        if (mlock((void *)middle, PAGE) < 0)
                exit(3);
        counter++;
        r = wait_byte(fd);
        munlock((void *)middle, PAGE);
        return r + room[0];
}

/* Stays inside until a byte comes. */
__attribute__((weak, aligned(32))) int outer(int fd) {
        counter++;
        fd = on_split_stack(fd);
        counter++;
        return fd;
}

static void *in_outer(void *arg) {
        outer(fds[0]);
        return arg;
}

/* The test puts a probe on its return. */
__attribute__((weak, noinline, aligned(32))) int probed(int fd) {
        counter++;
        return wait_byte(fd) + 1;
}

/* Stays inside until a byte comes. */
__attribute__((weak, aligned(32))) int probing(int fd) {
        counter++;
        fd = probed(fd);
        counter++;
        return fd;
}

static void *in_probing(void *arg) {
        probing(fds[0]);
        return arg;
}

/* An import of a patch for which the process chooses a definition: it never does. */
int odd_choice(void);
__attribute__((used)) static int (*choose_never(void))(void) {
        for (;;)
                __asm__ volatile("pause");
        return NULL;
}
int odd_choice(void) __attribute__((ifunc("choose_never")));

/* Another, for which it does, and with some stack. */
int odd_pick(void);
__attribute__((used)) static int picked(void) {
        return 7;
}
__attribute__((used)) static int (*choose_at_length(void))(void) {
        volatile uint8_t room[1500];

        for (size_t i = 0; i < sizeof(room); i++)
                room[i] = 0x55;
        return room[3] == 0x55 ? picked : NULL;
}
int odd_pick(void) __attribute__((ifunc("choose_at_length")));

/* Waits for a byte with next to nothing left of its stack, and no guard below, as on stacks that a program
 * has made of its heap. True when what lies below is as it was. */
static bool wait_on_tiny_stack(void) {
        enum { BELOW = 4096, STACK = 512 };
        uint8_t *memory = malloc(BELOW + STACK);
        bool same = true;
        char c = 0;
        long r;

        memset(memory, 0xa5, BELOW + STACK);
        __asm__ volatile("mov %%rsp, %%rbx\n"
                         "mov %[stack], %%rsp\n"
                         "syscall\n"
                         "mov %%rbx, %%rsp\n"
                         : "=a"(r)
                         : "0"((long)SYS_read), "D"(0L), "S"(&c),
                           "d"(1L), [stack] "r"(memory + BELOW + STACK / 2)
                         : "rbx", "rcx", "r11", "memory");
        for (size_t i = 0; i < BELOW; i++)
                same &= memory[i] == 0xa5;
        free(memory);
        return same && r == 1 && c == 'x';
}

/* Says that it has a million slots, all for one symbol. */
static int forge_slots(void) {
        enum { SLOTS = 1000000 };
        Elf64_Rela *slots = malloc(SLOTS * sizeof(*slots));
        uintptr_t first = (uintptr_t)_DYNAMIC & ~(uintptr_t)(PAGE - 1);

        if (!slots || mprotect((void *)first, PAGE, PROT_READ | PROT_WRITE) < 0)
                return -1;
        mprotect((void *)(first + PAGE), PAGE, PROT_READ | PROT_WRITE); /* if it goes on there */
        for (size_t i = 0; i < SLOTS; i++)
                slots[i] = (Elf64_Rela){ .r_info = ELF64_R_INFO(1, R_X86_64_GLOB_DAT) };
        for (Elf64_Dyn *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
                if (d->d_tag == DT_RELA)
                        d->d_un.d_ptr = (uintptr_t)slots - (uintptr_t)&__ehdr_start;
                if (d->d_tag == DT_RELASZ)
                        d->d_un.d_val = SLOTS * sizeof(*slots);
        }
        return 0;
}

/* One ring, one request, which a worker of the kernel makes and waits in. */
static struct {
        int fd, pipe[2];
        uint8_t *sq, *cq;
        struct io_uring_params p;
        char byte;
} ring;

static int ring_submit(void) {
        struct io_uring_sqe *sqe;
        _Atomic unsigned *tail;

        ring.fd = (int)syscall(SYS_io_uring_setup, 2, &ring.p);
        if (ring.fd < 0 || pipe(ring.pipe) < 0)
                return -1;
        ring.sq = mmap(NULL, ring.p.sq_off.array + 2 * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED,
                       ring.fd, IORING_OFF_SQ_RING);
        ring.cq = mmap(NULL, ring.p.cq_off.cqes + 4 * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
                       MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
        sqe = mmap(NULL, 2 * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
        if (ring.sq == MAP_FAILED || ring.cq == MAP_FAILED || sqe == MAP_FAILED)
                return -1;
        memset(sqe, 0, sizeof(*sqe));
        sqe->opcode = IORING_OP_READ;
        sqe->flags = IOSQE_ASYNC;
        sqe->fd = ring.pipe[0];
        sqe->addr = (uintptr_t)&ring.byte;
        sqe->len = 1;
        ((unsigned *)(ring.sq + ring.p.sq_off.array))[0] = 0;
        tail = (_Atomic unsigned *)(void *)(ring.sq + ring.p.sq_off.tail);
        atomic_store(tail, 1);
        return syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -1;
}

/* What became of the request. */
static int ring_reap(void) {
        _Atomic unsigned *tail = (_Atomic unsigned *)(void *)(ring.cq + ring.p.cq_off.tail);
        struct io_uring_cqe *cqe = (void *)(ring.cq + ring.p.cq_off.cqes);

        if (write(ring.pipe[1], "x", 1) != 1)
                exit(3);
        while (atomic_load(tail) == 0)
                syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        return cqe->res;
}

/* As many mappings as it may have, but `left`. */
static int fill_maps(int left) {
        enum { MANY = 1 << 17 };
        uint8_t *room = mmap(NULL, (size_t)MANY * PAGE, PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int n = 0;

        if (room == MAP_FAILED)
                return -1;
        while (n < MANY && mprotect(room + (size_t)n * PAGE, PAGE, PROT_NONE) == 0)
                n += 2;
        /* Each that becomes like its neighbours again leaves two. */
        for (int i = 0; i < left; i += 2)
                mprotect(room + (size_t)(n - 2 - i) * PAGE, PAGE, PROT_READ);
        return n < MANY ? 0 : -1;
}

/* A page that looks like one of ours. */
static uint8_t *page;

static int page_file(const uint8_t *content, off_t size) {
        int fd = memfd_create("staunch:odd", 0);

        return fd < 0 || ftruncate(fd, size) < 0 || pwrite(fd, content, PAGE, 0) != PAGE ? -1 : fd;
}

/* More of them, each of another switch. */
enum { PAGES = 16 };
static uint8_t *pages, pages_were[PAGES][PAGE];
static int page_files[PAGES];

static bool put_page(size_t i) {
        volatile uint8_t *at = mmap(pages + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                                    page_files[i], 0);

        if (at == MAP_FAILED)
                return false;
        *at = *at; /* a copy of its own */
        return mprotect(pages + i * PAGE, PAGE, PROT_READ) == 0;
}

static bool make_pages(void) {
        enum { TXN_AT = 32, SELF_AT = 40 };
        bool done = true;

        pages = mmap(NULL, sizeof(pages_were), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (uint64_t i = 0; i < PAGES && done; i++) {
                uint64_t self = (uintptr_t)pages + i * PAGE;

                memcpy(pages_were[i], page, PAGE);
                memcpy(pages_were[i] + TXN_AT, &i, sizeof(i));
                memcpy(pages_were[i] + SELF_AT, &self, sizeof(self));
                page_files[i] = page_file(pages_were[i], PAGE);
                done = put_page(i);
        }
        return done;
}

/* Keeps them as they were. */
static void *keep(void *arg) {
        for (size_t i = 0;; i = (i + 1) % PAGES)
                if (memcmp(pages + i * PAGE, pages_were[i], PAGE) != 0 && !put_page(i))
                        return arg;
}

/* Maps a file that begins with the page `n` times. */
static int map_copies(int n) {
        enum { FILE_SIZE = 64 << 20, ROOM = 128 << 10 };
        int fd = page_file(page, FILE_SIZE);

        for (int i = 0; i < n; i++)
                if (mmap(NULL, n < 10 ? FILE_SIZE : ROOM, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
                        return -1;
        return 0;
}

/* A process is made that shares the memory. The kernel has given it its id, and then cannot go on: where the
 * id of its descriptor is to be written, userfaultfd keeps the page back. */
static struct {
        int fd;
        pid_t maker;
        uint8_t *page;
} birth;

static int in_probing_of_another(void *arg) {
        (void)arg;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        probing(fds[0]);
        _exit(0);
}

static void *bear(void *stack) {
        birth.maker = (pid_t)syscall(SYS_gettid);
        if (clone(in_probing_of_another, stack, CLONE_VM | CLONE_PIDFD | SIGCHLD, NULL, birth.page) < 0)
                exit(3);
        for (;;) /* it ends with the thread that made it */
                pause();
}

static int begin_birth(void) {
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
        struct uffd_msg event;
        char *stack = malloc(65536);
        pthread_t t;

        birth.fd = (int)syscall(SYS_userfaultfd, 0);
        birth.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (birth.fd < 0 || ioctl(birth.fd, UFFDIO_API, &api) < 0)
                return -1;
        range.range.start = (uintptr_t)birth.page;
        range.range.len = PAGE;
        if (ioctl(birth.fd, UFFDIO_REGISTER, &range) < 0 ||
            pthread_create(&t, NULL, bear, stack + 65536) != 0)
                return -1;
        return read(birth.fd, &event, sizeof(event)) == sizeof(event) ? 0 : -1;
}

static int end_birth(void) {
        struct uffdio_zeropage zero = { .range = { (uintptr_t)birth.page, PAGE } };

        return ioctl(birth.fd, UFFDIO_ZEROPAGE, &zero);
}

/* The program's code may be executed, but not read any more. */
static int hide_code(struct dl_phdr_info *info, size_t size, void *arg) {
        (void)size, (void)arg;
        for (int i = 0; i < info->dlpi_phnum; i++) {
                const Elf64_Phdr *p = &info->dlpi_phdr[i];
                uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(uintptr_t)(PAGE - 1);

                if (p->p_type == PT_LOAD && (p->p_flags & PF_X) &&
                    mprotect((void *)start, info->dlpi_addr + p->p_vaddr + p->p_memsz - start, PROT_EXEC) < 0)
                        return -1;
        }
        return 1; /* it is the first; the others stay as they are */
}

/* Two libraries that exceptions are told to, the one that lies lower first. */
static struct {
        int *registered;
        volatile int *hangs;
} unwinders[2];

static int load_unwinder(const char *path) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        size_t i = unwinders[0].registered != NULL;

        if (!library)
                return -1;
        unwinders[i].registered = dlsym(library, "registered");
        unwinders[i].hangs = dlsym(library, "hangs");
        if (i && unwinders[1].registered < unwinders[0].registered) {
                volatile int *hangs = unwinders[0].hangs;
                int *registered = unwinders[0].registered;

                unwinders[0] = unwinders[1];
                unwinders[1].hangs = hangs;
                unwinders[1].registered = registered;
        }
        return 0;
}

/* After so many microseconds no thread may make other calls than these any more. */
static void *filter_all(void *usec) {
        static const int allowed[] = { SYS_read,  SYS_write,           SYS_rt_sigprocmask,
                                       SYS_futex, SYS_restart_syscall, SYS_exit };
        enum { N = sizeof(allowed) / sizeof(*allowed) };
        struct sock_filter f[2 + 2 * N] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
        struct timespec now, begin;

        for (int i = 0; i < N; i++) {
                f[1 + 2 * i] =
                        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
                f[2 + 2 * i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        }
        f[1 + 2 * N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        do
                clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < (intptr_t)usec);
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                &(struct sock_fprog){ sizeof(f) / sizeof(*f), f });
        syscall(SYS_exit, 0); /* the library would make other calls */
        return NULL;
}

static void commands(void) {
        pthread_t t = 0;
        char line[256];

        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = 0;
                if (strcmp(line, "call") == 0) {
                        printf("%d 0\n", answer(1));
                } else if (strcmp(line, "counter") == 0) {
                        printf("%d 0\n", counter);
                } else if (strcmp(line, "outer") == 0) {
                        printf("%d 0\n", pthread_create(&t, NULL, in_outer, NULL));
                } else if (strcmp(line, "probing") == 0) {
                        printf("%d 0\n", pthread_create(&t, NULL, in_probing, NULL));
                } else if (strcmp(line, "release") == 0) {
                        int failed = write(fds[1], "x", 1) != 1;

                        if (t)
                                pthread_join(t, NULL);
                        printf("%d 0\n", failed);
                } else if (strncmp(line, "fill ", 5) == 0) {
                        printf("%d 0\n", fill_maps(atoi(line + 5)));
                } else if (strncmp(line, "eat ", 4) == 0) {
                        size_t size = (size_t)atoi(line + 4) * PAGE;
                        uint8_t *eaten =
                                mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                        madvise(eaten, size, MADV_NOHUGEPAGE);
                        for (size_t i = 0; eaten != MAP_FAILED && i < size; i += PAGE)
                                eaten[i] = 1;
                        printf("%d 0\n", eaten == MAP_FAILED);
                } else if (strcmp(line, "lock") == 0) {
                        printf("%d 0\n", mlockall(MCL_CURRENT | MCL_FUTURE));
                } else if (strcmp(line, "forget text") == 0) { /* what is not the file's is lost */
                        uintptr_t at = (uintptr_t)answer & ~(uintptr_t)(PAGE - 1);

                        printf("%d %d\n", madvise((void *)at, PAGE, MADV_DONTNEED),
                               (uintptr_t)beside_answer - at < PAGE);
                } else if (strcmp(line, "lock little") == 0) {
                        const struct rlimit limit = { 0, 0 };
                        int r = mlockall(MCL_FUTURE);

                        /* Without the right to do so it gets no memory from now on. */
                        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || setresuid(65534, 65534, 65534) < 0)
                                r = -1;
                        printf("%d 0\n", r);
                } else if (strcmp(line, "tiny stack") == 0) {
                        printf("0 0\n");
                        printf("%d 0\n", wait_on_tiny_stack());
                } else if (strcmp(line, "slots") == 0) {
                        printf("%d 0\n", forge_slots());
                } else if (strcmp(line, "page") == 0) {
                        page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                        printf("%d %d\n", (int)((uintptr_t)page >> 32), (int)(uint32_t)(uintptr_t)page);
                } else if (strcmp(line, "keep") == 0) {
                        printf("%d 0\n", make_pages() ? pthread_create(&t, NULL, keep, NULL) : -1);
                } else if (strncmp(line, "copies ", 7) == 0) {
                        printf("%d 0\n", map_copies(atoi(line + 7)));
                } else if (strcmp(line, "begin birth") == 0) {
                        int failed = begin_birth();

                        printf("%d %d\n", failed, birth.maker);
                } else if (strcmp(line, "end birth") == 0) {
                        printf("%d 0\n", end_birth());
                } else if (strcmp(line, "hide code") == 0) {
                        printf("%d 0\n", dl_iterate_phdr(hide_code, NULL));
                } else if (strncmp(line, "unwinder ", 9) == 0) {
                        printf("%d 0\n", load_unwinder(line + 9));
                } else if (strncmp(line, "hang ", 5) == 0) {
                        printf("%d 0\n", *unwinders[1].hangs = atoi(line + 5));
                } else if (strcmp(line, "registered") == 0) {
                        printf("%d %d\n", *unwinders[0].registered, *unwinders[1].registered);
                } else if (strncmp(line, "filter ", 7) == 0) {
                        printf("%d 0\n",
                               pthread_create(&t, NULL, filter_all, (void *)(intptr_t)atoi(line + 7)));
                } else if (strcmp(line, "submit") == 0) {
                        printf("%d 0\n", ring_submit());
                } else if (strcmp(line, "reap") == 0) {
                        printf("%d 0\n", ring_reap());
                }
        }
}

/* An argument xN: it executes itself N times before it is ready. */
int main(int argc, char **argv) {
        char left[16];

        if (argc > 1 && argv[1][0] == 'x' && atoi(argv[1] + 1) > 0) {
                snprintf(left, sizeof(left), "x%d", atoi(argv[1] + 1) - 1);
                execl(argv[0], argv[0], left, NULL);
                return 1;
        }
        setvbuf(stdout, NULL, _IONBF, 0);
        if (pipe(fds) < 0)
                return 1;
        printf("ready\n");
        commands();
}
