/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/sharers.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/task.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Nobody comes to share a memory other than by being made by somebody who has it. So for many processes that
 * are worked on one after another the processes of the machine are listed once, and only ids given out since
 * are looked at one by one. And the kernel orders memories: two that are in different places of that order
 * with respect to one that stays are not the same, so whoever was on the other side of one of the landmarks
 * when the list was made need not be compared. Nor whoever was on the other side of a process that was worked
 * on since, if that had the same memory for all of the time in which it was compared with both (the caller
 * knows: sharers_settle). So each takes some ten comparisons, however many there are. Reading /proc, and
 * comparing with everybody, took more than half of what an apply takes.
 */
enum {
        LISTING_USEC = 500000,
        IDS_MAX = 256, /* given out before or since the listing, and looked at one by one */
        NO_MEMORY = 0, /* kcmp: the same as that of `nobody` */
        LESS = 1,      /* kcmp, of two that are not the same */
        GREATER = 2,
        ANYWHERE = 0,
        PLACES_AT_FIRST = 1 + 3 * 3, /* what kcmp may say of both landmarks */
};

typedef struct Listed {
        pid_t pid;
        unsigned place; /* of its memory among those of others. Two in different places share none; one that
                           may be ANYWHERE must be compared */
        long side;      /* how the process that was looked for last stands to it; negative: not compared */
} Listed;

static struct {
        pid_t owner;   /* whose listing it is: a child does not believe it */
        Listed *items; /* no kernel threads */
        size_t n;
        pid_t newest;      /* id that had been given out last before it was made */
        VEC(pid_t) unborn; /* of the last ones up to it: without a task then */
        uint64_t made_usec;
        unsigned places; /* so many have been given out */
        Listed *asked;   /* whose sharers were looked for last; NULL: none of these */
        int any_fd;      /* of anything */
        pid_t nobody;    /* an ended child, not waited for: it has no memory, and never will */
} listing;

static long order(pid_t a, pid_t b) {
        return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
}

static int make_nobody(void) {
        pid_t pid;

        if (listing.owner == getpid() && listing.nobody > 0)
                return 0;
        listing.any_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (listing.any_fd < 0)
                return -errno;
        pid = vfork(); /* nothing is copied for it */
        if (pid == 0)
                _exit(0);
        if (pid < 0)
                return -errno;
        listing.nobody = pid;
        return 0;
}

/* The id was given out, and has no task. F_SETOWN asks whether the id is known, whoever has it. */
static bool is_unborn(pid_t id) {
        return fcntl(listing.any_fd, F_SETOWN, id) == 0 && kill(id, 0) < 0 && errno == ESRCH;
}

static int make_listing(pid_t newest) {
        _cleanup_(freep) pid_t *all = NULL;
        pid_t self = getpid();
        size_t n, kept = 0;
        TaskStat s;
        int r = make_nobody();

        if (r < 0)
                return r;
        listing.made_usec = 0; /* it is none until it is whole */
        listing.asked = NULL;
        listing.unborn.n = 0;
        for (pid_t id = MAX(newest - IDS_MAX + 1, 1); id <= newest; id++)
                if (is_unborn(id))
                        vec_push(&listing.unborn, id);
        r = task_processes(&all, &n);
        if (r < 0)
                return r;
        free(listing.items);
        listing.items = vec_grow(NULL, n + 1, sizeof(*listing.items));
        for (size_t i = 0; i < n; i++) {
                Listed x = { .pid = all[i] };
                long nobodys, selfs;

                if (x.pid == self || x.pid == listing.nobody)
                        continue;
                nobodys = order(listing.nobody, x.pid);
                /* A process without memory may be a leader that ended before its threads. Those that ended as
                 * a whole may be many, where nobody waits for them. */
                if (nobodys == NO_MEMORY && (task_stat(x.pid, &s) < 0 || s.kernel || s.threads <= 1))
                        continue;
                selfs = order(self, x.pid);
                if (nobodys > NO_MEMORY && nobodys <= GREATER && selfs >= 0 && selfs <= GREATER)
                        x.place = 1 + (unsigned)(nobodys * 3 + selfs);
                listing.items[kept++] = x;
        }
        listing.n = kept;
        listing.places = PLACES_AT_FIRST;
        listing.newest = newest;
        listing.made_usec = now_usec();
        listing.owner = self;
        return 0;
}

/* 1: the two share their memory; 0: not, and `*how` says how they are ordered; negative errno. */
static int shares_memory(pid_t a, pid_t b, long *how) {
        long r = order(a, b);
        TaskStat x, y;

        *how = r;
        if (r >= 0)
                return r == 0;
        if (errno == ESRCH)
                return 0;
        if (errno != EPERM && errno != EACCES)
                return -errno;
        /* Not ours to look at. Sharers are of one size; something else rarely is. */
        if (task_stat(a, &x) < 0 || task_stat(b, &y) < 0 || x.vsize != y.vsize)
                return 0;
        return -EPERM;
}

/* As above, of a process, whose leader may have ended before its other threads. `to_nobody`: how `pid` stands
 * to `nobody`, as such a leader does: who stands otherwise has memory. */
static int process_shares(pid_t pid, Listed *x, long to_nobody) {
        int r = shares_memory(pid, x->pid, &x->side);
        pid_t thread;
        long how;

        if (r || x->side != to_nobody || order(listing.nobody, x->pid) != NO_MEMORY)
                return r;
        x->side = -1; /* of nothing */
        thread = task_with_memory(x->pid);
        return thread > 0 && thread != x->pid ? shares_memory(pid, thread, &how) : 0;
}

void sharers_settle(pid_t pid) {
        Listed *asked = listing.owner == getpid() ? listing.asked : NULL;
        unsigned place = asked && asked->pid == pid ? asked->place : ANYWHERE;

        listing.asked = NULL;
        if (place == ANYWHERE)
                return;
        for (size_t i = 0; i < listing.n; i++) {
                Listed *x = &listing.items[i];

                if (x->place != place || x == asked)
                        continue;
                if (x->side == GREATER)
                        x->place = listing.places;
                else if (x->side != LESS) /* a sharer, or not known */
                        x->place = ANYWHERE;
        }
        asked->place = listing.places + 1;
        listing.places += 2;
}

/* Adds the process of thread or process `id`, which shares the memory, unless it is known. */
static void add_process(pid_t id, pid_t **pids, size_t *n) {
        TaskStatus own, status;

        if (task_status((*pids)[0], 0, &own, NULL) < 0 || task_status(id, 0, &status, NULL) < 0 ||
            own.tgid == status.tgid)
                return;
        for (size_t i = 0; i < *n; i++)
                if ((*pids)[i] == status.tgid)
                        return;
        *pids = vec_grow(*pids, *n + 1, sizeof(**pids));
        (*pids)[(*n)++] = status.tgid;
}

/* Those of the ids after `from`, up to `to`. Whoever is born from here on is among these still, and one who
 * was before is found by whoever looks now. How many there are. */
static size_t list_unborn(pid_t from, pid_t to, pid_t *out) {
        size_t n = 0;

        for (pid_t id = from + 1; id <= to; id++)
                if (is_unborn(id))
                        out[n++] = id;
        return n;
}

bool sharers_none_since(pid_t pid, pid_t from, pid_t to, pid_t **unborn, size_t *n_unborn) {
        size_t n;
        long ignored;

        *unborn = vec_grow(*unborn, *n_unborn + (size_t)(to - from) + 1, sizeof(**unborn));
        n = list_unborn(from, to, *unborn + *n_unborn);
        for (pid_t id = from + 1; id <= to; id++)
                if (shares_memory(pid, id, &ignored))
                        return false;
        if (!task_has_memory(pid)) /* it would have been told to share it with nobody */
                return false;
        *n_unborn += n;
        return true;
}

int sharers_find(pid_t pid, pid_t newest, pid_t **out, size_t *n, pid_t **unborn, size_t *n_unborn,
                 Error *e) {
        _cleanup_(freep) pid_t *found = NULL, *making = NULL;
        Listed *listed = NULL;
        size_t n_found = 1, n_making = 0;
        long to_nobody, ignored;
        int r = 0;

        if (listing.owner != getpid() || newest < listing.newest || newest - listing.newest > IDS_MAX ||
            now_usec() - listing.made_usec > LISTING_USEC)
                r = make_listing(newest);
        if (r < 0)
                return error_errno(e, r, "/proc");
        making = vec_grow(NULL, listing.unborn.n + (size_t)(newest - listing.newest) + 1, sizeof(*making));
        for (size_t i = 0; i < listing.unborn.n; i++)
                if (is_unborn(listing.unborn.items[i]))
                        making[n_making++] = listing.unborn.items[i];
        n_making += list_unborn(listing.newest, newest, making + n_making);
        found = vec_grow(NULL, 1, sizeof(*found));
        found[0] = pid;
        to_nobody = order(pid, listing.nobody);
        for (size_t i = 0; i < listing.n && !listed; i++)
                if (listing.items[i].pid == pid)
                        listed = &listing.items[i];
        listing.asked = NULL;
        for (size_t i = 0; i < listing.n; i++) {
                Listed *x = &listing.items[i];

                if (x == listed || (listed && listed->place != x->place && listed->place != ANYWHERE &&
                                    x->place != ANYWHERE))
                        continue;
                r = process_shares(pid, x, to_nobody);
                if (r < 0)
                        return error_errno(e, r, "process %d: does it share the memory of %d", x->pid, pid);
                if (r)
                        add_process(x->pid, &found, &n_found);
        }
        listing.asked = listed;
        for (size_t i = 0; i < listing.unborn.n; i++)
                if (shares_memory(pid, listing.unborn.items[i], &ignored) > 0)
                        add_process(listing.unborn.items[i], &found, &n_found);
        for (pid_t id = listing.newest + 1; id <= newest; id++)
                if (id != pid && shares_memory(pid, id, &ignored) > 0)
                        add_process(id, &found, &n_found);
        /* Without memory it would have been told to share that of everybody who has none. */
        if (!task_has_memory(pid))
                return error_set(e, -ESRCH, "thread %d has ended", pid);
        *out = TAKE_PTR(found);
        *n = n_found;
        *unborn = TAKE_PTR(making);
        *n_unborn = n_making;
        return 0;
}
