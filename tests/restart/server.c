/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server of 127.0.0.1, one request at a time, for the tests of restarts: SERVER PORT READY. It
 * creates the file READY once it listens; a signal ends it in the middle of whatever it does.
 *
 * VERSION is what it answers. BAD: it ends at once. SHORT: after 300 ms. WIDE: it has a thread's variable
 * more, which no patch can add. WRONG: so many requests are answered with status 500 first. A
 * negative VERSION: it ends with code 1 after its first answer.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef WIDE
__thread int extra[100] = { 1 };
__attribute__((weak)) int answer(int x) {
        return VERSION + extra[x & 63]++ * 0;
}
#else
__attribute__((weak)) int answer(int x) {
        return VERSION + x * 0;
}
#endif

#ifndef WRONG
#define WRONG 0
#endif

static int serve(int client) {
        static int served;
        char request[4096], text[64], whole[256];
        size_t n = 0;
        int version;
        ssize_t got;

        request[0] = 0;
        while (n < sizeof(request) - 1 && !strstr(request, "\r\n\r\n") &&
               (got = read(client, request + n, sizeof(request) - 1 - n)) > 0)
                request[n += (size_t)got] = 0;
        if (!strstr(request, "\r\n\r\n"))
                return 0;
        /* So long that a restart without draining would hit some request. */
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
        version = answer((int)n);
        snprintf(text, sizeof(text), "version %d\n", version);
        snprintf(whole, sizeof(whole), "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 served++ < WRONG ? "500 Error" : "200 OK", strlen(text), text);
        if (write(client, whole, strlen(whole)) < 0)
                perror("write");
        return version;
}

int main(int argc, char **argv) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

#ifdef BAD
        return 1;
#endif
        if (argc != 3)
                return 2;
        address.sin_port = htons((unsigned short)atoi(argv[1]));
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0) {
                perror(argv[1]);
                return 1;
        }
        close(open(argv[2], O_CREAT | O_WRONLY, 0600));
#ifdef SHORT
        nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        return 0;
#endif
        while ((client = accept(fd, NULL, NULL)) >= 0) {
                int version = serve(client);

                close(client);
                if (version < 0)
                        return 1;
        }
        return 1;
}
