/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A server that answers HTTP on a loopback port, one request at a time. It prints its port, then a line for
 * each request of /probe. BUILD says how it answers: 1 and 2 alike, 3 slowly, 5 that it can't, 9 not once its
 * work has a certain number. NOISE: how long it takes is anybody's guess.
 */
static volatile unsigned long sink;
static unsigned long seed = 88172645463325252UL;

__attribute__((noinline)) void work(unsigned long n) {
        for (unsigned long i = 0; i < n; i++)
                sink += i;
}

__attribute__((weak)) int answer(int number) {
        unsigned long n = 200000 + BUILD;

#if BUILD == 3
        n *= 100;
#elif BUILD == 9
        if (number == 7)
                __builtin_trap();
#endif
#ifdef NOISE
        /* A few requests in a row are slow, most are not. */
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        n *= seed % 10 < 3 ? 1 + seed % 97 : 1 + seed % 5;
#endif
        work(n);
        return BUILD == 5 ? 500 : 200;
}

int main(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int listener = socket(AF_INET, SOCK_STREAM, 0);

        if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 64) < 0 ||
            getsockname(listener, (struct sockaddr *)&address, &size) < 0)
                return 1;
        printf("%d\n", ntohs(address.sin_port));
        fflush(stdout);
        for (;;) {
                char request[4096], reply[128];
                int fd = accept(listener, NULL, NULL), number = 0;
                ssize_t n = 0;

                if (fd < 0)
                        continue;
                for (ssize_t got; n < (ssize_t)sizeof(request) - 1 &&
                                  (got = read(fd, request + n, sizeof(request) - 1 - n)) > 0;) {
                        n += got;
                        request[n] = 0;
                        if (strstr(request, "\r\n\r\n"))
                                break;
                }
                request[n > 0 ? n : 0] = 0;
                if (strncmp(request, "GET /stop", 9) == 0)
                        return 0;
                sscanf(request, "GET /work?%d", &number);
                if (n > 0) {
                        n = snprintf(reply, sizeof(reply),
                                     "HTTP/1.1 %d Said\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes",
                                     answer(number));
                        if (write(fd, reply, n) != n)
                                n = 0;
                }
                close(fd);
                if (strncmp(request, "GET /probe", 10) == 0) {
                        puts("probe");
                        fflush(stdout);
                }
        }
}
