/* SPDX-License-Identifier: Apache-2.0 */
#include "report/event.h"
#include "base/clock.h"
#include "base/macro.h"
#include "patch/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

static const EventType types[] = {
#define EVENT(name, number, kind, priority, id, meaning) { number, kind, LOG_##priority, id, meaning },
#include "report/event.def"
#undef EVENT
};

const EventType *event_type(EventKind k) {
        return k < EVENT_N ? &types[k] : NULL;
}

EventKind event_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                char number[16];

                snprintf(number, sizeof(number), "%u", types[i].number);
                if (strcmp(types[i].kind, name) == 0 || strcmp(number, name) == 0)
                        return (EventKind)i;
        }
        return EVENT_N;
}

static void add_field(json_t *to, const EventField *f) {
        json_t *list = json_object_get(to, f->key);

        if (strcmp(f->key, EVENT_CVE) != 0) {
                json_t *value = json_text(f->value);

                if (list) { /* the value of an earlier one */
                        json_t *both =
                                json_sprintf("%s %s", json_string_value(list), json_string_value(value));

                        json_decref(value);
                        value = both;
                }
                json_object_set_new(to, f->key, value);
                return;
        }
        if (!list) {
                list = json_array();
                json_object_set_new(to, f->key, list);
        }
        json_array_append_new(list, json_text(f->value));
}

char *event_json(const Event *event) {
        const EventType *type = event_type(event->kind);
        uint64_t usec = event->time_usec ? event->time_usec : wall_usec();
        json_t *j = json_object(), *fields = json_object();
        char *line;

        json_object_set_new(j, "time", json_time(usec));
        json_object_set_new(j, "id", json_integer(type->number));
        json_object_set_new(j, "kind", json_string(type->kind));
        json_object_set_new(j, "priority", json_integer(type->priority));
        json_object_set_new(j, "message", json_text(event->message));
        for (size_t i = 0; i < event->n; i++)
                if (event->fields[i].value)
                        add_field(fields, &event->fields[i]);
        json_object_set_new(j, "fields", fields);
        line = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        return line;
}

/* 1: written; 0: there is no journal. */
static int to_journal(const Event *event) {
        const EventType *type = event_type(event->kind);
        struct iovec v[EVENT_FIELDS + 6];
        char *texts[EVENT_FIELDS + 6];
        int n = 0, r;

        if (access("/run/systemd/journal/socket", F_OK) < 0)
                return 0;
        n += asprintf(&texts[n], "MESSAGE=%s", event->message) > 0;
        n += asprintf(&texts[n], "MESSAGE_ID=%s", type->message_id) > 0;
        n += asprintf(&texts[n], "PRIORITY=%d", type->priority) > 0;
        n += asprintf(&texts[n], "STAUNCH_EVENT=%u", type->number) > 0;
        n += asprintf(&texts[n], "STAUNCH_KIND=%s", type->kind) > 0;
        for (size_t i = 0; i < event->n && i < EVENT_FIELDS; i++)
                if (event->fields[i].value)
                        n += asprintf(&texts[n], "%s=%s", event->fields[i].key, event->fields[i].value) > 0;
        for (int i = 0; i < n; i++)
                v[i] = (struct iovec){ texts[i], strlen(texts[i]) };
        r = sd_journal_sendv(v, n);
        for (int i = 0; i < n; i++)
                free(texts[i]);
        return r < 0 ? r : 1;
}

/* The file, locked, and not one that another writer has moved aside meanwhile. */
static int open_locked(const char *file, Error *e) {
        for (;;) {
                _cleanup_(closep) int fd =
                        open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
                char aside[PATH_MAX];
                struct stat have, there;

                if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &have) < 0)
                        return error_errno(e, -errno, "%s", file);
                if (stat(file, &there) < 0 || there.st_ino != have.st_ino || there.st_dev != have.st_dev)
                        continue;
                if (have.st_size <= EVENT_FILE_MAX)
                        return TAKE_FD(fd);
                snprintf(aside, sizeof(aside), "%s.1", file);
                if (rename(file, aside) < 0)
                        return error_errno(e, -errno, "%s", aside);
        }
}

/* A power cut in the middle of a line leaves no end of it. */
static bool is_cut_off(int fd, off_t size) {
        char last = '\n';

        return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int to_file(const Event *event, const char *file, Error *e) {
        _cleanup_(freep) char *line = event_json(event), *whole = NULL;
        _cleanup_(closep) int fd = open_locked(file, e);
        struct stat before;
        ssize_t n;

        if (fd < 0)
                return fd;
        if (fstat(fd, &before) < 0)
                return error_errno(e, -errno, "%s", file);
        if (!line || asprintf(&whole, "%s%s\n", is_cut_off(fd, before.st_size) ? "\n" : "", line) < 0)
                return error_errno(e, -ENOMEM, "an event");
        n = write(fd, whole, strlen(whole));
        if (n == (ssize_t)strlen(whole))
                return 0;
        error_errno(e, n < 0 ? -errno : -ENOSPC, "%s", file);
        /* The next event begins a line of its own. */
        if (n > 0 && ftruncate(fd, before.st_size) < 0)
                return -ENOSPC;
        return e ? e->code : -ENOSPC;
}

static int forward_fd = -1;

void event_forward(int fd) {
        forward_fd = fd;
}

static void forward(const Event *event) {
        static uint64_t told_usec;
        _cleanup_(freep) char *line = forward_fd >= 0 ? event_json(event) : NULL;

        if (!line || strlen(line) > EVENT_MAX ||
            send(forward_fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return;
        if (now_usec() - told_usec < 60000000)
                return;
        told_usec = now_usec();
        fprintf(stderr, "<4>an event was not handed on to the hooks: %s\n", strerror(errno));
}

static uint64_t *event_counts;

void event_count(uint64_t *counts) {
        event_counts = counts;
}

int event_emit(const Event *event, const char *file, Error *e) {
        int r = to_journal(event);

        forward(event);
        if (event_counts)
                __atomic_fetch_add(&event_counts[event->kind], 1, __ATOMIC_RELAXED);
        if (r > 0)
                return 0;
        if (file)
                return to_file(event, file, e);
        return r < 0 ? error_errno(e, r, "the journal") : 0;
}
