/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/task.h"
#include "base/macro.h"
#include "base/vec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { KERNEL_THREAD = 0x00200000 /* PF_KTHREAD */, IO_WORKER = 0x00000010 /* PF_IO_WORKER */ };

int proc_read(const char *path, size_t limit, char **text, size_t *size) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_(freep) char *buffer = NULL;
        size_t room = 0, n = 0;

        if (fd < 0)
                return -errno;
        for (;;) {
                ssize_t got;

                if (room - n < 4096) {
                        char *p;

                        room = room ? room * 2 : 16384;
                        if (room > limit + 16384)
                                return -EFBIG;
                        p = realloc(buffer, room + 1);
                        if (!p)
                                return -ENOMEM;
                        buffer = p;
                }
                got = read(fd, buffer + n, room - n);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        buffer[n] = 0;
        *text = TAKE_PTR(buffer);
        *size = n;
        return 0;
}

static const char *status_field(const char *text, const char *name) {
        size_t n = strlen(name);

        for (const char *p = text; p; p = strchr(p, '\n')) {
                if (*p == '\n')
                        p++;
                if (strncmp(p, name, n) == 0 && p[n] == ':') {
                        for (p += n + 1; *p == ' ' || *p == '\t'; p++)
                                ;
                        return p;
                }
        }
        return "";
}

int task_status(pid_t pid, pid_t tid, TaskStatus *out, Error *e) {
        _cleanup_(freep) char *text = NULL;
        char path[64];
        const char *name;
        size_t n;
        int r;

        if (tid)
                snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
        else
                snprintf(path, sizeof(path), "/proc/%d/status", pid);
        r = proc_read(path, 65536, &text, &n);
        if (r < 0)
                return error_errno(e, r == -ENOENT ? -ESRCH : r, "process %d", pid);
        name = status_field(text, "Name");
        snprintf(out->comm, sizeof(out->comm), "%.*s", (int)strcspn(name, "\n"), name);
        out->state = status_field(text, "State")[0];
        out->tgid = (pid_t)atol(status_field(text, "Tgid"));
        out->tracer = (pid_t)atol(status_field(text, "TracerPid"));
        out->seccomp = (unsigned)atol(status_field(text, "Seccomp"));
        out->threads = (unsigned)atol(status_field(text, "Threads"));
        out->uid = (uint32_t)strtoul(status_field(text, "Uid"), NULL, 10);
        out->caught = strtoull(status_field(text, "SigCgt"), NULL, 16);
        out->kernel = status_field(text, "VmSize")[0] == 0;
        out->dumping = status_field(text, "CoreDumping")[0] == '1';
        return 0;
}

int task_stat(pid_t pid, TaskStat *out) {
        enum { STATE = 3, FLAGS = 9, THREADS = 20, START = 22, VSIZE = 23 }; /* as proc_pid_stat(5) counts */
        char path[64], text[1024], *p, *name;
        uint64_t fields[VSIZE + 1] = { 0 };
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
                return -ESRCH;
        text[n] = 0;
        p = strrchr(text, ')'); /* the name may hold anything, also ')' */
        name = strchr(text, '(');
        if (!p || !name || name > p || p[1] != ' ' || !p[2])
                return -EBADMSG;
        snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(p - name - 1), name + 1);
        out->state = p[2];
        p += 3;
        for (unsigned i = STATE + 1; i <= VSIZE; i++) {
                char *end;

                fields[i] = strtoull(p, &end, 10);
                if (end == p)
                        return -EBADMSG;
                p = end;
        }
        out->threads = (unsigned)fields[THREADS];
        out->start_time = fields[START];
        out->vsize = fields[VSIZE];
        out->kernel = fields[FLAGS] & KERNEL_THREAD;
        return 0;
}

TaskLook task_look(pid_t pid, pid_t tid) {
        TaskLook look = { 0 };
        char path[64], text[256], *p, state = 0;
        unsigned flags = 0;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return look;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
                return look;
        text[n] = 0;
        p = strrchr(text, ')'); /* a name has at most 15 bytes: it ends in what was read */
        if (p && sscanf(p + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2)
                look = (TaskLook){ .asleep = state == 'S', .worker = flags & IO_WORKER };
        return look;
}

static int numbers_in(const char *path, pid_t **out, size_t *n) {
        VEC(pid_t) v = { 0 };
        DIR *d = opendir(path);

        if (!d)
                return errno == ENOENT ? -ESRCH : -errno;
        for (struct dirent *entry; (entry = readdir(d));)
                if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
                        vec_push(&v, (pid_t)atol(entry->d_name));
        closedir(d);
        *out = v.items;
        *n = v.n;
        return 0;
}

int task_threads(pid_t pid, pid_t **out, size_t *n) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        return numbers_in(path, out, n);
}

int task_processes(pid_t **out, size_t *n) {
        return numbers_in("/proc", out, n);
}

bool task_has_memory(pid_t tid) {
        TaskStat s;

        return task_stat(tid, &s) == 0 && s.vsize > 0;
}

pid_t task_with_memory(pid_t pid) {
        _cleanup_(freep) pid_t *tids = NULL;
        TaskStat s;
        size_t n;
        int r = task_stat(pid, &s);

        if (r < 0)
                return r;
        if (s.vsize > 0)
                return pid;
        r = task_threads(pid, &tids, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (task_has_memory(tids[i]))
                        return tids[i];
        return s.kernel ? pid : -ESRCH;
}

int task_newest_open(void) {
        int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

pid_t task_newest(int fd) {
        char text[128];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        const char *p;

        if (n <= 0)
                return -EIO;
        text[n] = 0;
        p = strrchr(text, ' ');
        return p ? (pid_t)atol(p + 1) : -EBADMSG;
}
