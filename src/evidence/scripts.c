/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/scripts.h"
#include "base/macro.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The name of an interpreter that keeps what it has read, or of its library: python3.11, libperl.so.5.36. */
static bool is_interpreter(const char *path) {
        static const char *const names[] = { "python", "perl",  "ruby", "node",
                                             "nodejs", "tclsh", "wish", "tcl" };
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        if (strncmp(name, "lib", 3) == 0)
                name += 3;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                size_t n = strlen(names[i]);

                if (strncmp(name, names[i], n) == 0 && !isalpha((unsigned char)name[n]) && name[n] != '_' &&
                    name[n] != '-')
                        return true;
        }
        return false;
}

static bool runs_interpreter(const Running *r, const RunningImage *image) {
        const pid_t pid = image->process->pid;
        char link[64], exe[PATH_MAX];
        ssize_t n;

        for (size_t i = (size_t)(image - r->images) + 1; i-- > 0 && r->images[i].process->pid == pid;)
                if (is_interpreter(r->images[i].path))
                        return true;
        for (size_t i = (size_t)(image - r->images); i < r->n && r->images[i].process->pid == pid; i++)
                if (is_interpreter(r->images[i].path))
                        return true;
        snprintf(link, sizeof(link), "/proc/%d/exe", pid); /* it may lie below another root */
        n = readlink(link, exe, sizeof(exe) - 1);
        if (n <= 0)
                return false;
        exe[n] = 0;
        return is_interpreter(exe);
}

static uint64_t now_usec(clockid_t clock) {
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool scripts_may_be_old(const Running *r, const RunningImage *image, Package *installed) {
        uint64_t per_sec = (uint64_t)sysconf(_SC_CLK_TCK), booted, started;

        if (!installed || !runs_interpreter(r, image))
                return false;
        dpkg_read_scripts(&r->builds.dpkg, installed);
        if (!installed->scripts || per_sec == 0)
                return false;
        booted = now_usec(CLOCK_REALTIME) - now_usec(CLOCK_BOOTTIME);
        started = booted + image->process->start_time / per_sec * 1000000 +
                  image->process->start_time % per_sec * 1000000 / per_sec;
        return installed->unpacked_usec == 0 || started <= installed->unpacked_usec;
}
