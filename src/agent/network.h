/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "verify/probe.h"

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

/*
 * staunch-net as the applier's loop sees it, and the starter beside it, which runs the probes that are
 * commands: asked and answered by messages, never waited for but while net starts. It is started when
 * something needs it: a probe, a configured port, or somebody who connects to the local metrics socket. One
 * that ends is started again at the next need.
 */
typedef struct Network Network;

typedef struct NetworkOwner {
        /* A probe ended; failed NULL: it went well. Not called for those that were under way when net ended.
         */
        void (*probed)(void *data, unsigned id, uint64_t usec, const char *failed);
        /* The metrics, malloc'ed; NULL: there are none now. */
        char *(*metrics)(void *data, bool openmetrics);
        /* Net ended, or did not start; `text` says why. Probes that were under way are lost. */
        void (*failed)(void *data, const char *text);
} NetworkOwner;

/* Before the applier is narrowed, and with the signals blocked that it handles: starts the starter; `path` is
 * the local socket (group SANDBOX_USER's, 0660). */
int network_open(const char *path, const NetworkOwner *owner, void *data, Network **out, Error *e);
/* Begins to serve. */
int network_begin(Network *n, sd_event *loop, Error *e);
/* Serves metrics at the loopback address too; "": at none. */
void network_listen(Network *n, const char *address);
/* Begins a probe; an id is 1 or more, and used once. False: it can't be made now. */
bool network_probe(Network *n, unsigned id, const Probe *p);
/* What net said of its narrowing; NULL: it does not run. Borrowed. */
const json_t *network_ready(const Network *n);
void network_close(Network *n); /* accepts NULL */
