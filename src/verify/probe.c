/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/probe.h"
#include "base/macro.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { URL_MAX = 2048 };

const char *probe_kind_text(ProbeKind k) {
        static const char *const words[] = { "http", "tcp", "command" };

        return (size_t)k < ELEMENTSOF(words) ? words[k] : "?";
}

bool probe_is_url(const char *text) {
        size_t prefix = strncasecmp(text, "http://", 7) == 0    ? 7
                        : strncasecmp(text, "https://", 8) == 0 ? 8
                                                                : 0,
               n;

        if (!prefix || !text[prefix] || text[prefix] == '/')
                return false;
        for (n = 0; text[n]; n++)
                if ((unsigned char)text[n] <= ' ' || text[n] == 0x7f)
                        return false;
        return n <= URL_MAX;
}

bool probe_address(const char *text, char *host, size_t size, uint16_t *port) {
        const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
        unsigned long v = 0;
        size_t digits;

        if (!colon)
                return false;
        digits = strspn(colon + 1, "0123456789");
        if (digits < 1 || digits > 5 || colon[1 + digits])
                return false;
        for (size_t i = 0; i < digits; i++)
                v = v * 10 + (unsigned long)(colon[1 + i] - '0');
        if (*text == '[') {
                begin++;
                end--;
                if (end < begin || *end != ']')
                        return false;
        } else if (memchr(text, ':', (size_t)(colon - text))) {
                return false; /* an IPv6 address has brackets */
        }
        if (v < 1 || v > 65535 || end <= begin || (size_t)(end - begin) >= size)
                return false;
        for (const char *p = begin; p < end; p++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:%", *p))
                        return false;
        memcpy(host, begin, (size_t)(end - begin));
        host[end - begin] = 0;
        *port = (uint16_t)v;
        return true;
}

bool probe_loopback(const char *text, struct sockaddr_storage *out, socklen_t *size) {
        struct sockaddr_in four = { .sin_family = AF_INET };
        struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
        char host[256];
        uint16_t port;

        if (!probe_address(text, host, sizeof(host), &port))
                return false;
        *out = (struct sockaddr_storage){ 0 };
        if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1) {
                six.sin6_port = htons(port);
                memcpy(out, &six, sizeof(six));
                *size = sizeof(six);
                return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
        }
        if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &four.sin_addr) != 1)
                return false;
        four.sin_port = htons(port);
        memcpy(out, &four, sizeof(four));
        *size = sizeof(four);
        return ntohl(four.sin_addr.s_addr) >> 24 == 127;
}

long probe_status(const char *expect) {
        if (!expect || strlen(expect) != 3 || strspn(expect, "0123456789") != 3 || *expect < '1' ||
            *expect > '5')
                return 0;
        return (expect[0] - '0') * 100 + (expect[1] - '0') * 10 + (expect[2] - '0');
}
