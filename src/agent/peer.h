/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/channel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct Starter;

/*
 * A narrowed process of the agent, as the applier sees it: started on demand, asked one thing at a time. One
 * that ends is started again at the next request, after a pause that grows with each failure.
 */
typedef struct Peer {
        const char *program;           /* "staunch-vault" */
        pid_t pid;                     /* 0: not running */
        int channel;                   /* -1: not running */
        json_t *ready;                 /* what it said of its narrowing */
        const struct Starter *starter; /* it is started there, and is no child of this process; NULL: here */
        unsigned failures;             /* since it last answered */
        uint64_t not_before_usec;
        /* Done between a request and its answer. NULL: it is only waited. */
        void (*meanwhile)(void *data);
        void *meanwhile_data;
} Peer;

void peer_init(Peer *p, const char *program);
/* Starts it when it is not running, and waits until it has narrowed itself. */
int peer_start(Peer *p, Error *e);
/*
 * Sends the request (releases it) and waits for the answer. What the other side reports as an error comes
 * back as that error; -EPIPE when it ended and, started again, ended again: a request must be one that can be
 * asked twice. *reply is a new reference; fds as in channel_receive().
 */
int peer_ask(Peer *p, json_t *request, const int *fds, size_t n_fds, json_t **reply,
             int reply_fds[CHANNEL_FDS], size_t *n_reply_fds, Error *e);
/* 1: it runs; 0: it ended by itself since the last call, and is collected; negative: it was not running. */
int peer_alive(Peer *p);
/* It did not do what it should: ends it, and lets it be started again after a pause. */
void peer_fail(Peer *p);
/* In a process that is to become the program, with this end of a channel. Does not return. */
_Noreturn void peer_exec(const char *program, int channel);
/* Lets it end and waits for that. */
void peer_stop(Peer *p);
/* For a fork of the applier: forgets the process, which is its parent's child. */
void peer_borrow(Peer *p);
