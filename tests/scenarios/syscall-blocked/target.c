/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <fcntl.h>

/*
 * Each thread blocks once, from before READY until the end, with no time limit or a long one, and
 * must be woken by nothing but the end. What it returned then is judged. The changed function is not
 * on any of these stacks.
 */
static long calls;
NOINLINE static long work(long v) {
        calls++;
        return v + PICK(1, 2);
}

static int end_pipe[2]; /* closing its write end ends every call that can wait on it */
static int listen_fd, pair[2], msq, sem, event_fd, full_pipe[2], inotify_fd, timer_fd;
static pid_t child;
static int hold_fd; /* the child lives while it is open */
static unsigned futex_word, bitset_word;
static mqd_t queue;
static aio_context_t aio;
static int started, woken;
static char dir[128];
static sem_t posix_sem;
static struct timespec begun;

#define LONG_SEC 3600
static const struct timespec long_time = { LONG_SEC, 0 };

static long f_poll(void) {
        struct pollfd p = { end_pipe[0], POLLIN, 0 };
        return poll(&p, 1, -1);
}
static long f_poll_timeout(void) {
        struct pollfd p = { end_pipe[0], POLLIN, 0 };
        return poll(&p, 1, LONG_SEC * 1000);
}
static long f_ppoll(void) {
        struct pollfd p = { end_pipe[0], POLLIN, 0 };
        sigset_t s;
        sigfillset(&s);
        return ppoll(&p, 1, &long_time, &s);
}
static long f_select(void) {
        fd_set s;
        FD_ZERO(&s);
        FD_SET(end_pipe[0], &s);
        struct timeval t = { LONG_SEC, 0 };
        return select(end_pipe[0] + 1, &s, NULL, NULL, &t);
}
static long f_pselect(void) {
        fd_set s;
        sigset_t m;
        FD_ZERO(&s);
        FD_SET(end_pipe[0], &s);
        sigfillset(&m);
        return pselect(end_pipe[0] + 1, &s, NULL, NULL, &long_time, &m);
}
static long epolled(int flavour) {
        struct epoll_event e = { .events = EPOLLIN }, out;
        int fd = epoll_create1(0);
        sigset_t m;
        sigfillset(&m);
        epoll_ctl(fd, EPOLL_CTL_ADD, end_pipe[0], &e);
        long r = flavour == 0   ? epoll_wait(fd, &out, 1, -1)
                 : flavour == 1 ? epoll_wait(fd, &out, 1, LONG_SEC * 1000)
                 : flavour == 2 ? epoll_pwait(fd, &out, 1, -1, &m)
                                : syscall(SYS_epoll_pwait2, fd, &out, 1, &long_time, NULL, 0);
        close(fd);
        return r;
}
static long f_epoll_wait(void) { return epolled(0); }
static long f_epoll_wait_timeout(void) { return epolled(1); }
static long f_epoll_pwait(void) { return epolled(2); }
static long f_epoll_pwait2(void) { return epolled(3); }
static long f_read_pipe(void) { char c; return read(end_pipe[0], &c, 1); }
/* Full before it blocks: a call that has moved some bytes already ends with their number when it is stopped,
 * by SIGSTOP too. */
static long f_write_pipe(void) {
        char block[4096] = { 0 };
        fcntl(full_pipe[1], F_SETFL, O_NONBLOCK);
        while (write(full_pipe[1], block, sizeof(block)) > 0)
                ;
        fcntl(full_pipe[1], F_SETFL, 0);
        return write(full_pipe[1], block, 1) == 1 ? 0 : -1;
}
static long f_accept(void) { return accept(listen_fd, NULL, NULL) >= 0 ? 0 : -1; }
static long f_accept_timeout(void) {
        struct timeval t = { LONG_SEC, 0 };
        setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
        return accept(listen_fd, NULL, NULL) >= 0 ? 0 : -1;
}
static long f_recv(void) { char c; return recv(pair[0], &c, 1, 0); }
static int pair_timeout[2];
static long f_recv_timeout(void) {
        char c;
        struct timeval t = { LONG_SEC, 0 };
        setsockopt(pair_timeout[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
        return recv(pair_timeout[0], &c, 1, 0);
}
static int pair_send[2];
static long f_send_timeout(void) {
        struct timeval t = { LONG_SEC, 0 };
        static char block[1 << 20];
        setsockopt(pair_send[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
        while (send(pair_send[0], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                ;
        while (send(pair_send[0], block, 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                ;
        ssize_t n = send(pair_send[0], block, 1, MSG_NOSIGNAL);
        return n > 0 || errno == EPIPE || errno == ECONNRESET ? 0 : -1;
}
static int pair_msg[2];
static long f_recvmsg(void) {
        char c;
        struct iovec v = { &c, 1 };
        struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
        return recvmsg(pair_msg[0], &m, 0);
}
static int pair_mmsg[2];
static long f_recvmmsg(void) {
        char c;
        struct iovec v = { &c, 1 };
        struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
        struct timespec t = long_time;
        return recvmmsg(pair_mmsg[0], &m, 1, 0, &t) >= 0 ? 0 : -1;
}
static long f_semop(void) {
        struct sembuf b = { 0, -1, 0 };
        return semop(sem, &b, 1);
}
static long f_semtimedop(void) {
        struct sembuf b = { 0, -1, 0 };
        return semtimedop(sem, &b, 1, &long_time);
}
static long f_msgrcv(void) {
        struct { long type; char text[8]; } m;
        return msgrcv(msq, &m, sizeof(m.text), 1, 0) >= 0 ? 0 : -1;
}
static int msq_full;
static long f_msgsnd(void) {
        struct { long type; char text[1024]; } m = { 1, "" };
        while (msgsnd(msq_full, &m, sizeof(m.text), IPC_NOWAIT) == 0)
                ;
        return msgsnd(msq_full, &m, sizeof(m.text), 0);
}
static long f_mq_receive(void) { char c[64]; return mq_receive(queue, c, sizeof(c), NULL) >= 0 ? 0 : -1; }
static long f_sigtimedwait(void) {
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGRTMIN + 1);
        return sigtimedwait(&s, NULL, &long_time) > 0 ? 0 : -1;
}
static long f_sigwaitinfo(void) {
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGRTMIN + 2);
        return sigwaitinfo(&s, NULL) > 0 ? 0 : -1;
}
static void ignore(int sig) { (void)sig; }
static long f_pause(void) { return pause() < 0 && errno == EINTR ? 0 : -1; }
static long f_sigsuspend(void) {
        sigset_t s;
        pthread_sigmask(SIG_SETMASK, NULL, &s);
        sigdelset(&s, SIGRTMIN + 3);
        return sigsuspend(&s) < 0 && errno == EINTR ? 0 : -1;
}
/* These end by a handled signal: interrupted by it, with as much time left as there should be. */
static long napped(int flavour) {
        struct timespec t = long_time, left = { 0 }, now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        struct timespec at = { now.tv_sec + LONG_SEC, now.tv_nsec };
        long r = flavour == 0   ? nanosleep(&t, &left) ? errno : 0
                 : flavour == 1 ? clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left)
                                : clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        struct timespec after;
        clock_gettime(CLOCK_MONOTONIC, &after);
        if (flavour < 2) {
                double elapsed = (double)(after.tv_sec - now.tv_sec) + (double)(after.tv_nsec - now.tv_nsec) / 1e9;
                double sum = elapsed + (double)left.tv_sec + (double)left.tv_nsec / 1e9;
                if (sum < LONG_SEC - 0.1 || sum > LONG_SEC + 0.5)
                        return -1;
        }
        return r == EINTR ? 0 : -1;
}
static long f_nanosleep(void) { return napped(0); }
static long f_clock_nanosleep(void) { return napped(1); }
static long f_clock_nanosleep_abs(void) { return napped(2); }
static long f_futex(void) { return syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0); }
static long f_futex_timeout(void) { return syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0); }
static long f_futex_bitset(void) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += LONG_SEC;
        return syscall(SYS_futex, &bitset_word, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, FUTEX_BITSET_MATCH_ANY);
}
static long f_sem_wait(void) { return sem_wait(&posix_sem); }
static long f_sem_timedwait(void) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_sec += LONG_SEC;
        return sem_timedwait(&posix_sem, &at);
}
static long f_io_getevents(void) {
        struct io_event e;
        struct timespec t = long_time;
        return syscall(SYS_io_getevents, aio, 1L, 1L, &e, &t) >= 0 ? 0 : -1;
}
static long f_inotify(void) { char c[512]; return read(inotify_fd, c, sizeof(c)) > 0 ? 0 : -1; }
static long f_eventfd(void) { uint64_t v; return read(event_fd, &v, sizeof(v)) == sizeof(v) ? 0 : -1; }
static long f_timerfd(void) { uint64_t v; return read(timer_fd, &v, sizeof(v)) == sizeof(v) ? 0 : -1; }
static long f_waitpid(void) { int s; return waitpid(child, &s, 0) == child ? 0 : -1; }
static char lock_path[160], fifo_path[160];
static int lock_holder;
static long f_flock(void) {
        int fd = open(lock_path, O_RDWR | O_CLOEXEC);
        return flock(fd, LOCK_EX);
}
static int ofd_holder;
static long f_fcntl_lock(void) {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd = open(fifo_path, O_RDWR | O_CLOEXEC);
        return fcntl(fd, F_OFD_SETLKW, &l);
}
static char named_path[160], watched_path[160];
static long f_open_fifo(void) { return open(named_path, O_RDONLY) >= 0 ? 0 : -1; }

#define CALLS(X) X(poll) X(poll_timeout) X(ppoll) X(select) X(pselect) X(epoll_wait) X(epoll_wait_timeout) \
        X(epoll_pwait) X(epoll_pwait2) X(read_pipe) X(write_pipe) X(accept) X(accept_timeout) X(recv) X(recv_timeout) \
        X(send_timeout) X(recvmsg) X(recvmmsg) X(semop) X(semtimedop) X(msgrcv) X(msgsnd) X(mq_receive) X(sigtimedwait) \
        X(sigwaitinfo) X(pause) X(sigsuspend) X(nanosleep) X(clock_nanosleep) X(clock_nanosleep_abs) X(futex) \
        X(futex_timeout) X(futex_bitset) X(sem_wait) X(sem_timedwait) X(io_getevents) X(inotify) X(eventfd) X(timerfd) \
        X(waitpid) X(flock) X(fcntl_lock) X(open_fifo)
#define ROW(n) { #n, f_##n },
static struct Blocker {
        const char *name;
        long (*call)(void);
        pthread_t thread;
        pid_t tid;
        int done, error;
        long result;
} blockers[] = { CALLS(ROW) };
enum { N = sizeof(blockers) / sizeof(*blockers) };
static bool ending;

static void *run(void *arg) {
        struct Blocker *b = arg;
        sigset_t s;
        sigfillset(&s);
        /* Signal 3 is for those that only a signal ends; it stays blocked in the others. */
        if (b->call == f_pause || b->call == f_nanosleep || b->call == f_clock_nanosleep || b->call == f_clock_nanosleep_abs)
                sigdelset(&s, SIGRTMIN + 3);
        pthread_sigmask(SIG_SETMASK, &s, NULL);
        __atomic_store_n(&b->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
        __atomic_add_fetch(&started, 1, __ATOMIC_RELEASE);
        errno = 0;
        b->result = b->call();
        b->error = errno;
        if (!__atomic_load_n(&ending, __ATOMIC_ACQUIRE)) {
                char text[128];
                snprintf(text, sizeof(text), "%s returned %ld, errno %d", b->name, b->result, b->error);
                harness_expect(false, text, __LINE__);
        }
        __atomic_add_fetch(&woken, 1, __ATOMIC_RELEASE);
        __atomic_store_n(&b->done, 1, __ATOMIC_RELEASE);
        return NULL;
}

/* A thread that sleeps is in its call: its state in /proc is S. */
static bool sleeping(pid_t tid) {
        char path[64], text[512];
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
                return false;
        text[n] = 0;
        const char *p = strrchr(text, ')');
        return p && p[2] == 'S';
}

void target_start(void) {
        sigset_t mine;
        sigemptyset(&mine);
        for (int i = 1; i <= 3; i++)
                sigaddset(&mine, SIGRTMIN + i);
        pthread_sigmask(SIG_BLOCK, &mine, NULL);
        signal(SIGRTMIN + 3, ignore);
        signal(SIGPIPE, SIG_IGN);
        snprintf(dir, sizeof(dir), "%s", getenv("SCENARIO_DIR"));
        CALL(pipe2(end_pipe, O_CLOEXEC));
        CALL(pipe2(full_pipe, O_CLOEXEC));
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        CALL(bind(listen_fd, (struct sockaddr *)&a, sizeof(a.sun_family)));
        CALL(listen(listen_fd, 8));
        int(*pairs[])[2] = { &pair, &pair_timeout, &pair_send, &pair_msg, &pair_mmsg };
        for (unsigned i = 0; i < 5; i++)
                CALL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, *pairs[i]));
        msq = (int)CALL(msgget(IPC_PRIVATE, 0600));
        msq_full = (int)CALL(msgget(IPC_PRIVATE, 0600));
        sem = (int)CALL(semget(IPC_PRIVATE, 1, 0600));
        event_fd = (int)CALL(eventfd(0, EFD_CLOEXEC));
        timer_fd = (int)CALL(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
        inotify_fd = (int)CALL(inotify_init1(IN_CLOEXEC));
        snprintf(watched_path, sizeof(watched_path), "%s/watched", dir);
        close(open(watched_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        CALL(inotify_add_watch(inotify_fd, watched_path, IN_ATTRIB));
        struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 64 };
        char name[64];
        snprintf(name, sizeof(name), "/scenario-%d", (int)getpid());
        queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
        EXPECT(queue >= 0);
        mq_unlink(name);
        CALL(syscall(SYS_io_setup, 8, &aio));
        sem_init(&posix_sem, 0, 0);
        snprintf(lock_path, sizeof(lock_path), "%s/flock", dir);
        snprintf(fifo_path, sizeof(fifo_path), "%s/lock", dir);
        snprintf(named_path, sizeof(named_path), "%s/fifo", dir);
        lock_holder = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CALL(flock(lock_holder, LOCK_EX));
        ofd_holder = open(fifo_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        CALL(fcntl(ofd_holder, F_OFD_SETLKW, &l));
        CALL(mkfifo(named_path, 0600));
        clock_gettime(CLOCK_MONOTONIC, &begun);
        int hold[2];
        CALL(pipe(hold));
        child = fork();
        if (child == 0) {
                char c;
                close(hold[1]);
                close(end_pipe[1]);
                (void)!read(hold[0], &c, 1);
                _exit(0);
        }
        close(hold[0]);
        fcntl(hold[1], F_SETFD, FD_CLOEXEC);
        hold_fd = hold[1];
        pthread_attr_t attrs;
        pthread_attr_init(&attrs);
        pthread_attr_setstacksize(&attrs, 256 << 10);
        for (unsigned i = 0; i < N; i++)
                CALL(-pthread_create(&blockers[i].thread, &attrs, run, &blockers[i]));
        while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) < (int)N)
                usleep(100);
        for (unsigned i = 0; i < N; i++)
                while (!sleeping(blockers[i].tid))
                        usleep(100);
}

void target_work(void) { work(0); }

void target_check(int version) {
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        EXPECT_EQ(__atomic_load_n(&woken, __ATOMIC_ACQUIRE), 0);
}

void target_end(void) {
        static const char byte[64] = { 1 };
        EXPECT_EQ(woken, 0);
        __atomic_store_n(&ending, true, __ATOMIC_RELEASE);
        close(hold_fd);
        close(end_pipe[1]);
        static char drain[65536];
        (void)!read(full_pipe[0], drain, sizeof(drain));
        struct sockaddr_un a;
        socklen_t size = sizeof(a);
        getsockname(listen_fd, (struct sockaddr *)&a, &size);
        for (int i = 0; i < 2; i++)
                CALL(connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&a, size));
        close(pair[1]), close(pair_timeout[1]), close(pair_send[1]), close(pair_msg[1]);
        CALL(write(pair_mmsg[1], byte, 1));
        struct sembuf up = { 0, 2, 0 };
        CALL(semop(sem, &up, 1));
        struct { long type; char text[8]; } m = { 1, "end" };
        CALL(msgsnd(msq, &m, 4, 0));
        struct { long type; char text[1024]; } big;
        CALL(msgrcv(msq_full, &big, sizeof(big.text), 0, 0));
        CALL(mq_send(queue, byte, 1, 0));
        kill(getpid(), SIGRTMIN + 1);
        kill(getpid(), SIGRTMIN + 2);
        __atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&bitset_word, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &futex_word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
        syscall(SYS_futex, &bitset_word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
        sem_post(&posix_sem), sem_post(&posix_sem);
        int src = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        static char room[16];
        struct iocb io = { .aio_fildes = (unsigned)src, .aio_lio_opcode = IOCB_CMD_PREAD,
                           .aio_buf = (uintptr_t)room, .aio_nbytes = 8 }, *ios = &io;
        CALL(syscall(SYS_io_submit, aio, 1L, &ios));
        chmod(watched_path, 0644);
        CALL(eventfd_write(event_fd, 1));
        struct itimerspec soon = { .it_value = { 0, 1 } };
        CALL(timerfd_settime(timer_fd, 0, &soon, NULL));
        flock(lock_holder, LOCK_UN);
        close(ofd_holder);
        int fifo = open(named_path, O_WRONLY | O_CLOEXEC);
        for (unsigned i = 0; i < N; i++) {
                struct Blocker *b = &blockers[i];
                if (b->call == f_pause || b->call == f_sigsuspend || b->call == f_nanosleep ||
                    b->call == f_clock_nanosleep || b->call == f_clock_nanosleep_abs)
                        CALL(-pthread_kill(b->thread, SIGRTMIN + 3));
        }
        for (unsigned i = 0; i < N; i++) {
                CALL(-pthread_join(blockers[i].thread, NULL));
                if (blockers[i].result < 0) {
                        char text[128];
                        snprintf(text, sizeof(text), "%s ended with errno %d", blockers[i].name, blockers[i].error);
                        harness_expect(false, text, __LINE__);
                }
        }
        close(fifo);
        msgctl(msq, IPC_RMID, NULL);
        msgctl(msq_full, IPC_RMID, NULL);
        semctl(sem, 0, IPC_RMID);
}
