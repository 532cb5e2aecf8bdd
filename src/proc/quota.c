/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/quota.h"
#include "base/clock.h"
#include "base/macro.h"
#include "proc/task.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 20, MAX_PATH = 4096, KNOWN_USEC = 500000 };

/* Bytes. Version 1 has no word for "none": it is the highest number of whole pages that a long holds. */
static const uint64_t NO_LIMIT = UINT64_C(1) << 62;

/* What both versions of control groups call the same things. */
typedef struct Names {
        const char *limit, *used, *inactive, *active, *dirty, *writeback;
} Names;
static const Names version_1 = { "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                                 "total_active_file",     "total_dirty",           "total_writeback" };
static const Names version_2 = { "memory.max",  "memory.current", "inactive_file",
                                 "active_file", "file_dirty",     "file_writeback" };

/* Where the hierarchy with that file system type is mounted (`option`: of that controller; NULL: any). */
static bool find_mount(const char *type, const char *option, char out[MAX_PATH]) {
        _cleanup_(freep) char *text = NULL;
        char *save = NULL;
        size_t n;

        if (proc_read("/proc/self/mounts", MAX_TEXT, &text, &n) < 0)
                return false;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char where[MAX_PATH], is[32], options[1024], *rest = NULL;

                if (sscanf(line, "%*s %4095s %31s %1023s", where, is, options) != 3 || strcmp(is, type) != 0)
                        continue;
                for (char *o = option ? strtok_r(options, ",", &rest) : NULL; o;
                     o = strtok_r(NULL, ",", &rest))
                        if (strcmp(o, option) == 0) {
                                memcpy(out, where, sizeof(where));
                                return true;
                        }
                if (!option) {
                        memcpy(out, where, sizeof(where));
                        return true;
                }
        }
        return false;
}

/* That of one kind after the other, for many processes that are asked about one after another: looked up anew
 * now and then. */
static bool find_mount_again(const char *type, const char *option, char out[MAX_PATH]) {
        static char type_known[32], where[MAX_PATH];
        static uint64_t since_usec;

        if (strcmp(type_known, type) != 0 || now_usec() - since_usec > KNOWN_USEC) {
                type_known[0] = 0;
                if (!find_mount(type, option, where))
                        return false;
                snprintf(type_known, sizeof(type_known), "%s", type);
                since_usec = now_usec();
        }
        memcpy(out, where, sizeof(where));
        return true;
}

/* The group of a process in the hierarchy of that controller ("": version 2). */
static bool find_group(pid_t pid, const char *controller, char out[MAX_PATH]) {
        _cleanup_(freep) char *text = NULL;
        char path[64], *save = NULL;
        size_t n;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        if (proc_read(path, MAX_TEXT, &text, &n) < 0)
                return false;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL, *rest = NULL;
                bool found;

                if (!group)
                        continue;
                *group++ = 0;
                found = !*controller && !list[1];
                for (char *c = strtok_r(list + 1, ",", &rest); c && !found; c = strtok_r(NULL, ",", &rest))
                        found = *controller && strcmp(c, controller) == 0;
                /* One above the root of our namespace, or removed, cannot be looked at by that name. */
                if (!found || *group != '/' || strlen(group) >= MAX_PATH || strstr(group, "/../"))
                        continue;
                memcpy(out, group, strlen(group) + 1);
                return true;
        }
        return false;
}

static bool read_number(const char *folder, const char *name, uint64_t *out) {
        _cleanup_(freep) char *text = NULL;
        char path[2 * MAX_PATH];
        size_t n;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return proc_read(path, MAX_TEXT, &text, &n) == 0 && sscanf(text, "%" SCNu64, out) == 1;
}

static uint64_t field(const char *text, const char *name) {
        size_t n = strlen(name);

        for (const char *p = text; p; p = strchr(p, '\n')) {
                p += *p == '\n';
                if (strncmp(p, name, n) == 0 && p[n] == ' ')
                        return strtoull(p + n, NULL, 10);
        }
        return 0;
}

/* The statistics are the dear part: the kernel gathers them when they are read. */
static uint64_t left_in(const char *folder, const Names *names, uint64_t enough) {
        _cleanup_(freep) char *text = NULL;
        char path[2 * MAX_PATH];
        uint64_t limit, used, clean = 0, busy;
        size_t n;

        if (!read_number(folder, names->limit, &limit) || limit >= NO_LIMIT ||
            !read_number(folder, names->used, &used))
                return UINT64_MAX;
        if (limit > used && limit - used >= enough)
                return limit - used;
        snprintf(path, sizeof(path), "%s/memory.stat", folder);
        if (proc_read(path, MAX_TEXT, &text, &n) == 0) {
                clean = field(text, names->inactive) + field(text, names->active);
                busy = field(text, names->dirty) + field(text, names->writeback);
                clean = clean > busy ? clean - busy : 0;
        }
        return limit - MIN(limit, used) + clean / 2;
}

static uint64_t left_above(char *folder, size_t root, const Names *names, uint64_t enough) {
        uint64_t left = UINT64_MAX;

        for (;;) {
                uint64_t here = left_in(folder, names, enough);
                char *slash;

                left = MIN(left, here);
                slash = strrchr(folder, '/');
                if (!slash || slash <= folder + root)
                        return left;
                *slash = 0;
        }
}

uint64_t quota_memory_left(pid_t pid, uint64_t enough) {
        static char unlimited[2 * MAX_PATH]; /* a group that has no limit; for many processes, as above */
        static uint64_t since_usec;
        char mount[MAX_PATH], group[MAX_PATH], folder[2 * MAX_PATH];
        uint64_t left;
        bool first = find_group(pid, "memory", group) && find_mount_again("cgroup", "memory", mount);

        if (!first && !(find_group(pid, "", group) && find_mount_again("cgroup2", NULL, mount)))
                return UINT64_MAX;
        snprintf(folder, sizeof(folder), "%s%s", mount, group);
        if (strcmp(folder, unlimited) == 0 && now_usec() - since_usec <= KNOWN_USEC)
                return UINT64_MAX;
        snprintf(unlimited, sizeof(unlimited), "%s", folder);
        since_usec = now_usec();
        left = left_above(folder, strlen(mount), first ? &version_1 : &version_2, enough);
        if (left != UINT64_MAX)
                unlimited[0] = 0;
        return left;
}
