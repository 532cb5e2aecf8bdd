/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc tells of processes and threads. */

/* Reads a whole /proc file into malloc'ed memory, NUL-terminated. Negative errno. */
int proc_read(const char *path, size_t limit, char **text, size_t *size);

typedef struct TaskStatus {
        char comm[32];
        char state; /* R S D T t Z X I */
        pid_t tgid, tracer;
        unsigned seccomp; /* 0 none, 1 strict, 2 filter */
        unsigned threads;
        uint32_t uid;    /* real, as our user namespace numbers it */
        uint64_t caught; /* signals with a handler: bit 0 is signal 1 */
        bool dumping;    /* its core is being written */
        bool kernel;     /* a kernel thread, or a process without memory */
} TaskStatus;

/* Of a process (tid == 0) or of one of its threads. -ESRCH when it is gone. */
int task_status(pid_t pid, pid_t tid, TaskStatus *out, Error *e);

typedef struct TaskStat {
        char comm[32];
        char state;
        unsigned threads;
        uint64_t start_time; /* clock ticks after boot */
        uint64_t vsize;      /* bytes; 0: it has no memory, or none any more */
        bool kernel;         /* a kernel thread */
} TaskStat;

/* The cheap half: one small file. -ESRCH when it is gone. */
int task_stat(pid_t pid, TaskStat *out);

/* What one look tells of a thread; all false when it is gone. */
typedef struct TaskLook {
        bool asleep; /* it waits, most likely in a system call */
        bool worker; /* of the kernel, which makes requests of io_uring: it never runs the program's code, and
                        a request that it waits in fails when it is interrupted */
} TaskLook;
TaskLook task_look(pid_t pid, pid_t tid);

/* The thread ids of a process, malloc'ed. -ESRCH when it is gone. */
int task_threads(pid_t pid, pid_t **out, size_t *n);

/* Every process in this pid namespace, malloc'ed, ascending as readdir gives them. */
int task_processes(pid_t **out, size_t *n);

/* It has not let go of its memory: a thread does that first of all when it ends. */
bool task_has_memory(pid_t tid);
/* A thread of the process that has the memory still: the leader, unless it has ended before the others.
 * -ESRCH when there is none. A kernel thread stands for itself. */
pid_t task_with_memory(pid_t pid);

/* For asking again and again which id was given to the newest process or thread of this pid namespace: a
 * descriptor, and the id. Negative errno. */
int task_newest_open(void);
pid_t task_newest(int fd);
