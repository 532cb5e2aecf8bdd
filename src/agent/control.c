/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { CLIENTS = 32, LINE_MAX_BYTES = 4096 };

typedef struct Client {
        Control *control;
        sd_event_source *source; /* NULL: this place is free */
        int fd;
        bool waits, served; /* for a round; by the one that runs */
        char line[LINE_MAX_BYTES];
        size_t n;
} Client;

struct Control {
        char path[108];
        sd_event *loop;
        sd_event_source *source;
        int fd;
        json_t *(*ask)(void *data, const char *op, bool *wait);
        void (*waits)(void *data);
        void *data;
        Client clients[CLIENTS];
};

static void drop(Client *c) {
        sd_event_source_unref(c->source);
        closep(&c->fd);
        *c = (Client){ .control = c->control, .fd = -1 };
}

/* Releases `j`. A client that does not read its short answer is not waited for. */
static void answer(Client *c, json_t *j) {
        _cleanup_(freep) char *text = j ? json_dumps(j, JSON_COMPACT) : NULL, *line = NULL;

        json_decref(j);
        if (text && asprintf(&line, "%s\n", text) > 0 && send(c->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
                errno = 0;
        drop(c);
}

static void request(Client *c) {
        Control *control = c->control;
        json_error_t bad;
        json_t *j = json_loads(c->line, 0, &bad), *reply;
        const char *op = json_string_value(json_object_get(j, "op"));
        bool wait = false;

        if (!op) {
                answer(c,
                       json_pack("{s:s}", "error", "a request is one JSON object on one line, with \"op\""));
                json_decref(j);
                return;
        }
        reply = control->ask(control->data, op, &wait);
        if (reply) {
                answer(c, reply);
        } else if (wait) {
                c->waits = true;
                control->waits(control->data);
        } else {
                answer(c, json_pack("{s:s+}", "error", "there is no operation ", op));
        }
        json_decref(j);
}

static int on_input(sd_event_source *s, int fd, uint32_t events, void *data) {
        Client *c = data;
        ssize_t n = read(fd, c->line + c->n, sizeof(c->line) - 1 - c->n);
        char *end;

        (void)s;
        (void)events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0 || c->waits) { /* gone; or it says more than there was to say */
                drop(c);
                return 0;
        }
        c->n += (size_t)n;
        c->line[c->n] = 0;
        end = strchr(c->line, '\n');
        if (end) {
                *end = 0;
                request(c);
        } else if (c->n == sizeof(c->line) - 1) {
                drop(c);
        }
        return 0;
}

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *data) {
        Control *control = data;
        _cleanup_(closep) int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ucred who = { .uid = (uid_t)-1 };
        socklen_t len = sizeof(who);

        (void)s;
        (void)events;
        if (client < 0 || getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
            (who.uid != 0 && who.uid != geteuid()))
                return 0;
        for (size_t i = 0; i < CLIENTS; i++) {
                Client *c = &control->clients[i];

                if (c->source)
                        continue;
                *c = (Client){ .control = control, .fd = TAKE_FD(client) };
                sd_event_add_io(control->loop, &c->source, c->fd, EPOLLIN, on_input, c);
                return 0;
        }
        return 0; /* too many at once: closed */
}

int control_open(const char *path, sd_event *loop, json_t *(*ask)(void *, const char *, bool *),
                 void (*waits)(void *), void *data, Control **out, Error *e) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        Control *c = calloc(1, sizeof(*c));
        mode_t mask;
        int r;

        if (!c)
                return error_errno(e, -ENOMEM, "%s", path);
        *c = (Control){ .loop = loop, .fd = -1, .ask = ask, .waits = waits, .data = data };
        for (size_t i = 0; i < CLIENTS; i++)
                c->clients[i] = (Client){ .control = c, .fd = -1 };
        if (strlen(path) >= sizeof(address.sun_path)) {
                free(c);
                return error_errno(e, -ENAMETOOLONG, "%s", path);
        }
        memcpy(address.sun_path, path, strlen(path) + 1);
        memcpy(c->path, path, strlen(path) + 1);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        unlink(path);
        mask = umask(0177);
        r = c->fd < 0 || bind(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                            listen(c->fd, 16) < 0
                    ? -errno
                    : 0;
        umask(mask);
        if (r == 0)
                r = sd_event_add_io(loop, &c->source, c->fd, EPOLLIN, on_connect, c);
        if (r < 0) {
                control_close(c);
                return error_errno(e, r, "%s", path);
        }
        *out = c;
        return 0;
}

void control_close(Control *c) {
        if (!c)
                return;
        for (size_t i = 0; i < CLIENTS; i++)
                if (c->clients[i].source)
                        drop(&c->clients[i]);
        sd_event_source_unref(c->source);
        closep(&c->fd);
        unlink(c->path);
        free(c);
}

bool control_waits(const Control *c) {
        for (size_t i = 0; i < CLIENTS; i++)
                if (c->clients[i].waits)
                        return true;
        return false;
}

void control_job_begins(Control *c) {
        for (size_t i = 0; i < CLIENTS; i++)
                c->clients[i].served = c->clients[i].waits;
}

void control_job_ended(Control *c, int code) {
        for (size_t i = 0; i < CLIENTS; i++)
                if (c->clients[i].served)
                        answer(&c->clients[i],
                               json_pack("{s:b, s:i}", "ok", code >= 0 && code != 1, "code", code));
}
