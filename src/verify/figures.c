/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/figures.h"
#include "base/macro.h"
#include "proc/task.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH = 8, TEXT_MAX = 65536 };

void figures_root(char *out, size_t size) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

        out[0] = 0;
        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                char path[PATH_MAX];

                snprintf(path, sizeof(path), "%s/system.slice/cpu.stat", roots[i]);
                if (access(path, R_OK) == 0) {
                        snprintf(out, size, "%s", roots[i]);
                        return;
                }
        }
}

/* The number behind "KEY " at the beginning of a line. */
static bool number_of(const char *text, const char *key, uint64_t *out) {
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, n) == 0 && line[n] == ' ')
                        return sscanf(line + n, " %" SCNu64, out) == 1;
        return false;
}

bool figures_parse_cpu(const char *cpu_stat, double *cpu_sec) {
        uint64_t usec;

        if (!number_of(cpu_stat, "usage_usec", &usec))
                return false;
        *cpu_sec = (double)usec / 1e6;
        return true;
}

bool figures_parse_memory(const char *memory_stat, double *bytes) {
        uint64_t v;

        if (!number_of(memory_stat, "anon", &v))
                return false;
        *bytes = (double)v;
        return true;
}

bool figures_parse_process(const char *stat, Usage *out) {
        enum { UTIME = 14, STIME = 15, RSS = 24, LAST = RSS }; /* as proc_pid_stat(5) counts */
        const char *open = strchr(stat, '('), *close = strrchr(stat, ')'), *p;
        uint64_t fields[LAST + 1] = { 0 };
        Usage u = { .memory = -1 };

        if (!open || !close || close < open || close - open > 64 || close[1] != ' ' || !close[2])
                return false;
        p = close + 3;
        for (unsigned i = 4; i <= LAST; i++) {
                char *end;

                fields[i] = strtoull(p, &end, 10);
                if (end == p)
                        return false;
                p = end;
        }
        if (!fields[RSS])
                return false;
        snprintf(u.subject, sizeof(u.subject), "process %.*s", (int)(close - open - 1), open + 1);
        u.cpu_sec = ((double)fields[UTIME] + (double)fields[STIME]) / (double)sysconf(_SC_CLK_TCK);
        u.memory = (double)fields[RSS] * (double)PAGE_SIZE_X86;
        *out = u;
        return true;
}

bool figures_process(pid_t pid, Usage *out) {
        char path[64], text[1024];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[MAX(n, 0)] = 0;
        return n > 0 && figures_parse_process(text, out);
}

bool figures_unit(const char *path, Usage *out) {
        _cleanup_(freep) char *cpu = NULL, *memory = NULL;
        char file[PATH_MAX + 16];
        const char *name = strrchr(path, '/');
        Usage u = { .memory = -1 };
        size_t n;

        snprintf(file, sizeof(file), "%s/cpu.stat", path);
        if (proc_read(file, TEXT_MAX, &cpu, &n) < 0 || !figures_parse_cpu(cpu, &u.cpu_sec))
                return false;
        snprintf(file, sizeof(file), "%s/memory.stat", path);
        if (proc_read(file, TEXT_MAX, &memory, &n) == 0)
                figures_parse_memory(memory, &u.memory);
        snprintf(u.subject, sizeof(u.subject), "%s", name ? name + 1 : path);
        *out = u;
        return true;
}

static bool ends_with(const char *s, const char *end) {
        size_t n = strlen(s), k = strlen(end);

        return n > k && strcmp(s + n - k, end) == 0;
}

static size_t walk(const char *folder, unsigned depth, size_t room,
                   void (*each)(void *data, const char *unit, const char *path), void *data) {
        DIR *dir = depth < DEPTH ? opendir(folder) : NULL;
        struct dirent *d;
        size_t n = 0;

        while (dir && n < room && (d = readdir(dir))) {
                bool service = ends_with(d->d_name, ".service");
                char path[PATH_MAX];

                if (d->d_type != DT_DIR || (!service && !ends_with(d->d_name, ".slice")) ||
                    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= sizeof(path))
                        continue;
                if (service) {
                        each(data, d->d_name, path);
                        n++;
                }
                n += walk(path, depth + 1, room - n, each, data);
        }
        if (dir)
                closedir(dir);
        return n;
}

size_t figures_services(const char *root, void (*each)(void *data, const char *unit, const char *path),
                        void *data) {
        return walk(root, 0, FIGURES_MAX, each, data);
}
