/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/stop.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/hold.h"
#include "proc/sharers.h"
#include "proc/task.h"
#include "proc/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
        /* Given out since the sharers were listed, or since the ids were asked about last: 0.3 us for each
         * that has ended, 0.7 for one that lives. */
        MAX_NEW_TASKS = 2048,
        TASK_LINKS = 2,
        FEW_THREADS = 16,
        STOP_MAX_SEC = 3,
        PATIENCE = 5, /* how much longer a thread is waited for that only lacks a processor */
};

/*
 * /proc/PID/task, whose link count is the number of threads and two: what fstat() tells of it costs a tenth
 * of reading /proc/PID/stat. -1 where the two do not say the same.
 */
static int open_task(pid_t pid) {
        static bool tells; /* as it did of a process: it is a matter of the kernel */
        char path[64];
        struct stat st;
        TaskStat s;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || tells)
                return fd;
        tells = fstat(fd, &st) == 0 && task_stat(pid, &s) == 0 && st.st_nlink == s.threads + TASK_LINKS;
        if (!tells) {
                close(fd);
                fd = -1;
        }
        return fd;
}

int world_init(World *w, pid_t pid, Error *e) {
        _cleanup_(closep) int newest_fd = task_newest_open();
        pid_t newest = newest_fd < 0 ? (pid_t)newest_fd : task_newest(newest_fd);
        World made = { .newest = newest };
        int r;

        if (newest < 0)
                return error_errno(e, newest, "/proc/loadavg");
        r = sharers_find(pid, newest, &made.pids, &made.n_pids, &made.unborn, &made.n_unborn, e);
        if (r < 0)
                return r;
        made.newest_fd = TAKE_FD(newest_fd);
        made.task_fds = vec_grow(NULL, made.n_pids, sizeof(*made.task_fds));
        for (size_t i = 0; i < made.n_pids; i++)
                made.task_fds[i] = open_task(made.pids[i]);
        *w = made;
        return 0;
}

void world_free(World *w) {
        for (size_t i = 0; i < w->n_pids; i++)
                if (w->task_fds[i] >= 0)
                        close(w->task_fds[i]);
        if (w->n_pids)
                close(w->newest_fd);
        free(w->task_fds);
        free(w->pids);
        free(w->unborn);
        free(w->threads);
        *w = (World){ 0 };
}

static StoppedThread *find_thread(World *w, pid_t tid) {
        for (size_t i = 0; i < w->n; i++)
                if (w->threads[i].tid == tid)
                        return &w->threads[i];
        return NULL;
}

/* What one listing of the threads found. */
typedef struct Listing {
        size_t fresh;  /* threads that were not known before */
        size_t others; /* that run no code: leaders that ended before their threads, workers of the kernel */
} Listing;

/* 0, or positive as world_stop. */
static int seize(World *w, pid_t pid, pid_t tid, bool asleep, Listing *listing) {
        StoppedThread t = { .pid = pid, .tid = tid, .asleep = asleep };
        TaskStatus status;

        if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0) {
                if (errno == ESRCH)
                        return 0; /* ended */
                if (task_status(pid, tid, &status, NULL) < 0)
                        return 0;
                if (strchr("ZX", status.state)) {
                        listing->others += status.tgid == tid;
                        return 0;
                }
                if (status.tracer == getpid() && late_take(tid))
                        goto add; /* it did not stop the last time */
                w->stuck = tid;
                return status.tracer ? WORLD_TRACED : WORLD_PERMISSION;
        }
add:
        if (w->n == w->room) {
                w->room = w->room ? w->room * 2 : 64;
                w->threads = vec_grow(w->threads, w->room, sizeof(*w->threads));
        }
        w->threads[w->n++] = t;
        return 0;
}

size_t world_threads(const World *w) {
        size_t n = 0;

        for (size_t i = 0; i < w->n_pids; i++) {
                struct stat st;
                TaskStat s;

                if (w->task_fds[i] >= 0) {
                        if (fstat(w->task_fds[i], &st) == 0 && st.st_nlink > TASK_LINKS)
                                n += st.st_nlink - TASK_LINKS;
                } else if (task_stat(w->pids[i], &s) == 0) {
                        n += s.threads;
                }
        }
        return n;
}

/* Seizes all threads that are not yet. */
static int seize_all(World *w, Listing *out) {
        size_t before = w->n;
        Listing listing = { 0 };

        for (size_t i = 0; i < w->n_pids; i++) {
                _cleanup_(freep) pid_t *tids = NULL;
                _cleanup_(freep) TaskLook *looks = NULL;
                size_t n;
                pid_t pid = w->pids[i];
                int r = 0;

                /* Of one thread no list is needed: whether it is all is seen when it has stopped. */
                if (!before && w->n_pids == 1 && world_threads(w) == 1) {
                        tids = vec_grow(NULL, n = 1, sizeof(*tids));
                        tids[0] = pid;
                } else {
                        r = task_threads(pid, &tids, &n);
                }
                if (r < 0)
                        continue;
                /* Before the first is seized: it could stop by itself from then on. */
                looks = vec_grow(NULL, n + 1, sizeof(*looks));
                memset(looks, 0, (n + 1) * sizeof(*looks));
                for (size_t k = 0; n > 1 && k < n; k++)
                        if (!(before && find_thread(w, tids[k])))
                                looks[k] = task_look(pid, tids[k]);
                for (size_t k = 0; k < n; k++) {
                        if (before && find_thread(w, tids[k]))
                                continue;
                        if (looks[k].worker) {
                                listing.others++;
                                continue;
                        }
                        r = seize(w, pid, tids[k], n > FEW_THREADS && looks[k].asleep, &listing);
                        if (r)
                                return r;
                }
        }
        listing.fresh = w->n - before;
        *out = listing;
        return 0;
}

/* 0 when the thread is stopped or gone; WORLD_AGAIN when the time is over. */
static int await(World *w, StoppedThread *t, uint64_t bound_usec, bool *spin) {
        int status, r = 0;

        if (!wait_spinning(t->tid, &status, spin))
                r = wait_stop(t->tid, w->begin_usec + bound_usec, w->begin_usec + PATIENCE * bound_usec,
                              &status);
        else if (!WIFSTOPPED(status))
                r = -ESRCH;

        if (r == -ETIMEDOUT) {
                w->stuck = t->tid;
                return WORLD_AGAIN;
        }
        if (r < 0) {
                t->gone = true;
                return 0;
        }
        t->stopped = true;
        t->signal = status >> 16 ? 0 : WSTOPSIG(status);
        return 0;
}

/*
 * Only when all are stopped: a thread tells of its stop while it is still on its way off the processor, and
 * who asks for its registers before it is off waits for that. In the time in which the others stop it gets
 * there.
 */
static void read_registers(World *w, size_t first) {
        for (size_t i = first; i < w->n; i++) {
                StoppedThread *t = &w->threads[i];

                if (t->stopped && !t->gone &&
                    ptrace(PTRACE_GETREGS, t->tid, 0, &t->regs) < 0) { /* killed while stopped */
                        t->gone = true;
                        let_go(t->tid, 0);
                }
        }
}

/* Is that a task with the memory of the stopped thread that is not itself stopped? */
static bool is_new_sharer(const World *w, pid_t stopped, pid_t id) {
        if (syscall(SYS_kcmp, stopped, id, KCMP_VM, 0, 0) != 0)
                return false;
        for (size_t i = 0; i < w->n; i++)
                if (w->threads[i].tid == id)
                        return false;
        return true;
}

/* Did a process that shares the memory appear after world_init? Its maker is stopped now. */
static bool new_sharer(const World *w) {
        pid_t newest = task_newest(w->newest_fd);
        pid_t pid = w->newest, stopped = 0;

        for (size_t i = 0; i < w->n && !stopped; i++) /* it keeps its memory for as long as we look */
                stopped = w->threads[i].gone ? 0 : w->threads[i].tid;
        if (newest < 0 || newest < pid || newest - pid > MAX_NEW_TASKS)
                return newest != pid;
        for (size_t i = 0; i < w->n_unborn; i++)
                if (is_new_sharer(w, stopped, w->unborn[i]))
                        return true;
        while (++pid <= newest)
                if (is_new_sharer(w, stopped, pid))
                        return true;
        return false;
}

/* Asks while all run about the ids given out since the sharers were listed, so that the stop need not: but
 * for the last few. Where one does share the memory the stop finds out. */
static void catch_up(World *w) {
        pid_t newest = task_newest(w->newest_fd);

        if (newest > w->newest && newest - w->newest <= MAX_NEW_TASKS &&
            sharers_none_since(w->pids[0], w->newest, newest, &w->unborn, &w->n_unborn))
                w->newest = newest;
}

bool world_outdated(const World *w) {
        pid_t newest = task_newest(w->newest_fd);

        return newest < w->newest || newest - w->newest > MAX_NEW_TASKS / 2;
}

/*
 * The end of a stop in which we are blocked ourselves: by a page that a dead file server, or a stopped thread
 * of the very process (userfaultfd, FUSE), has to bring. Such waits end for a SIGKILL only, and then the
 * kernel lets all go.
 */
static void watchdog(bool on) {
        static pid_t owner;
        static timer_t timer;
        struct itimerspec it = { .it_value.tv_sec = on ? STOP_MAX_SEC : 0 };

        if (owner != getpid()) { /* a timer is not inherited */
                struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };

                if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
                        return;
                owner = getpid();
        }
        timer_settime(timer, 0, &it, NULL);
}

static void interrupt_some(World *w, size_t first, bool asleep) {
        for (size_t i = first; i < w->n; i++)
                if (w->threads[i].asleep == asleep && ptrace(PTRACE_INTERRUPT, w->threads[i].tid, 0, 0) < 0) {
                        w->threads[i].gone = true; /* it ends */
                        let_go(w->threads[i].tid, 0);
                }
}

int world_stop(World *w, uint64_t bound_usec, Error *e) {
        size_t done = 0, live = 0, threads;
        Listing listing;
        bool spin;
        int r;

        w->n = 0;
        w->stuck = 0;
        hold_begin();
        watchdog(true);
        late_release();
        catch_up(w);
        r = seize_all(w, &listing);
        spin = w->n == 1; /* of several, some may need this very processor to get to their stop */
        w->begin_usec = now_usec();
        while (r == 0) {
                interrupt_some(w, done, true);
                interrupt_some(w, done, false);
                for (size_t i = done; i < w->n && r == 0; i++)
                        r = w->threads[i].gone ? 0 : await(w, &w->threads[i], bound_usec, &spin);
                read_registers(
                        w,
                        done); /* also of those that are let go at once: a call of theirs may have to go on */
                if (r)
                        break;
                done = w->n;
                live = 0;
                for (size_t i = 0; i < w->n; i++)
                        live += !w->threads[i].gone;
                threads = world_threads(w);
                if (live == threads)
                        break;
                /* A listing may miss threads while others end: it counts only if it explains the number. */
                late_release();
                r = seize_all(w, &listing);
                if (r || (!listing.fresh && live + listing.others == threads && threads == world_threads(w)))
                        break;
                if (now_usec() >= w->begin_usec + PATIENCE * bound_usec)
                        r = WORLD_AGAIN;
        }
        if (r == 0 && live == 0)
                r = error_set(e, -ESRCH, "process %d ended", w->pids[0]);
        if (r == 0 && new_sharer(w)) {
                w->stuck = 0;
                r = WORLD_AGAIN;
        }
        if (r)
                world_resume(w);
        return r;
}

/* Lets those of one kind go; how many have not stopped yet. */
static size_t resume_some(World *w, bool asleep) {
        size_t late = 0;

        for (size_t i = 0; i < w->n; i++) {
                StoppedThread *t = &w->threads[i];

                if (t->gone || t->asleep != asleep)
                        continue;
                if (!t->stopped) {
                        late_add(t->tid);
                        late++;
                        continue;
                }
                if (restart_after_stop(&t->regs))
                        ptrace(PTRACE_SETREGS, t->tid, 0, &t->regs);
                let_go(t->tid, t->signal);
        }
        return late;
}

void world_resume(World *w) {
        size_t late = resume_some(w, false) + resume_some(w, true);

        w->n = 0;
        w->end_usec = now_usec();
        /* The others were interrupted, too, and stop in a moment, but for the one that we gave up on. */
        for (unsigned tries = 0; late && late_release() > 1 && tries < 100; tries++)
                usleep(100);
        watchdog(false);
        hold_end();
}
