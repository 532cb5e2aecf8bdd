/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The processes of this machine (of this pid namespace), for programs that choose among them. */

typedef struct Process {
        pid_t pid;
        char comm[32];       /* may be empty: a process gives itself its name */
        uint64_t start_time; /* clock ticks after boot: with pid, an identity */
        uint64_t mount_ns;   /* inode of the namespace; 0 when it cannot be read */
        char unit[128];      /* systemd unit of its cgroup: "nginx.service"; "" when none */
        bool kernel;         /* a kernel thread */
        bool zombie;
        bool gone; /* it was asked for, and does not exist: see process_exists() */
} Process;

typedef struct ProcessList {
        Process *items; /* sorted by pid */
        size_t n;
} ProcessList;

/* All processes; those that end meanwhile are left out. */
int process_list(ProcessList *out, Error *e);
void process_list_free(ProcessList *l);
/* One process. -ESRCH when there is none. */
int process_read(pid_t pid, Process *out, Error *e);
/* Those of `pids`, in order; one that does not exist is there too, see process_exists(). With n == 0 every
 * process but this one, kernel threads and zombies. */
int process_select(const pid_t *pids, size_t n, ProcessList *out, Error *e);
/* False for one that process_select() was asked for and did not find. */
bool process_exists(const Process *p);
/* The process's path in the unified cgroup hierarchy, "/system.slice/nginx.service". Negative errno. */
int process_cgroup(pid_t pid, char *out, size_t size);
/* The systemd unit (service, scope, socket, ...) that a /proc/PID/cgroup text names: the outermost, which is
 * the machine's. What is below it (a container's own systemd, a user's) may have any name. */
void process_unit(const char *cgroup, char *out, size_t size);
