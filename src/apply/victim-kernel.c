/* SPDX-License-Identifier: Apache-2.0 */
/* A process that uses what the kernel offers and few ask for; it answers on a pipe like victim.c. */
#include <link.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, HUGE = 2 << 20, SYS_MSEAL = 462 };
#ifndef UFFDIO_WRITEPROTECT_MODE_WP
#define UFFDIO_WRITEPROTECT_MODE_WP 1
#endif

int counter;
static int fds[2];

int answer(int x);
/* Replaced by the tests. */
__attribute__((weak, aligned(32))) int answer(int x) {
        counter += x;
        return 1;
}

int in_sequence(int x);
/* Replaced by the tests, too. Most of it is one restartable sequence: the kernel sends whoever is interrupted
 * in it to the place behind the signature, which begins it anew. */
__attribute__((weak, noinline, aligned(32))) int in_sequence(int x) {
        struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);

        __asm__ volatile(".pushsection .data.rel.sequence, \"aw\"\n"
                         "       .balign 32\n"
                         "1:     .long 0, 0\n"
                         "       .quad 2f, 3f - 2f, 4f\n"
                         ".popsection\n"
                         "       jmp 5f\n"
                         "       .long 0x53053053\n"
                         "4:\n"
                         "5:     lea 1b(%%rip), %%rax\n"
                         "       mov %%rax, 8(%[area])\n"
                         "2:     mov $1000, %%ecx\n"
                         "6:     dec %%ecx\n"
                         "       jnz 6b\n"
                         "       addl %[x], counter(%%rip)\n"
                         "3:     movq $0, 8(%[area])\n"
                         :
                         : [area] "r"(area), [x] "r"(x)
                         : "rax", "rcx", "memory", "cc");
        return 1;
}

static atomic_long sequences, wrong;
static atomic_int version;

/* Nobody else counts: each sequence is done once. */
static void *sequence(void *arg) {
        for (;;) {
                int before = counter;

                atomic_store(&version, in_sequence(1));
                if (counter != before + 1)
                        atomic_fetch_add(&wrong, 1);
                atomic_fetch_add(&sequences, 1);
                for (volatile int i = 0; i < 300; i = i + 1)
                        ;
        }
        return arg;
}

/* Which version of the sequence is run by now; negative: something was lost. */
static int see_sequences(void) {
        static pthread_t t;
        long before = atomic_load(&sequences);

        if (!t && (!__rseq_size || pthread_create(&t, NULL, sequence, NULL) != 0))
                return -1;
        while (atomic_load(&sequences) < before + 1000)
                usleep(100);
        return atomic_load(&wrong) ? -1 : atomic_load(&version);
}

/* Of the program, the first in the list: nobody may change or move its mappings any more. */
static int seal(struct dl_phdr_info *info, size_t size, void *arg) {
        (void)size, (void)arg;
        for (int i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &info->dlpi_phdr[i];
                uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(uintptr_t)(PAGE - 1);
                uintptr_t end =
                        (info->dlpi_addr + p->p_vaddr + p->p_memsz + PAGE - 1) & ~(uintptr_t)(PAGE - 1);

                if (p->p_type == PT_LOAD && syscall(SYS_MSEAL, start, end - start, 0) < 0)
                        return -1;
        }
        return 1;
}

static volatile char selector = 0; /* SYSCALL_DISPATCH_FILTER_ALLOW */

static int dispatch(void) {
        return prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &selector);
}

/* A thread of the kernel looks for requests of ours all the time. */
static int poll_ring(void) {
        struct io_uring_params p = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000000 };

        return (int)syscall(SYS_io_uring_setup, 2, &p);
}

static void *wait_byte(void *arg) {
        char c;

        return read(fds[0], &c, 1) == 1 ? arg : NULL;
}

/* A thread waits on that stack. */
static int wait_on(uint8_t *stack, size_t size) {
        pthread_attr_t a;
        pthread_t t;

        pthread_attr_init(&a);
        return pthread_attr_setstack(&a, stack, size) || pthread_create(&t, &a, wait_byte, NULL) ? -1 : 0;
}

static int huge_stack(void) {
        uint8_t *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;

        if (p == MAP_FAILED)
                return -1;
        at = (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
        madvise(at, HUGE, MADV_HUGEPAGE);
        memset(at, 1, HUGE);
        return wait_on(at, HUGE);
}

static struct uffdio_writeprotect protected = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };

/* Whoever writes to the stack is let. */
static void *let_write(void *arg) {
        int fd = (int)(intptr_t)arg;
        struct uffd_msg event;

        while (read(fd, &event, sizeof(event)) == sizeof(event)) {
                protected.mode = 0;
                ioctl(fd, UFFDIO_WRITEPROTECT, &protected);
        }
        return arg;
}

static int protected_stack(void) {
        enum { SIZE = 16 * PAGE };
        int fd = (int)syscall(SYS_userfaultfd, 0);
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
        pthread_t t;
        uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (fd < 0 || p == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0)
                return -1;
        memset(p, 0, SIZE);
        range.range.start = protected.range.start = (uintptr_t)p;
        range.range.len = protected.range.len = SIZE;
        if (ioctl(fd, UFFDIO_REGISTER, &range) < 0 || wait_on(p, SIZE) < 0 ||
            ioctl(fd, UFFDIO_WRITEPROTECT, &protected) < 0)
                return -1;
        return pthread_create(&t, NULL, let_write, (void *)(intptr_t)fd);
}

/* Threads wait on stacks that are one mapping, with guards in it that are none of their own: as the C library
 * makes them where the kernel has such guards. */
static int guarded_stacks(void) {
        enum { SIZE = 4 << 20, THREADS = 160, MADV_GUARD_INSTALL_ = 102 };
        uint8_t *p = mmap(NULL, THREADS * SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED)
                return -1;
        for (int i = 0; i < THREADS; i++)
                if (madvise(p + i * SIZE, PAGE, MADV_GUARD_INSTALL_) < 0 || wait_on(p + i * SIZE, SIZE) < 0)
                        return -1;
        return 0;
}

static int find_vdso(struct dl_phdr_info *info, size_t size, void *arg) {
        (void)size;
        if (strstr(info->dlpi_name, "vdso"))
                *(uintptr_t *)arg = info->dlpi_addr;
        return 0;
}

static int no_vdso(void) {
        uintptr_t at = 0;

        dl_iterate_phdr(find_vdso, &at);
        return at ? munmap((void *)at, 2 * PAGE) : -1;
}

/* Some databases and language runtimes do so with their text, for the sake of huge pages. */
static int move_text(struct dl_phdr_info *info, size_t size, void *arg) {
        (void)size;
        for (int i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &info->dlpi_phdr[i];
                uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(uintptr_t)(PAGE - 1);
                size_t n = (p->p_vaddr % PAGE + p->p_memsz + PAGE - 1) & ~(size_t)(PAGE - 1);
                void *copy;

                if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
                        continue;
                n = arg ? PAGE : n;
                copy = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                memcpy(copy, (void *)start, n);
                mprotect(copy, n, PROT_READ | PROT_EXEC);
                return mremap(copy, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, start) == (void *)start ? 1 : -1;
        }
        return -1;
}

static int no_more(__rlimit_resource_t what) {
        return setrlimit(what, &(struct rlimit){ 0, 0 });
}

int main(void) {
        char line[64];

        setvbuf(stdout, NULL, _IONBF, 0);
        if (pipe(fds) < 0)
                return 1;
        printf("ready\n");
        while (fgets(line, sizeof(line), stdin)) {
                int r = -1;

                line[strcspn(line, "\n")] = 0;
                if (strcmp(line, "call") == 0)
                        r = answer(1);
                else if (strcmp(line, "undumpable") == 0)
                        r = prctl(PR_SET_DUMPABLE, 0);
                else if (strcmp(line, "no data") == 0)
                        r = no_more(RLIMIT_DATA);
                else if (strcmp(line, "no space") == 0)
                        r = no_more(RLIMIT_AS);
                else if (strcmp(line, "no signals") == 0)
                        r = no_more(RLIMIT_SIGPENDING);
                else if (strcmp(line, "sealed") == 0)
                        r = dl_iterate_phdr(seal, NULL);
                else if (strcmp(line, "dispatched") == 0)
                        r = dispatch();
                else if (strcmp(line, "polled ring") == 0)
                        r = poll_ring();
                else if (strcmp(line, "huge stack") == 0)
                        r = huge_stack();
                else if (strcmp(line, "protected stack") == 0)
                        r = protected_stack();
                else if (strcmp(line, "guarded stacks") == 0)
                        r = guarded_stacks();
                else if (strcmp(line, "no vdso") == 0)
                        r = no_vdso();
                else if (strcmp(line, "text moved") == 0)
                        r = dl_iterate_phdr(move_text, NULL);
                else if (strcmp(line, "first of text moved") == 0)
                        r = dl_iterate_phdr(move_text, fds);
                else if (strcmp(line, "readable is executable") == 0)
                        r = personality(READ_IMPLIES_EXEC) < 0 ? -1 : 0;
                else if (strcmp(line, "sequences") == 0)
                        r = see_sequences();
                else if (strcmp(line, "nobody's namespace") == 0)
                        r = unshare(CLONE_NEWUSER);
                printf("%d 0\n", r);
        }
}
