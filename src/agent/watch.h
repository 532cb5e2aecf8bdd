/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

/*
 * Process starts and ends, as the kernel tells them over the process events connector (netlink;
 * CAP_NET_ADMIN). What comes faster than it is read is lost, and known to be: the caller then looks at
 * everything. Where much happens it is read a few milliseconds at a time: to be woken costs more than the
 * events themselves.
 */
typedef enum WatchKind { WATCH_EXEC, WATCH_EXIT, WATCH_LOST } WatchKind;

typedef struct WatchEvent {
        WatchKind kind;
        pid_t pid;  /* process (thread group leader) */
        int signal; /* WATCH_EXIT: the signal that ended it; 0: none */
        int code;   /* WATCH_EXIT: its exit code, when no signal ended it */
        bool core;  /* WATCH_EXIT: it left a core */
} WatchEvent;

typedef struct Watch Watch;

/* Calls back for each event, from the loop. -ENOTSUP or -ECONNREFUSED when the kernel has no connector, or
 * tells nothing here: in a container. */
int watch_open(sd_event *loop, void (*event)(void *data, const WatchEvent *w), void *data, Watch **out,
               Error *e);
Watch *watch_close(Watch *w);
/* One datagram; exported for its fuzzer. Returns how many events were in it. */
size_t watch_parse(const uint8_t *bytes, size_t size, void (*event)(void *data, const WatchEvent *w),
                   void *data);
