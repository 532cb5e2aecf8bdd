/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server, for machines with no archive at hand. Built three times: version 1; version 2
 * with a corrected function (a hotpatch); version 3 with another layout of a structure that lives on
 * the heap (a restart).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION 1
#endif
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

struct session {
        int fd;
#if VERSION >= 3
        unsigned flags;
#endif
        size_t used;
        uint64_t requests;
        char in[4096];
};

static struct session **sessions;
static size_t n_sessions;
static uint64_t served;

/* Version 1 escapes nothing; version 2 is the correction. */
__attribute__((noinline)) static size_t escape(char *out, size_t room, const char *in, size_t n) {
        size_t at = 0;

        for (size_t i = 0; i < n && at + 8 < room; i++) {
#if VERSION >= 2
                if (in[i] == '<' || in[i] == '>') {
                        memcpy(out + at, in[i] == '<' ? "&lt;" : "&gt;", 4);
                        at += 4;
                        continue;
                }
#endif
                out[at++] = in[i];
        }
        out[at] = '\0';
        return at;
}

__attribute__((noinline)) static int answer(struct session *s, const char *path, size_t n) {
        char body[1024], out[1400], escaped[512];
        size_t length = escape(escaped, sizeof(escaped), path, n < 256 ? n : 256);
        int size, head;

#if VERSION >= 3
        s->flags |= 1;
#endif
        s->requests++;
        served++;
        size = snprintf(body, sizeof(body), "version " STRINGIFY(VERSION) " request %lu path %.*s\n",
                        (unsigned long)s->requests, (int)length, escaped);
        head = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
        return write(s->fd, out, (size_t)head) == head ? 0 : -EPIPE;
}

__attribute__((noinline)) static int take(struct session *s) {
        ssize_t n = read(s->fd, s->in + s->used, sizeof(s->in) - s->used - 1);
        char *end;

        if (n <= 0)
                return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
        s->used += (size_t)n;
        s->in[s->used] = '\0';
        while ((end = strstr(s->in, "\r\n\r\n"))) {
                char *path = strchr(s->in, ' ');
                size_t whole = (size_t)(end + 4 - s->in);

                if (!path || path > end || answer(s, path + 1, strcspn(path + 1, " \r")) < 0)
                        return -EPIPE;
                memmove(s->in, s->in + whole, s->used - whole + 1);
                s->used -= whole;
        }
        return s->used + 1 < sizeof(s->in) ? 0 : -EPIPE;
}

__attribute__((noinline)) static void forget(struct session *s) {
        sessions[s->fd] = NULL;
        close(s->fd);
        free(s);
}

__attribute__((noinline)) static int greet(int epoll, int listener) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct session *s;

        if (fd < 0)
                return 0;
        if ((size_t)fd >= n_sessions) {
                size_t n = (size_t)fd * 2 + 16;
                struct session **more = realloc(sessions, n * sizeof(*more));

                if (!more)
                        return -ENOMEM;
                memset(more + n_sessions, 0, (n - n_sessions) * sizeof(*more));
                sessions = more;
                n_sessions = n;
        }
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->fd = fd;
        sessions[fd] = s;
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd });
}

__attribute__((noinline)) static void turn(int epoll, int listener) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);

        if (n < 0) {
                perror("epoll_wait");
                exit(1);
        }
        for (int i = 0; i < n; i++) {
                if (events[i].data.fd == listener)
                        greet(epoll, listener);
                else if (sessions[events[i].data.fd] && take(sessions[events[i].data.fd]) < 0)
                        forget(sessions[events[i].data.fd]);
        }
}

int main(int argc, char **argv) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int epoll = epoll_create1(EPOLL_CLOEXEC);

        at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
        if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 128) < 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){ .events = EPOLLIN, .data.fd = listener }) < 0) {
                perror("server");
                return 1;
        }
        for (;;)
                turn(epoll, listener);
}
