/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A question that a service has to answer again and again: [[probe]] of the policy. Strings are the policy's.
 */
typedef enum ProbeKind { PROBE_HTTP, PROBE_TCP, PROBE_COMMAND } ProbeKind;

typedef struct Probe {
        const char *name;
        const char *subject; /* whose health it tells: "nginx.service", "process haproxy" */
        ProbeKind kind;
        const char *target;         /* a URL; "HOST:PORT" */
        const char *const *command; /* PROBE_COMMAND: arguments, NULL at the end */
        const char *user;           /* PROBE_COMMAND: who runs it; never root */
        const char *expect; /* http: a status, or text of the body; tcp, command: text of what it says; NULL:
                               any success */
        uint64_t interval_usec, timeout_usec;
        bool verify_tls;
} Probe;

/* "http", "tcp", "command" */
const char *probe_kind_text(ProbeKind k);
/* Is it a URL that a probe may ask (http or https, no blanks or control characters, not too long)? */
bool probe_is_url(const char *text);
/* Takes "HOST:PORT" or "[ADDRESS]:PORT" apart; false: it is none. `host` without brackets. */
bool probe_address(const char *text, char *host, size_t size, uint16_t *port);
/* "127.0.0.1:9464", "[::1]:9464", "localhost:9464" as an address to listen on; false for any but loopback. */
bool probe_loopback(const char *text, struct sockaddr_storage *out, socklen_t *size);
/* A status of HTTP that is expected ("204"); 0: `expect` is text, or NULL. */
long probe_status(const char *expect);
