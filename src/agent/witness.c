/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/witness.h"
#include "base/macro.h"
#include "proc/task.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LOGIN_UID_MIN = 1000 }; /* UID_MIN of login.defs(5): users who log in; below it are the system's */

static bool same_namespace(pid_t pid, const char *which) {
        struct stat own, its;
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/ns/%s", which);
        if (stat(path, &own) < 0)
                return false;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
        return stat(path, &its) == 0 && own.st_dev == its.st_dev && own.st_ino == its.st_ino;
}

bool is_system_service(const char *unit) {
        size_t n = strlen(unit);

        return n > 8 && strcmp(unit + n - 8, ".service") == 0 && strncmp(unit, "user@", 5) != 0;
}

Witness witness_of(pid_t pid, const char *unit) {
        TaskStatus status;

        if (task_status(pid, 0, &status, NULL) < 0)
                return (Witness){ .user = WITNESS_FOREIGN };
        if (is_system_service(unit))
                return (Witness){ .trusted = true, .user = status.uid };
        if (!same_namespace(pid, "user") || !same_namespace(pid, "pid"))
                return (Witness){ .user = WITNESS_FOREIGN };
        return (Witness){ .trusted = status.uid < LOGIN_UID_MIN, .user = status.uid };
}
