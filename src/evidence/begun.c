/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/begun.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "evidence/read.h"
#include "patch/digest.h"
#include "patch/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16 << 20 };
/* For so long it may still be done: twice the longest deadline that the policy takes. */
#define OPEN_USEC (UINT64_C(7200) * 1000000)

void begun_init(Begun *b, const char *state) {
        *b = (Begun){ .state = state, .fd = -1 };
}

/* Not shared with forks: the engine's guardian may outlive us. */
static bool lock(int fd) {
        return fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET }) == 0;
}

static int make(Begun *b) {
        char path[PATH_MAX];
        struct stat st = { .st_nlink = 1 };
        bool taken;

        if (snprintf(path, sizeof(path), "%s/begun", b->state) >= (int)sizeof(path) - 8 ||
            (mkdir(path, 0700) < 0 && errno != EEXIST))
                return -1;
        for (;;) {
                snprintf(path, sizeof(path), "%s/begun/XXXXXX", b->state);
                b->fd = mkostemp(path, O_CLOEXEC | O_APPEND);
                if (b->fd < 0)
                        return -1;
                /* Who looked at it before it was locked took it for one of the dead. */
                if (lock(b->fd) && fstat(b->fd, &st) == 0 && st.st_nlink && (b->path = strdup(path)))
                        return 0;
                taken = errno == EAGAIN || errno == EACCES || !st.st_nlink;
                unlink(path);
                closep(&b->fd);
                b->fd = -1;
                if (!taken) /* that file system has no locks */
                        return -1;
        }
}

void begun_note(Begun *b, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]) {
        _cleanup_(freep) char *text = NULL, *line = NULL;
        json_t *j;
        int n;

        if (!b->state || (b->fd < 0 && make(b) < 0))
                return;
        j = json_pack("{s:i, s:I, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:I}", "pid", p->pid, "start_time",
                      (json_int_t)p->start_time, "comm", json_text(p->comm), "unit", p->unit, "reverts",
                      reverts, "image", json_text(image), "old_id", json_build_id(old_id), "new_id",
                      json_build_id(new_id), "digest", json_digest(digest), "time_usec",
                      (json_int_t)wall_usec());
        text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        json_decref(j);
        n = text ? asprintf(&line, "\n%s\n", text) : -1; /* the line before may be cut short */
        if (n > 0 && write(b->fd, line, (size_t)n) < 0)
                return;
}

void begun_end(Begun *b) {
        if (b->fd >= 0) {
                unlink(b->path);
                close(b->fd);
        }
        free(TAKE_PTR(b->path));
        b->fd = -1;
}

/* Does the process carry it, in force? `functions`: how many it replaces. */
static bool carries(pid_t pid, const char *digest, uint64_t *functions, bool *known) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        char text[2 * DIGEST_SIZE + 1];
        bool found = false;
        size_t n = 0;

        *known = engine_status(pid, &have, &n, NULL) == 0;
        for (size_t i = 0; *known && i < n; i++)
                if (have[i].state == PATCH_STATE_ACTIVE &&
                    strcmp(digest_text(have[i].digest, text), digest) == 0) {
                        *functions = have[i].sites;
                        found = true;
                }
        return found;
}

/* True when it may be done still: the engine's guardian goes on after who began it. */
static bool tell_one(Recorder *r, json_t *j, bool (*enter)(void *data, const Process *p), void *data) {
        StoreAction a = { .detail = "found in the process: what did it was ended before it told of it",
                          .reason = "" };
        json_int_t start_time, time_usec;
        bool known, has;
        int reverts;
        Process p;

        if (json_unpack(j, "{s:i, s:I, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:I}", "pid", &a.pid, "start_time",
                        &start_time, "comm", &a.comm, "unit", &a.unit, "reverts", &reverts, "image", &a.image,
                        "old_id", &a.old_id, "new_id", &a.new_id, "digest", &a.digest, "time_usec",
                        &time_usec) < 0 ||
            process_read(a.pid, &p, NULL) < 0 || p.start_time != (uint64_t)start_time ||
            (enter && !enter(data, &p)))
                return false;
        has = carries(a.pid, a.digest, &a.functions, &known);
        a.time_usec = (uint64_t)time_usec;
        a.action = reverts ? "revert" : "apply";
        a.outcome = reverts ? "reverted" : "patched";
        if (r->store && store_has_action(r->store, &a, NULL) == 1)
                return false;
        if (!known || has == (bool)reverts)
                return wall_usec() - a.time_usec < OPEN_USEC; /* also when the clock was put back */
        recorder_add(r, &a, false);
        return false;
}

static void tell_file(int dir, const char *name, Recorder *r, bool (*enter)(void *data, const Process *p),
                      void *data) {
        _cleanup_(closep) int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *left = NULL;
        FileBytes text = { 0 };
        size_t n, n_left = 0;
        const char *line;
        Lines lines;

        if (fd < 0 || !lock(fd)) /* who writes it lives */
                return;
        if (file_read_fd(fd, name, FILE_MAX, &text, NULL) == 0)
                left = malloc(text.size + 1);
        lines = lines_of(&text);
        while (left && lines_next(&lines, &line, &n)) {
                json_t *j = json_loadb(line, n, 0, NULL);

                if (j && tell_one(r, j, enter, data)) {
                        memcpy(left + n_left, line, n);
                        left[n_left + n] = '\n';
                        n_left += n + 1;
                }
                json_decref(j);
        }
        if (enter)
                enter(data, NULL);
        file_release(&text);
        if (!n_left)
                unlinkat(dir, name, 0);
        else if (pwrite(fd, left, n_left, 0) == (ssize_t)n_left && ftruncate(fd, (off_t)n_left) < 0)
                return; /* what was told is in the history, too */
}

void begun_tell(const char *state, Recorder *r, bool (*enter)(void *data, const Process *p), void *data) {
        char path[PATH_MAX];
        struct dirent *f;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/begun", state);
        dir = opendir(path);
        while (dir && (f = readdir(dir)))
                if (*f->d_name != '.')
                        tell_file(dirfd(dir), f->d_name, r, enter, data);
        if (dir)
                closedir(dir);
}

bool begun_left(const char *state) {
        char path[PATH_MAX];
        bool left = false;
        struct dirent *f;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/begun", state);
        dir = opendir(path);
        while (dir && (f = readdir(dir)))
                left |= *f->d_name != '.';
        if (dir)
                closedir(dir);
        return left;
}
