/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/guardian.h"
#include "apply/fault.h"
#include "apply/session.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/hold.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        THREADS_THAT_END = 8,
        DEADLINE_USEC = 5000000,
        DEADLINES = 4, /* that follow one another: for the lock, repairs, and what was asked for */
        POLL_MSEC = 100,
};

typedef struct Reply {
        int code;
        bool last; /* this guardian ends now: it holds threads that only its end lets go of */
        EngineResult res;
        Error error;
} Reply;

static struct {
        pthread_mutex_t mutex;
        pid_t pid, owner;
        int fd;
        uint8_t (*digests)[32];
        size_t n;
} guardian = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* True when it could not be done and the thread that stood for the process has ended meanwhile, but not the
 * process: a leader ends before its other threads. */
static bool serve_once(const GuardianRequest *q, const Patch *const *patches, size_t n, ShadowCache *cache,
                       Reply *reply) {
        const EngineOptions *options = q->has_options ? &q->options : NULL;
        bool again;
        Session s;

        *reply = (Reply){ .res = { .refusal = REFUSAL_N } };
        reply->code = session_open(&s, q->pid, options, cache, &reply->res, &reply->error);
        if (reply->code == 0 && q->op == GUARDIAN_APPLY)
                reply->code = session_apply(&s, patches, n, &reply->error);
        if (reply->code == 0 && q->op == GUARDIAN_REVERT)
                reply->code = session_revert(&s, q->has_digest ? q->digest : NULL, &reply->error);
        /* What is written goes into the memory that it had when we began. */
        if (reply->code == -ESRCH && s.mem_fd >= 0 && mem_is_gone(s.mem_fd) && task_has_memory(s.pid))
                reply->code = refuse(&reply->res, REFUSAL_CODE_PROCESS_GONE, "",
                                     "process %d replaced its memory (exec)", s.pid);
        again = reply->code != 0 && s.pid > 0 && !task_has_memory(s.pid) && task_with_memory(q->pid) != s.pid;
        session_close(&s);
        return again;
}

static void serve_one(const GuardianRequest *q, const Patch *const *patches, size_t n, ShadowCache *cache,
                      Reply *reply) {
        for (unsigned tries = 0; serve_once(q, patches, n, cache, reply) && tries < THREADS_THAT_END; tries++)
                ;
        if (reply->code == -ETIMEDOUT)
                reply->code =
                        refuse(&reply->res, REFUSAL_CODE_PROCESS_STOP, "",
                               "process %d does not go on: its control group is frozen, perhaps", q->pid);
        if (reply->code == -ESRCH && kill(q->pid, 0) < 0 && errno == ESRCH)
                reply->code =
                        refuse(&reply->res, REFUSAL_CODE_PROCESS_GONE, "", "process %d has ended", q->pid);
}

static _Noreturn void serve(int fd, pid_t front, const Patch *const *patches, size_t n) {
        ShadowCache cache = { 0 };
        /* Stops are waited for: no signal has to tell of them, too. */
        const struct sigaction stops = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
        int null, oom;
        sigset_t none;

        setsid();
        if (chdir("/") < 0) {
                /* then a file system is in use until the guardian ends */
        }
        for (int sig = 1; sig <= SIGRTMAX; sig++)
                signal(sig, SIG_IGN);
        sigaction(SIGCHLD, &stops, NULL);
        for (int sig = SIGSEGV, i = 0; i < 3; sig = i == 0 ? SIGBUS : SIGABRT, i++)
                signal(sig, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        hold_nothing();
        oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (oom >= 0) {
                if (write(oom, "-1000", 5) < 0) {
                        /* not allowed: then we are as likely to be chosen as anybody */
                }
                close(oom);
        }
        /* Nothing of the program's descriptors is needed; a pipe of it must not be held open. */
        if (fd != 3) {
                dup2(fd, 3);
                fd = 3;
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        close_range(4, ~0U, 0);
        null = open("/dev/null", O_RDWR);
        for (int i = 0; i < 3; i++)
                dup2(null, i);
        fault_front(front);
        for (;;) {
                GuardianRequest request;
                Reply reply;
                ssize_t got = recv(fd, &request, sizeof(request), 0);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got != sizeof(request))
                        _exit(0);
                serve_one(&request, patches, n, &cache, &reply);
                reply.last = late_release() > 0;
                if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply) || reply.last)
                        _exit(0);
        }
}

static void end_locked(void) {
        if (guardian.fd >= 0)
                close(guardian.fd);
        if (guardian.pid > 0 && guardian.owner == getpid())
                while (waitpid(guardian.pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        free(guardian.digests);
        guardian.digests = NULL;
        guardian.pid = 0;
        guardian.n = 0;
        guardian.fd = -1;
}

void guardian_end(void) {
        pthread_mutex_lock(&guardian.mutex);
        end_locked();
        pthread_mutex_unlock(&guardian.mutex);
}

static bool knows(const Patch *const *patches, size_t n) {
        if (guardian.fd < 0 || guardian.owner != getpid() || (n && n != guardian.n))
                return false;
        for (size_t i = 0; i < n; i++)
                if (memcmp(guardian.digests[i], patches[i]->digest, 32) != 0)
                        return false;
        return true;
}

static int start(const Patch *const *patches, size_t n, Error *e) {
        int pair[2];
        pid_t pid, front = getpid();

        end_locked();
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(e, -errno, "guardian");
        pid = fork();
        if (pid < 0) {
                int r = -errno;

                close(pair[0]);
                close(pair[1]);
                return error_errno(e, r, "guardian");
        }
        if (pid == 0) {
                close(pair[0]);
                serve(pair[1], front, patches, n);
        }
        close(pair[1]);
        guardian.pid = pid;
        guardian.owner = front;
        guardian.fd = pair[0];
        guardian.n = n;
        guardian.digests = vec_grow(NULL, n + 1, sizeof(*guardian.digests));
        for (size_t i = 0; i < n; i++)
                memcpy(guardian.digests[i], patches[i]->digest, 32);
        return 0;
}

uint64_t guardian_patience_usec = 60000000;

/* A guardian that is blocked in a process: it finishes or undoes what it began whenever it can, and ends. */
static void abandon(void) {
        close(guardian.fd);
        guardian.fd = -1;
        guardian.pid = 0;
        end_locked();
}

static int ask(const GuardianRequest *request) {
        return send(guardian.fd, request, sizeof(*request), MSG_NOSIGNAL) == sizeof(*request) ? 0 : -EPIPE;
}

/* -EPIPE when the guardian is gone, -ETIMEDOUT when it was given up. */
static int hear(const GuardianRequest *request, uint64_t asked_usec, Reply *reply) {
        uint64_t deadline = request->has_options && request->options.deadline_usec
                                    ? request->options.deadline_usec
                                    : DEADLINE_USEC;
        uint64_t limit = asked_usec + DEADLINES * deadline + guardian_patience_usec;
        struct pollfd fd = { .fd = guardian.fd, .events = POLLIN };
        ssize_t got;

        for (uint64_t now; poll(&fd, 1, POLL_MSEC) <= 0;) {
                now = now_usec();
                if (now < limit)
                        continue;
                abandon();
                return -ETIMEDOUT;
        }
        do
                got = recv(guardian.fd, reply, sizeof(*reply), 0);
        while (got < 0 && errno == EINTR);
        return got == sizeof(*reply) ? 0 : -EPIPE;
}

static int given_up(const GuardianRequest *request, Error *e) {
        return error_set(e, -ETIMEDOUT,
                         "process %d: the guardian is blocked in it, and is left alone to finish or undo "
                         "what it began",
                         request->pid);
}

void guardian_begin(GuardianCall *call, const GuardianRequest *request, const Patch *const *patches,
                    size_t n) {
        *call = (GuardianCall){ .request = *request, .patches = patches, .n = n };
        pthread_mutex_lock(&guardian.mutex);
        if (!knows(patches, n))
                call->started = start(patches, n, &call->error);
        if (call->started == 0)
                call->asked = ask(request);
        call->asked_usec = now_usec();
}

int guardian_finish(GuardianCall *call, EngineResult *res, Error *e) {
        const GuardianRequest *request = &call->request;
        Reply reply = { 0 };
        int r = call->started, exchanged = call->asked;

        if (r < 0 && e)
                *e = call->error;
        if (r == 0 && exchanged == 0)
                exchanged = hear(request, call->asked_usec, &reply);
        if (r == 0 && exchanged == -ETIMEDOUT) {
                r = given_up(request, e);
        } else if (r == 0 && exchanged < 0) {
                /* Killed. The kernel has let the threads go; what it had begun is put right at once. */
                GuardianRequest repair = { .op = GUARDIAN_REPAIR, .pid = request->pid };

                fault_set(NULL, FAULT_NONE);
                r = start(call->patches, call->n, e);
                if (r == 0)
                        exchanged = ask(&repair);
                if (r == 0 && exchanged == 0)
                        exchanged = hear(&repair, now_usec(), &reply);
                if (r == 0 && exchanged == -ETIMEDOUT)
                        r = given_up(request, e);
                else if (r == 0 && exchanged < 0)
                        r = error_set(e, -EPIPE, "process %d: the guardian was killed again while repairing",
                                      request->pid);
                else if (r == 0 && reply.code < 0)
                        r = reply.code;
                else if (r == 0)
                        r = error_set(e, -ECHILD, "process %d: the guardian was killed; %s", request->pid,
                                      reply.code ? "the process is still between two states"
                                                 : "what it had begun was finished or undone");
                if (reply.code < 0 && e)
                        *e = reply.error;
        } else if (r == 0) {
                r = reply.code;
                if (r >= 0)
                        *res = reply.res;
                else if (e)
                        *e = reply.error;
        }
        if (reply.last)
                end_locked();
        pthread_mutex_unlock(&guardian.mutex);
        return r;
}
