/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "base/macro.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { ANSWER_MAX = 1 << 20 };

static int receive(int fd, char *line, size_t room) {
        size_t n = 0;

        while (n + 1 < room) {
                ssize_t got = recv(fd, line + n, room - 1 - n, 0);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
                n += (size_t)got;
                line[n] = 0;
                if (got == 0 || strchr(line, '\n'))
                        return got || n ? 0 : -ECONNRESET;
        }
        return -EMSGSIZE;
}

int agent_ask(const char *path, const char *op, unsigned timeout_sec, json_t **out, Error *e) {
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct timeval limit = { .tv_sec = timeout_sec };
        _cleanup_(freep) char *line = malloc(ANSWER_MAX);
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_errno(e, -ENAMETOOLONG, "%s", path);
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (!line || fd < 0)
                return error_errno(e, fd < 0 ? -errno : -ENOMEM, "%s", path);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        snprintf(line, ANSWER_MAX, "{\"op\": \"%s\"}\n", op);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
                return error_errno(e, -errno, "%s", path);
        r = receive(fd, line, ANSWER_MAX);
        if (r < 0)
                return error_errno(e, r, "%s", path);
        *out = json_loads(line, 0, NULL);
        return *out ? 0 : error_set(e, -EBADMSG, "%s: the answer is not JSON", path);
}
