/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/list.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_unit(const char *s, size_t n) {
        static const char *const suffix[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

        for (size_t i = 0; i < ELEMENTSOF(suffix); i++) {
                size_t k = strlen(suffix[i]);

                if (n > k && memcmp(s + n - k, suffix[i], k) == 0)
                        return true;
        }
        return false;
}

void process_unit(const char *cgroup, char *out, size_t size) {
        out[0] = 0;
        while (*cgroup) {
                size_t line = strcspn(cgroup, "\n");
                const char *end = cgroup + line, *p = memchr(cgroup, ':', line);
                bool named;

                p = p ? memchr(p + 1, ':', (size_t)(end - p - 1)) : NULL;
                /* "0::/PATH" (unified) or "1:name=systemd:/PATH" (legacy) */
                named = p && ((size_t)(p - cgroup) == 2 ||
                              memmem(cgroup, (size_t)(p - cgroup), "name=systemd", 12));
                for (const char *part = p ? p + 1 : end; named && part < end;) {
                        const char *slash = memchr(part, '/', (size_t)(end - part));
                        size_t n = (size_t)((slash ? slash : end) - part);

                        if (is_unit(part, n)) {
                                memcpy(out, part, n < size ? n : 0);
                                out[n < size ? n : 0] = 0;
                                break;
                        }
                        part += n + 1;
                }
                cgroup = *end ? end + 1 : end;
        }
}

int process_read(pid_t pid, Process *out, Error *e) {
        _cleanup_(freep) char *cgroup = NULL;
        Process p = { .pid = pid };
        struct stat st;
        TaskStat stat_;
        char path[64];
        size_t n;
        int r;

        r = task_stat(pid, &stat_);
        if (r < 0)
                return error_errno(e, r, "process %d", pid);
        snprintf(p.comm, sizeof(p.comm), "%s", stat_.comm);
        p.start_time = stat_.start_time;
        p.zombie = stat_.state == 'Z' || stat_.state == 'X';
        p.kernel = !stat_.vsize && !p.zombie;
        if (p.kernel || p.zombie) {
                *out = p;
                return 0;
        }
        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        if (stat(path, &st) == 0)
                p.mount_ns = st.st_ino;
        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        if (proc_read(path, 65536, &cgroup, &n) == 0)
                process_unit(cgroup, p.unit, sizeof(p.unit));
        *out = p;
        return 0;
}

int process_cgroup(pid_t pid, char *out, size_t size) {
        _cleanup_(freep) char *text = NULL;
        const char *line;
        char path[64];
        size_t n;
        int r;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        r = proc_read(path, 65536, &text, &n);
        if (r < 0)
                return r;
        line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
        if (!line)
                return -ENOENT;
        line = strstr(line, "0::") + 3;
        n = strcspn(line, "\n");
        if (n >= size)
                return -ENAMETOOLONG;
        memcpy(out, line, n);
        out[n] = 0;
        return 0;
}

static int by_pid(const void *a, const void *b) {
        pid_t x = ((const Process *)a)->pid, y = ((const Process *)b)->pid;

        return (x > y) - (x < y);
}

int process_list(ProcessList *out, Error *e) {
        _cleanup_(freep) pid_t *pids = NULL;
        VEC(Process) v = { 0 };
        size_t n;
        int r;

        r = task_processes(&pids, &n);
        if (r < 0)
                return error_errno(e, r, "/proc");
        for (size_t i = 0; i < n; i++) {
                Process p;

                r = process_read(pids[i], &p, e);
                if (r == -ESRCH)
                        continue;
                if (r < 0) {
                        vec_free(&v);
                        return r;
                }
                vec_push(&v, p);
        }
        if (v.n)
                qsort(v.items, v.n, sizeof(*v.items), by_pid);
        *out = (ProcessList){ .items = v.items, .n = v.n };
        return 0;
}

void process_list_free(ProcessList *l) {
        free(l->items);
        *l = (ProcessList){ 0 };
}

static int read_named(const pid_t *pids, size_t n, ProcessList *out, Error *e) {
        *out = (ProcessList){ .items = calloc(n, sizeof(Process)) };
        if (!out->items)
                return error_errno(e, -ENOMEM, "processes");
        for (size_t i = 0; i < n; i++) {
                Process *p = &out->items[out->n++];
                int r = process_read(pids[i], p, e);

                if (r == -ESRCH) {
                        *p = (Process){ .pid = pids[i], .gone = true };
                } else if (r < 0) {
                        process_list_free(out);
                        return r;
                }
        }
        return 0;
}

int process_select(const pid_t *pids, size_t n, ProcessList *out, Error *e) {
        size_t kept = 0;
        int r;

        if (n)
                return read_named(pids, n, out, e);
        r = process_list(out, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < out->n; i++)
                if (!out->items[i].kernel && !out->items[i].zombie && out->items[i].pid != getpid())
                        out->items[kept++] = out->items[i];
        out->n = kept;
        return 0;
}

bool process_exists(const Process *p) {
        return !p->gone;
}
