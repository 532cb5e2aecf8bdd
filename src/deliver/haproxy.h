/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HAProxy's runtime API: one command a connection to its stats socket (which needs "level admin"). */

typedef struct HaproxyServer {
        char status[32];   /* "UP", "DOWN", "MAINT", "DRAIN", "no check", "UP 1/2", ... */
        uint64_t sessions; /* that it serves, and that wait for it */
        bool checked;      /* HAProxy checks its health */
        unsigned admin;    /* bits of its administrative state; 0: none forced */
} HaproxyServer;

enum { HAPROXY_MAX = 1 << 20 }; /* bytes of an answer */

/* `server` is "BACKEND/SERVER". */
int haproxy_server(const char *socket, const char *server, HaproxyServer *out, Error *e);
/* `what` is the rest of the command: "state drain", "state ready", "health down". */
int haproxy_set(const char *socket, const char *server, const char *what, Error *e);

/* The answers of "show stat" and "show servers state"; exported for their fuzzer. -ENOENT: it does not have
 * the server; -EBADMSG: it is not such an answer. */
int haproxy_parse_stat(const char *text, const char *server, HaproxyServer *out, Error *e);
int haproxy_parse_state(const char *text, const char *server, HaproxyServer *out, Error *e);
