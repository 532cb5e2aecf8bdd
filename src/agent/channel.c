/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/channel.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

int channel_pair(int ends[2], Error *e) {
        int size = 4 * CHANNEL_MAX;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return error_errno(e, -errno, "socketpair");
        for (int i = 0; i < 2; i++)
                setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        return 0;
}

int channel_send(int fd, json_t *j, const int *fds, size_t n_fds, Error *e) {
        _cleanup_(freep) char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { text, text ? strlen(text) : 0 };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        json_decref(j);
        if (!text)
                return error_errno(e, -ENOMEM, "a message");
        if (iov.iov_len > CHANNEL_MAX || n_fds > CHANNEL_FDS)
                return error_errno(e, -EMSGSIZE, "a message");
        if (n_fds) {
                struct cmsghdr *c;

                m.msg_control = control.room;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        do
                n = sendmsg(fd, &m, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? error_errno(e, -errno, "send a message") : 0;
}

/* Takes the descriptors out of a received header; those beyond what is expected are closed. */
static size_t take_fds(struct msghdr *m, int fds[CHANNEL_FDS]) {
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                size_t have = c->cmsg_len > CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < have; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (n < CHANNEL_FDS)
                                fds[n++] = fd;
                        else
                                close(fd);
                }
        }
        return n;
}

int channel_receive(int fd, json_t **out, int fds[CHANNEL_FDS], size_t *n_fds, Error *e) {
        _cleanup_(freep) char *text = malloc(CHANNEL_MAX + 1);
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { text, CHANNEL_MAX };
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof(control.room) };
        json_error_t bad;
        json_t *j;
        ssize_t n;

        if (!text)
                return error_errno(e, -ENOMEM, "a message");
        for (size_t i = 0; i < CHANNEL_FDS; i++)
                fds[i] = -1;
        do
                n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_errno(e, -errno, "receive a message");
        *n_fds = take_fds(&m, fds);
        if (n == 0)
                return error_set(e, -EPIPE, "the other process is gone");
        j = m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? NULL : json_loadb(text, (size_t)n, 0, &bad);
        if (!json_is_object(j)) {
                json_decref(j);
                for (size_t i = 0; i < *n_fds; i++)
                        close(TAKE_FD(fds[i]));
                return error_set(e, -EBADMSG, "not a message of %zd bytes", n);
        }
        *out = j;
        return 0;
}

int channel_memfd(const char *name, const void *bytes, size_t size, Error *e) {
        _cleanup_(closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return error_errno(e, -errno, "memfd_create");
        for (size_t at = 0; at < size;) {
                ssize_t n = write(fd, (const char *)bytes + at, size - at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return error_errno(e, n < 0 ? -errno : -EIO, "write to a memfd");
                at += (size_t)n;
        }
        if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return error_errno(e, -errno, "seal a memfd");
        return TAKE_FD(fd);
}

int channel_sealed(int fd, Error *e) {
        int seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || (seals & SEALS) != SEALS)
                return error_set(e, -EPERM, "the descriptor is not a sealed memfd");
        return 0;
}
