/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/haproxy.h"
#include "base/macro.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum {
        ANSWER_SEC = 10, /* HAProxy answers at once; longer: it hangs */
        MAX_COLUMNS = 200,
        MAX_FIELD = 128,
        CHECK_CONFIGURED = 2, /* bits of srv_check_state */
        CHECK_ENABLED = 4
};

/* The answer to one command, malloc'ed; a program that says more than HAPROXY_MAX is none that we know. */
static int ask(const char *path, const char *command, char **out, Error *e) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct timeval limit = { .tv_sec = ANSWER_SEC };
        _cleanup_(freep) char *text = malloc(HAPROXY_MAX + 1);
        size_t n = 0;
        ssize_t got;

        if (!text || fd < 0)
                return error_errno(e, -errno, "%s", path);
        if (strlen(path) >= sizeof(address.sun_path))
                return error_errno(e, -ENAMETOOLONG, "%s", path);
        memcpy(address.sun_path, path, strlen(path) + 1);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command))
                return error_errno(e, -errno, "HAProxy at %s", path);
        while (n < HAPROXY_MAX && (got = read(fd, text + n, HAPROXY_MAX - n)) != 0) {
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return error_errno(e, -errno, "HAProxy at %s", path);
                n += (size_t)got;
        }
        if (n == HAPROXY_MAX)
                return error_errno(e, -EFBIG, "HAProxy at %s", path);
        text[n] = 0;
        *out = TAKE_PTR(text);
        return 0;
}

/* The text between separators, cut to size; the start of what follows it, NULL at the line's end. */
static const char *field(const char *p, char separator, char *out, size_t size) {
        char stop[] = { separator, '\n', 0 };
        size_t n = strcspn(p, stop), kept = MIN(n, size - 1);

        memcpy(out, p, kept);
        out[kept] = 0;
        return p[n] == separator ? p + n + 1 : NULL;
}

/* Which column of the title line each of `names` is; false when one is none. */
static bool find_columns(const char *title, char separator, const char *const *names, int *columns,
                         size_t n) {
        char text[MAX_FIELD];
        size_t found = 0;
        int column = 0;

        for (size_t i = 0; i < n; i++)
                columns[i] = -1;
        for (const char *p = title; p && column < MAX_COLUMNS; column++) {
                p = field(p, separator, text, sizeof(text));
                for (size_t i = 0; i < n; i++)
                        if (columns[i] < 0 && strcmp(text, names[i]) == 0) {
                                columns[i] = column;
                                found++;
                        }
        }
        return found == n;
}

/* The values of the line whose first two columns (of `names`) are the server's backend and name. */
static int find_line(const char *text, const char *title, char separator, const char *const *names, size_t n,
                     const char *server, char values[][MAX_FIELD], Error *e) {
        const char *line = strstr(text, title), *slash = strchr(server, '/');
        int columns[8];

        if (!line || !slash || !find_columns(line + strlen(title), separator, names, columns, n))
                return error_set(e, -EBADMSG, "HAProxy's answer is not understood");
        while ((line = strchr(line, '\n')) && *++line) {
                int column = 0;

                for (size_t i = 0; i < n; i++)
                        values[i][0] = 0;
                for (const char *p = line; p && column < MAX_COLUMNS; column++) {
                        char one[MAX_FIELD];

                        p = field(p, separator, one, sizeof(one));
                        for (size_t i = 0; i < n; i++)
                                if (columns[i] == column)
                                        memcpy(values[i], one, sizeof(one));
                }
                if (strlen(values[0]) == (size_t)(slash - server) &&
                    strncmp(values[0], server, (size_t)(slash - server)) == 0 &&
                    strcmp(values[1], slash + 1) == 0)
                        return 0;
        }
        return error_set(e, -ENOENT, "HAProxy has no server %s", server);
}

int haproxy_parse_stat(const char *text, const char *server, HaproxyServer *out, Error *e) {
        static const char *const names[] = { "pxname", "svname", "qcur", "scur", "status" };
        char values[ELEMENTSOF(names)][MAX_FIELD];
        int r = find_line(text, "# ", ',', names, ELEMENTSOF(names), server, values, e);

        if (r < 0)
                return r;
        out->sessions = strtoull(values[2], NULL, 10) + strtoull(values[3], NULL, 10);
        snprintf(out->status, sizeof(out->status), "%s", values[4]);
        return 0;
}

int haproxy_parse_state(const char *text, const char *server, HaproxyServer *out, Error *e) {
        static const char *const names[] = { "be_name", "srv_name", "srv_admin_state", "srv_check_state" };
        char values[ELEMENTSOF(names)][MAX_FIELD];
        int r = find_line(text, "# ", ' ', names, ELEMENTSOF(names), server, values, e);
        unsigned long check;

        if (r < 0)
                return r;
        out->admin = (unsigned)strtoul(values[2], NULL, 10);
        check = strtoul(values[3], NULL, 10);
        out->checked = (check & CHECK_CONFIGURED) && (check & CHECK_ENABLED);
        return 0;
}

int haproxy_server(const char *socket_path, const char *server, HaproxyServer *out, Error *e) {
        _cleanup_(freep) char *stat = NULL, *state = NULL;
        HaproxyServer s = { 0 };
        int r = ask(socket_path, "show stat\n", &stat, e);

        if (r == 0)
                r = ask(socket_path, "show servers state\n", &state, e);
        if (r == 0)
                r = haproxy_parse_stat(stat, server, &s, e);
        if (r == 0)
                r = haproxy_parse_state(state, server, &s, e);
        if (r == 0)
                *out = s;
        return r;
}

int haproxy_set(const char *socket_path, const char *server, const char *what, Error *e) {
        _cleanup_(freep) char *answer = NULL;
        char command[512];
        size_t n;
        int r;

        n = (size_t)snprintf(command, sizeof(command), "set server %s %s\n", server, what);
        if (n >= sizeof(command))
                return error_errno(e, -ENAMETOOLONG, "%s", server);
        r = ask(socket_path, command, &answer, e);
        if (r < 0)
                return r;
        n = strspn(answer, "\n ");
        /* It is silent when it has done it. */
        if (answer[n])
                return error_set(e, -EREMOTEIO, "HAProxy: set server %s %s: %.*s", server, what,
                                 (int)strcspn(answer + n, "\n"), answer + n);
        return 0;
}
