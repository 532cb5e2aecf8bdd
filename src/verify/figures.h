/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What units and processes take of the machine. Of a unit: its control group's cpu.stat (usage_usec) and
 * memory.stat (anon: memory.current would count the page cache, which grows with nothing wrong). Of a process
 * outside of units: /proc/PID/stat (utime, stime, rss).
 */
typedef struct Usage {
        char subject[128]; /* "nginx.service", "process haproxy": processes of one name are one subject */
        double cpu_sec;    /* since it began */
        double memory;     /* bytes; negative: not known */
} Usage;

/* Where units' control groups are: "" when this machine has no systemd or no unified hierarchy. */
void figures_root(char *out, size_t size);

enum { FIGURES_MAX = 200 }; /* subjects; beyond, they are left out */
/* Every service below the root: name and path. Returns how many were given. */
size_t figures_services(const char *root, void (*each)(void *data, const char *unit, const char *path),
                        void *data);
/* False when its figures can't be read (any more). */
bool figures_unit(const char *path, Usage *out);
/* False for one that is gone, and for kernel threads. The subject is "process COMM". */
bool figures_process(pid_t pid, Usage *out);

/* The texts of those files. */
bool figures_parse_cpu(const char *cpu_stat, double *cpu_sec);
bool figures_parse_memory(const char *memory_stat, double *bytes);
bool figures_parse_process(const char *stat, Usage *out);
