/* SPDX-License-Identifier: Apache-2.0 */
/* One thread in each system call that a stop can interrupt. None may return. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int counter;
int answer(int x);
__attribute__((weak, aligned(32))) int answer(int x) {
        counter += x;
        return 1;
}

static const struct timespec hour = { 3600, 0 };
static struct timeval hour_v = { 3600, 0 };
static int queue_empty, queue_full, semaphores;
static atomic_int entered;
static pid_t child;

static void limit(int fd) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hour_v, sizeof(hour_v));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &hour_v, sizeof(hour_v));
}
static int a_pipe(void) {
        int p[2];

        return pipe(p) == 0 ? p[0] : -1;
}
static int a_socket(int type) {
        int p[2];

        if (socketpair(AF_UNIX, type, 0, p) < 0)
                return -1;
        limit(p[0]);
        return p[0];
}
static int full_socket(void) {
        int fd = a_socket(SOCK_STREAM);
        char byte[4096] = { 0 };

        while (send(fd, byte, sizeof(byte), MSG_DONTWAIT) > 0)
                ;
        return fd;
}
static int listener(struct sockaddr_un *a, socklen_t *n) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
        *n = sizeof(sa_family_t);
        bind(fd, (struct sockaddr *)a, *n); /* the kernel chooses an abstract name */
        *n = sizeof(*a);
        getsockname(fd, (struct sockaddr *)a, n);
        listen(fd, 0);
        limit(fd);
        return fd;
}
static int epoll_fd(void) {
        return epoll_create1(0);
}

#define CALL(name, expression)             \
        static long call_##name(void) {    \
                return (long)(expression); \
        }
static char buffer[65536];
CALL(nanosleep, nanosleep(&hour, NULL))
CALL(clock_nanosleep, (errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, NULL), -1))
CALL(poll, poll(NULL, 0, -1))
CALL(poll_timeout, poll(NULL, 0, 3600000))
CALL(ppoll, ppoll(NULL, 0, &hour, NULL))
CALL(select, select(0, NULL, NULL, NULL, &(struct timeval){ 3600, 0 }))
CALL(pselect, pselect(0, NULL, NULL, NULL, &hour, NULL))
CALL(epoll_wait, epoll_wait(epoll_fd(), (struct epoll_event *)malloc(64), 1, -1))
CALL(epoll_wait_timeout, epoll_wait(epoll_fd(), (struct epoll_event *)malloc(64), 1, 3600000))
CALL(epoll_pwait, epoll_pwait(epoll_fd(), (struct epoll_event *)malloc(64), 1, 3600000, &(sigset_t){ 0 }))
CALL(epoll_pwait2, syscall(441, epoll_fd(), malloc(64), 1, &hour, NULL, 8))
static int word;
CALL(futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0))
CALL(futex_timeout, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &hour, NULL, 0))
CALL(msgrcv, msgrcv(queue_empty, buffer, 8, 0, 0))
CALL(msgsnd, ({
             long m[2] = { 1, 0 };
             while (msgsnd(queue_full, m, 8, IPC_NOWAIT) == 0)
                     ;
             msgsnd(queue_full, m, 8, 0);
     }))
CALL(semop, semop(semaphores, &(struct sembuf){ 0, -1, 0 }, 1))
CALL(semtimedop, semtimedop(semaphores, &(struct sembuf){ 0, -1, 0 }, 1, &hour))
static sigset_t usr(void) {
        sigset_t s;

        sigemptyset(&s);
        sigaddset(&s, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &s, NULL);
        return s;
}
CALL(sigtimedwait, ({
             sigset_t s = usr();
             sigtimedwait(&s, NULL, &hour);
     }))
CALL(sigwaitinfo, ({
             sigset_t s = usr();
             sigwaitinfo(&s, NULL);
     }))
CALL(pause, pause())
CALL(sigsuspend, ({
             sigset_t s = usr();
             sigsuspend(&s);
     }))
CALL(io_getevents, ({
             aio_context_t c = 0;
             struct io_event ev;
             syscall(SYS_io_setup, 1, &c) < 0 ? (pause(), 0L)
                                              : syscall(SYS_io_getevents, c, 1, 1, &ev, &hour);
     }))
CALL(io_pgetevents, ({
             aio_context_t c = 0;
             struct io_event ev;
             syscall(SYS_io_setup, 1, &c) < 0 ? (pause(), 0L) : syscall(333, c, 1, 1, &ev, &hour, NULL);
     }))
CALL(io_uring, ({
             struct io_uring_params p = { 0 };
             int fd = (int)syscall(425, 4, &p);
             fd < 0 ? (pause(), 0L) : syscall(426, fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
     }))
CALL(read_pipe, read(a_pipe(), buffer, 1))
CALL(read_socket, read(a_socket(SOCK_STREAM), buffer, 1))
CALL(readv_socket, ({
             struct iovec v = { buffer, 1 };
             readv(a_socket(SOCK_STREAM), &v, 1);
     }))
CALL(recv_socket, recv(a_socket(SOCK_DGRAM), buffer, 1, 0))
CALL(recvmsg_socket, ({
             struct iovec v = { buffer, 1 };
             struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
             recvmsg(a_socket(SOCK_STREAM), &m, 0);
     }))
CALL(recvmmsg_socket, ({
             struct iovec v = { buffer, 1 };
             struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
             recvmmsg(a_socket(SOCK_DGRAM), &m, 1, 0, NULL);
     }))
CALL(send_socket, send(full_socket(), buffer, 65536, 0))
CALL(write_socket, write(full_socket(), buffer, 65536))
CALL(sendmsg_socket, ({
             struct iovec v = { buffer, 65536 };
             struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
             sendmsg(full_socket(), &m, 0);
     }))
CALL(accept_socket, ({
             struct sockaddr_un a;
             socklen_t n;
             accept(listener(&a, &n), NULL, NULL);
     }))
CALL(accept4_socket, ({
             struct sockaddr_un a;
             socklen_t n;
             accept4(listener(&a, &n), NULL, NULL, 0);
     }))
CALL(connect_socket, ({
             struct sockaddr_un a;
             socklen_t n;
             int s;
             listener(&a, &n);
             long r = 0;
             while (r == 0) {
                     s = socket(AF_UNIX, SOCK_STREAM, 0);
                     limit(s);
                     atomic_load(&entered);
                     r = connect(s, (struct sockaddr *)&a, n);
             }
             r;
     }))
CALL(inotify, read(inotify_init(), buffer, 4096))
CALL(eventfd, read(eventfd(0, 0), buffer, 8))
CALL(timerfd, read(timerfd_create(CLOCK_MONOTONIC, 0), buffer, 8))
CALL(wait4, waitpid(child, NULL, __WALL))
CALL(waitid, waitid(P_PID, (id_t)child, &(siginfo_t){ 0 }, WEXITED | __WALL))
static int locked(void) {
        char name[] = "/tmp/staunch-lock-XXXXXX";
        int fd = mkstemp(name), other = open(name, O_RDWR);

        unlink(name);
        flock(fd, LOCK_EX);
        fcntl(fd, F_OFD_SETLK, &(struct flock){ .l_type = F_WRLCK });
        return other;
}
CALL(flock, flock(locked(), LOCK_EX))
CALL(fcntl_lock, fcntl(locked(), F_OFD_SETLKW, &(struct flock){ .l_type = F_WRLCK }))
CALL(mq_receive, ({
             char name[32];
             snprintf(name, sizeof(name), "/staunch-%d", getpid());
             struct mq_attr at = { .mq_maxmsg = 1, .mq_msgsize = 8 };
             mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &at);
             mq_unlink(name);
             q < 0 ? (pause(), 0L) : mq_timedreceive(q, buffer, 8, NULL, &(struct timespec){ 4000000000, 0 });
     }))
CALL(cond, ({
             pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
             pthread_cond_t c = PTHREAD_COND_INITIALIZER;
             pthread_mutex_lock(&m);
             pthread_cond_wait(&c, &m);
     }))

static struct {
        const char *name;
        long (*run)(void);
        atomic_int state; /* 1: returned */
        long result;
        int error;
} calls[] = {
#define C(name) \
        { #name, call_##name, 0, 0, 0 }
        C(nanosleep),     C(clock_nanosleep), C(poll),
        C(poll_timeout),  C(ppoll),           C(select),
        C(pselect),       C(epoll_wait),      C(epoll_wait_timeout),
        C(epoll_pwait),   C(epoll_pwait2),    C(futex),
        C(futex_timeout), C(msgrcv),          C(msgsnd),
        C(semop),         C(semtimedop),      C(sigtimedwait),
        C(sigwaitinfo),   C(pause),           C(sigsuspend),
        C(io_getevents),  C(io_pgetevents),   C(io_uring),
        C(read_pipe),     C(read_socket),     C(readv_socket),
        C(recv_socket),   C(recvmsg_socket),  C(recvmmsg_socket),
        C(send_socket),   C(write_socket),    C(sendmsg_socket),
        C(accept_socket), C(accept4_socket),  C(connect_socket),
        C(inotify),       C(eventfd),         C(timerfd),
        C(wait4),         C(waitid),          C(flock),
        C(fcntl_lock),    C(mq_receive),      C(cond),
};
enum { N = sizeof(calls) / sizeof(*calls) };

static void *run(void *arg) {
        size_t i = (size_t)arg;

        errno = 0;
        calls[i].result = calls[i].run();
        calls[i].error = errno;
        atomic_store(&calls[i].state, 1);
        return NULL;
}

int main(int argc, char **argv) {
        pid_t parent;
        char line[64];
        size_t sole = argc > 1 ? (size_t)atoi(argv[1]) : N;

        setvbuf(stdout, NULL, _IONBF, 0);
        queue_empty = msgget(IPC_PRIVATE, 0600);
        queue_full = msgget(IPC_PRIVATE, 0600);
        semaphores = semget(IPC_PRIVATE, 1, 0600);
        parent = getpid();
        child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (getppid() == parent) /* it may have ended before that */
                        pause();
                _exit(0);
        }
        if (sole < N) { /* the call in the main thread: the one that makes the calls for the engine */
                printf("ready\n");
                run((void *)sole);
                printf("%s %d\n", calls[sole].name, calls[sole].error);
                return 1;
        }
        for (size_t i = 0; i < N; i++) {
                pthread_t t;

                if (pthread_create(&t, NULL, run, (void *)i) != 0)
                        return 1;
        }
        printf("ready\n");
        while (fgets(line, sizeof(line), stdin)) {
                int failed = 0;

                if (strcmp(line, "count\n") == 0) {
                        printf("%d 0\n", (int)N);
                        continue;
                }
                for (size_t i = 0; i < N; i++)
                        if (atomic_load(&calls[i].state)) {
                                failed++;
                                fprintf(stderr, "%s returned %ld, errno %d\n", calls[i].name, calls[i].result,
                                        calls[i].error);
                        }
                printf("%d %d\n", failed, answer(1));
        }
        msgctl(queue_empty, IPC_RMID, NULL);
        msgctl(queue_full, IPC_RMID, NULL);
        semctl(semaphores, 0, IPC_RMID);
        kill(child, SIGKILL);
        return 0;
}
