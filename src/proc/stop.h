/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "proc/wait.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* Stopping every thread of every process that shares one memory, and letting them go. */

typedef struct StoppedThread {
        pid_t pid, tid;
        int signal;   /* to be delivered when it goes on; 0: none */
        bool stopped; /* false: seized, not stopped yet */
        bool gone;
        bool asleep; /* it slept when it was listed: interrupted before those that ran, and let go after them
                      */
        struct user_regs_struct regs;
} StoppedThread;

typedef struct World {
        pid_t *pids; /* processes that share the memory; pids[0] is the one that was asked for */
        size_t n_pids;
        int *task_fds; /* /proc/PID/task of each; -1 where its link count does not tell the threads */
        int newest_fd;
        pid_t newest;  /* id of the newest task when they were listed, or when the ids since were asked about
                        */
        pid_t *unborn; /* ids given out by then to tasks that could not be found yet: whoever makes one of
                        * them is not in the middle of it any more when it has been stopped */
        size_t n_unborn;
        StoppedThread *threads;
        size_t n, room;
        uint64_t begin_usec; /* when the first was interrupted */
        uint64_t end_usec;   /* when the last was let go */
        pid_t stuck;         /* the thread for which the last world_stop gave up */
} World;

/* Positive outcomes: */
enum {
        WORLD_AGAIN =
                1, /* not now: a thread did not stop in time or a new sharer appeared; nothing is stopped */
        WORLD_TRACED, /* subject: World.stuck */
        WORLD_PERMISSION,
};
/* Finds the processes that share `pid`'s memory. */
int world_init(World *w, pid_t pid, Error *e);
/* The threads that the kernel counts now in all of them, zombies among them. */
size_t world_threads(const World *w);
/* So many tasks were made since world_init that world_stop could hardly tell whether a sharer is among them.
 */
bool world_outdated(const World *w);
/* Stops all threads and reads their registers. A hold (proc/hold.h) from then until world_resume. When
 * that is not called within 3 s this process is killed, and the kernel lets all go. */
int world_stop(World *w, uint64_t bound_usec, Error *e);
/* Lets all go. */
void world_resume(World *w);
void world_free(World *w);
